"""Slides of AnnData and .h5ad, as the programs of the field write them: read right, or refused by a line that helps."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csc_matrix

from stimage.formats.h5ad import from_anndata
from stimage.formats.imported import ImportedSlide, ImportOptions
from tests.formats.annotated import GENES, HEIGHT, WIDTH, is_right, logged, refusal, slide

pytestmark = pytest.mark.usefixtures("old_strings")


def test_scanpy(read, tmp_path):
    found = read(slide())
    assert is_right(found) and found.genes == GENES and found.gene_ids[3] == "ENSG00000000003" and found.r == 11
    assert found.left_out == {"spots outside the tissue": 1} and found.tech == "Visium"
    assert found.frame == (WIDTH, HEIGHT, f"{tmp_path}/slide.h5ad: uns['spatial']['lib'], image 'hires'")
    small = read(slide(), None)
    assert small.frame is None and small.image.shape == (150, 210, 3) and small.r == 5.5
    assert is_right(ImportedSlide(**{**vars(small), "x": 2 * small.x, "y": 2 * small.y}))


# counts and genes


def test_counts_where_they_are(read):
    """In a layer, in .raw, dense, by columns; the message names what has them, and that works."""
    data = logged(slide())
    assert "neither a layer nor .raw has raw counts: get a file that has them" in refusal(read, data)
    data.layers["counts"], data.layers["scaled"] = csc_matrix(slide().X), data.X * -1
    told = refusal(read, data)
    assert told.endswith("which is no raw count; pass layer='counts' (--layer counts), which has raw counts")
    assert "slide.h5ad: X" in told
    assert is_right(read(data, layer="counts"))
    assert "layer 'scaled' has -" in refusal(read, data, layer="scaled")
    assert "has no layer 'count', but counts, scaled" in refusal(read, data, layer="count")
    data = logged(slide())
    data.raw = slide()
    data = data[:, 1:].copy()  # of variable genes alone; .raw has all
    assert "pass layer='raw' (--layer raw), which" in refusal(read, data)
    assert is_right(read(data, layer="raw")) and read(data, layer="raw").gene_ids[0] == "ENSG00000000000"
    for matrix in (slide().X.toarray(), csc_matrix(slide().X), slide().X.toarray().astype(np.int64)):
        data = slide()
        data.X = matrix
        assert is_right(read(data))
    data.X = np.zeros(data.shape)
    data.layers["counts"] = slide().X
    assert "X has no counts: all are 0; pass layer='counts' (--layer counts)" in refusal(read, data)
    data.X = np.where(np.arange(4) == 2, np.nan, 1.0) * np.ones(data.shape)
    assert "X has nan, which is no raw count" in refusal(read, data)
    data.X = None
    assert "has no X; pass layer='counts' (--layer counts)" in refusal(read, data)
    assert is_right(read(data, layer="counts"))


def test_backed_counts_are_read(tmp_path, tissue):
    data = slide()
    for matrix in (data.X, data.X.toarray()):
        data.X = matrix
        data.write_h5ad(tmp_path / "slide.h5ad")
        backed = anndata.read_h5ad(tmp_path / "slide.h5ad", backed="r")
        assert is_right(from_anndata(backed, ImportOptions(tissue)))
        backed.file.close()


@pytest.mark.parametrize(
    ("column", "kinds", "left"),
    [
        ("feature_types", ["Gene Expression", "Antibody Capture", "Gene Expression", "Antibody Capture"], 2),
        ("feature_types", ["Gene Expression"] * 3 + ["Custom"], 1),
        ("modality", ["rna", "prot", "prot", "prot"], 3),
        ("feature_type", ["protein_coding", "lncRNA", "protein_coding", "IG_C_gene"], 0),  # CELLxGENE's biotypes
    ],
)
def test_what_is_no_gene_is_left_out(read, column, kinds, left):
    data = slide()
    data.var[column] = np.array(kinds, object)
    found = read(data)
    assert is_right(found) and len(found.genes) == len(found.gene_ids) == found.counts.shape[1] == 4 - left
    assert sum(found.left_out.values()) == left + 1


def test_proteins_alone_and_several_genomes(read):
    data = slide()
    data.var["feature_types"] = "Antibody Capture"
    assert "has no feature of type Gene Expression, but features of type Antibody" in refusal(read, data)
    data.var["feature_types"], data.var["genome"] = "Gene Expression", ["GRCh38", "GRCh38", "mm10", "mm10"]
    told = refusal(read, data)
    assert "has genes of 2 genomes: GRCh38 (2 genes), mm10 (2 genes); name one of them as genome= (--genome)" in told
    found = read(data, genome="GRCh38")
    assert found.genes == GENES[:2] and found.left_out["genes of mm10"] == 2
    assert "has no genome 'hg19', but GRCh38 (2 genes), mm10 (2 genes)" in refusal(read, data, genome="hg19")
    data.var_names = [f"{one}_{name}" for one, name in zip(data.var["genome"], GENES)]  # as 10x calls them then
    data.var["gene_ids"] = [f"{one}_{name}" for one, name in zip(data.var["genome"], data.var["gene_ids"])]
    for column in ("genome", None):
        data.var = data.var if column else data.var.drop(columns="genome")
        found = read(data, genome="GRCh38")
        assert found.genes == GENES[:2] and found.gene_ids == ["ENSG00000000000", "ENSG00000000001"]
        assert found.left_out["genes of mm10"] == 2 and "2 genomes" in refusal(read, data)


@pytest.mark.parametrize("column", ["feature_name", "SYMBOL", "gene_symbols", "gene_name", "gene_names", "symbols"])
def test_symbols_beside_ensembl_ids(read, column):
    """CELLxGENE and cell2location have ids as names of genes, and symbols beside them; a gene without keeps its id."""
    data = slide()
    ids = data.var["gene_ids"].tolist()
    data.var = pd.DataFrame({column: pd.Categorical([*GENES[:3], None])}, index=pd.Index(ids, dtype=object))
    found = read(data)
    assert found.genes == [*GENES[:3], ids[3]] and found.gene_ids == ids and is_right(found)


def test_genes_that_are_called_by_numbers(read):
    data = slide()
    data.var_names = ["0", "1", "2", "3"]
    assert "its genes are called 0, 1, 2, …: set var_names" in refusal(read, data)
    data.var["gene_name"] = GENES
    assert is_right(read(data))


# places


def test_places_by_their_names(read):
    """A table's columns are what they are called; an array is x and y, unless obs says that it is not."""
    data = slide()
    x, y = data.obsm["spatial"].T
    for pair in ("pxl_col_in_fullres pxl_row_in_fullres", "pxl_col pxl_row", "imagecol imagerow", "x y", "X Y"):
        names = pair.split()
        data.obsm["spatial"] = pd.DataFrame({names[1]: y, names[0]: x}, index=data.obs_names)
        assert is_right(read(data)), pair
    data.obsm["spatial"] = pd.DataFrame({"spatial_1": x, "spatial_2": y}, index=data.obs_names)
    assert is_right(read(data))
    data.obsm["spatial"] = pd.DataFrame({"array_row": y, "array_col": x}, index=data.obs_names)
    assert "has the columns array_row, array_col: call the one that goes right" in refusal(read, data)
    del data.obsm["spatial"]
    assert "has no coordinates: neither obsm['spatial'] nor, in obs, pxl_col_in_fullres" in refusal(read, data)
    data.obsm["X_spatial"] = np.stack([x, y, 0 * x], 1)  # of a converter from Seurat; z says nothing
    assert is_right(read(data))
    data.obsm["X_spatial"] = np.stack([x, y, np.arange(len(x))], 1)
    assert "more than two of them vary" in refusal(read, data)
    data.obsm["X_spatial"] = x[:, None]
    assert "must have two columns, x and y, and has the shape (54, 1)" in refusal(read, data)
    del data.obsm["X_spatial"]
    data.obs["imagerow"], data.obs["imagecol"] = y, x
    assert is_right(read(data))


def test_an_array_whose_axes_are_swapped(read):
    data = slide()
    x, y = data.obsm["spatial"].T.copy()
    data.obs["pxl_row_in_fullres"], data.obs["pxl_col_in_fullres"] = y, x
    assert is_right(read(data))
    data.obsm["spatial"] = np.stack([y, x], 1)
    assert is_right(read(data))  # obs calls them so, and the array coordinates agree
    data.obsm["spatial"] = np.stack([x, y], 1)
    data.obs["pxl_row_in_fullres"], data.obs["pxl_col_in_fullres"] = x, y  # as older scanpy calls them
    assert is_right(read(data))
    del data.obs["array_row"]
    assert "one of both swaps x and y; remove the wrong one" in refusal(read, data)


def test_spots_without_a_place(read):
    data = slide()
    data.obsm["spatial"][[0, 5, 7]] = np.nan  # the first is beside the tissue
    assert "has no coordinates, as have 2 of 53; leave them out with on_mismatch='drop'" in refusal(read, data)
    found = read(data, on_mismatch="drop")
    assert is_right(found, n=51) and found.left_out["spots without coordinates"] == 2


@pytest.mark.parametrize("form", [bool, str, float, "category", lambda column: column.astype(bool).astype(str)])
def test_in_tissue_however_it_is_written(read, form):
    data = slide()
    data.obs["in_tissue"] = form(data.obs["in_tissue"]) if type(form) is type(lambda: 0) else data.obs[
        "in_tissue"].astype(form)  # fmt: skip
    assert is_right(read(data))
    data.obs["in_tissue"] = ["maybe", *["1"] * 53]
    assert "is 'maybe': it must be 1 or 0" in refusal(read, data)
    data.obs["in_tissue"] = 0
    assert "has no spots in tissue, of 54" in refusal(read, data)
