"""Slides of AnnData and .h5ad, as the programs of the field write them: read right, or refused by a line that helps."""

import gzip
import json
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.sparse import csc_matrix, csr_matrix

import stimage
from stimage.core.errors import DataError
from stimage.formats.h5ad import from_anndata, read_h5ad
from stimage.formats.imported import ImportedSlide, ImportOptions
from tests.formats.annotated import GENES, HEIGHT, WIDTH, is_right, picture, slide
from tests.test_scripts import run

SCRIPT = "data_collection/add_slide.py"


@pytest.fixture(autouse=True)
def old_strings():
    """Let anndata write tables: it does not know the strings of pandas 3."""
    with pd.option_context("future.infer_string", False):
        yield


@pytest.fixture
def tissue(tmp_path) -> Path:
    Image.fromarray(picture()).save(tmp_path / "tissue.tif")
    return tmp_path / "tissue.tif"


@pytest.fixture
def read(tmp_path, tissue):
    """Write an AnnData, and read it with the full image; in memory, it must come out the same."""

    def of(data: anndata.AnnData, image: Path | None = tissue, **options) -> ImportedSlide:
        data.write_h5ad(tmp_path / "slide.h5ad")
        found = read_h5ad(tmp_path / "slide.h5ad", ImportOptions(image, **options))
        again = from_anndata(data, ImportOptions(image, **options))
        assert np.array_equal(found.x, again.x) and (found.counts != again.counts).nnz == 0
        assert (found.genes, found.barcodes, found.left_out) == (again.genes, again.barcodes, again.left_out)
        return found

    return of


def refusal(function, *arguments, **options) -> str:
    with pytest.raises(DataError) as refused:
        function(*arguments, **options)
    return str(refused.value)


def logged(data: anndata.AnnData) -> anndata.AnnData:
    data = data.copy()
    data.X = csr_matrix(np.log1p(data.X.toarray() / 3))
    return data


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
    assert "no layer has raw counts, nor has .raw: get a file that has them" in refusal(read, data)
    data.layers["counts"], data.layers["scaled"] = csc_matrix(slide().X), data.X * -1
    told = refusal(read, data)
    assert told.endswith("which is no raw count; pass --layer counts, which has raw counts") and "slide.h5ad: X" in told
    assert is_right(read(data, layer="counts"))
    assert "layer 'scaled' has -" in refusal(read, data, layer="scaled")
    assert "has no layer 'count', but counts, scaled" in refusal(read, data, layer="count")
    data = logged(slide())
    data.raw = slide()
    data = data[:, 1:].copy()  # of variable genes alone; .raw has all
    assert "pass --layer raw, which" in refusal(read, data)
    assert is_right(read(data, layer="raw")) and read(data, layer="raw").gene_ids[0] == "ENSG00000000000"
    for matrix in (slide().X.toarray(), csc_matrix(slide().X), slide().X.toarray().astype(np.int64)):
        data = slide()
        data.X = matrix
        assert is_right(read(data))
    data.X = np.zeros(data.shape)
    data.layers["counts"] = slide().X
    assert "X has no counts: all are 0; pass --layer counts" in refusal(read, data)
    data.X = np.where(np.arange(4) == 2, np.nan, 1.0) * np.ones(data.shape)
    assert "X has nan, which is no raw count" in refusal(read, data)
    data.X = None
    assert "has no X; pass --layer counts" in refusal(read, data)
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
    assert "has genes of GRCh38, mm10: name the genome to keep as --genome" in refusal(read, data)
    found = read(data, genome="GRCh38")
    assert found.genes == GENES[:2] and found.left_out["genes of mm10"] == 2
    assert "has no genome 'hg19', but GRCh38, mm10" in refusal(read, data, genome="hg19")


@pytest.mark.parametrize("column", ["feature_name", "SYMBOL", "gene_symbols"])
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
    assert "has no coordinates, as have 2 of 53; leave them out with --on-mismatch drop" in refusal(read, data)
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


# slides and their images


def test_entries_without_scale_factors_are_no_slides(read, tmp_path):
    """CELLxGENE: `is_single`, and the full image itself."""
    data = slide()
    data.uns["spatial"]["is_single"] = np.bool_(True)
    assert is_right(read(data))
    data.uns["spatial"]["lib"]["images"]["fullres"] = picture()
    found = read(data, None)
    assert is_right(found) and np.array_equal(found.image, picture())


def test_without_uns(read):
    data = slide()
    del data.uns["spatial"]
    assert "pass the diameter in pixels of the full-resolution image as --spot-diameter" in refusal(read, data)
    found = read(data, spot_diameter=22)
    assert is_right(found) and found.r == 11 and found.frame is None
    assert "has no image; pass the full-resolution image as --image" in refusal(read, data, None, spot_diameter=22)


def test_several_slides_in_one_file(read):
    """They are told apart by a column, or by what barcodes begin with; one must be named."""
    both = anndata.concat({"A": slide(0, "A"), "B": slide(1, "B")}, label="sample", index_unique="-", merge="same",
                          uns_merge="unique")  # fmt: skip
    assert "has 2 slides in obs['sample']: A, B; name the one to take as --library" in refusal(read, both)
    for name, image in (("A", picture(0)), ("B", picture(1))):
        found = read(both, library=name)
        assert is_right(found, image) and found.left_out["spots of other slides"] == 54
    assert "has no slide 'C', but A, B" in refusal(read, both, library="C")
    del both.obs["sample"]
    assert "in uns['spatial']: A, B; name" in refusal(read, both)
    assert is_right(read(both, library="A"))  # barcodes end in -A and -B
    both.obs_names = [f"spot{k}" for k in range(both.n_obs)]
    assert "nothing says whose a spot is: add their names to obs as library_id" in refusal(read, both, library="A")
    both.obs["library_id"] = ["A"] * 54 + ["B"] * 54
    assert is_right(read(both, library="B"), picture(1))
    del both.uns["spatial"]["B"]  # one entry for spots of two slides
    assert "has 2 slides in obs['library_id']: A, B" in refusal(read, both)
    assert is_right(read(both, library="A"))


def test_barcodes_that_occur_twice(read):
    both = anndata.concat([slide(), slide()], merge="same", uns_merge="same")
    assert "occurs twice: is it several slides in one file?" in refusal(read, both)


def test_views_of_one_slide(read):
    """spatialdata-io's legacy AnnData has an entry an image: of the full one, of `hires` and of `lowres`."""
    data = slide()
    one = data.uns["spatial"].pop("lib")
    data.uns["spatial"] = {"lib": {"metadata": {}}}
    for name in ("hires", "full", "lowres"):
        data.uns["spatial"][f"lib_{name}_image"] = one
    found = read(data)
    assert is_right(found) and "lib_full_image" in found.frame[2]


def test_images_of_two_slides_are_refused(read):
    data = slide()
    data.uns["spatial"]["lib"]["images"]["lowres"] = picture()[::3, ::4]
    assert "images 'hires' and 'lowres' are of full images of 420 x 300 and 420 x 400 pixels" in refusal(read, data)


@pytest.mark.parametrize("wrong", [np.array([0.0]), -1.0, "wide", np.nan])
def test_scale_factors_that_are_no_numbers(read, wrong):
    data = slide()
    factors = data.uns["spatial"]["lib"]["scalefactors"]
    factors["spot_diameter_fullres"] = np.array([22.0])  # as R writes a number
    assert is_right(read(data))
    factors["spot_diameter_fullres"] = wrong
    assert "spot_diameter_fullres is " in (told := refusal(read, data)) and "or pass the diameter" in told
    assert is_right(read(data, spot_diameter=22))


def hest(folder: Path, **told) -> Path:
    data = slide(library="ST")
    one = data.uns["spatial"]["ST"]
    one["images"] = {"downscaled_fullres": picture()[::3, ::3]}
    one["scalefactors"] = {"spot_diameter_fullres": 22.0, "tissue_downscaled_fullres_scalef": 1 / 3}
    for part in ("st", "metadata"):
        (folder / part).mkdir(exist_ok=True)
    data.write_h5ad(folder / "st/TENX1.h5ad")
    (folder / "metadata/TENX1.json").write_text(json.dumps(told))
    return folder / "st/TENX1.h5ad"


def test_hest(tmp_path, tissue):
    """Its small image has a name of its own; its metadata, with bare NaN, say scale, size and technology."""
    nan = float("nan")
    path = hest(tmp_path, pixel_size_um_estimated=2.5, fullres_px_width=WIDTH, fullres_px_height=HEIGHT, patient=nan)
    found = read_h5ad(path, ImportOptions(tissue))
    assert is_right(found) and found.frame == (WIDTH, HEIGHT, "metadata/TENX1.json")
    assert (found.um_per_px, found.um_per_px_source) == (2.5, "HEST (pixel_size_um_estimated)")
    small = read_h5ad(path, ImportOptions())
    assert small.image.shape == (100, 140, 3) and small.um_per_px == pytest.approx(7.5)
    path = hest(tmp_path, pixel_size_um_estimated=nan, pixel_size_um_embedded=None, st_technology="Visium HD")
    found = read_h5ad(path, ImportOptions(tissue))
    assert (found.um_per_px, found.tech, found.frame[:2]) == (None, "VisiumHD", (WIDTH, HEIGHT))
    path = hest(tmp_path, st_technology="Xenium")
    assert "is of Xenium by its metadata, which is none of ST, Visium" in refusal(read_h5ad, path, ImportOptions())
    assert read_h5ad(path, ImportOptions(tech="ST")).tech == "ST"
    (tmp_path / "metadata/TENX1.json").write_text('{"species": ')
    assert "metadata/TENX1.json: cannot be read" in refusal(read_h5ad, path, ImportOptions())


# files as others write them


def old_file(path: Path, categories: str) -> None:
    """Write a slide as anndata did: 0.6 (records, codes beside them) or 0.7 (`__categories`)."""
    data, texts = slide(), h5py.string_dtype()
    regions = (np.arange(54) % 2).astype(np.int8)
    with h5py.File(path, "w") as file:
        matrix = file.create_group("X")
        matrix["data"], matrix["indices"], matrix["indptr"] = data.X.data, data.X.indices, data.X.indptr
        if categories == "records":
            matrix.attrs.update({"h5sparse_format": "csr", "h5sparse_shape": data.shape})
            of = [("index", "S18"), ("in_tissue", "i8"), ("region", "i1")]
            file["obs"] = np.array(
                list(zip([name.encode() for name in data.obs_names], data.obs["in_tissue"], regions)), of
            )
            file["var"] = np.array([(name.encode(),) for name in GENES], [("index", "S10")])
            file["obsm"] = np.array([(xy,) for xy in data.obsm["spatial"]], [("spatial", "f8", 2)])
            file.create_dataset("uns/region_categories", data=["left", "right"], dtype=texts)
        else:
            matrix.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": data.shape})
            obs = file.create_group("obs")
            obs.create_dataset("_index", data=list(data.obs_names), dtype=texts)
            obs["in_tissue"], obs["region"] = data.obs["in_tissue"].to_numpy(), regions
            obs.create_dataset("__categories/region", data=["left", "right"], dtype=texts)
            if categories == "references":
                obs.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.1.0", "_index": "_index"})
                obs.attrs["column-order"] = np.array(["in_tissue", "region"], object)
                obs["region"].attrs["categories"] = obs["__categories/region"].ref
            file.create_group("var").create_dataset("_index", data=GENES, dtype=texts)
            file["obsm/spatial"] = data.obsm["spatial"]
        factors = file.create_group("uns/spatial/lib/scalefactors")
        for name, value in data.uns["spatial"]["lib"]["scalefactors"].items():
            factors[name] = value
        file["uns/spatial/lib/images/hires"] = picture()[::2, ::2]


@pytest.mark.parametrize("categories", ["records", "references", "bare"])
def test_files_of_older_anndata(tmp_path, tissue, categories):
    """Of 0.6, of 0.7, and of programs that leave the attributes out."""
    old_file(tmp_path / "old.h5ad", categories)
    found = read_h5ad(tmp_path / "old.h5ad", ImportOptions(tissue, labels="region"))
    assert is_right(found) and found.frame[:2] == (WIDTH, HEIGHT)
    assert [found.labels[name] for name in found.barcodes[:3]] == ["right", "left", "right"]


def test_counts_of_older_raw(tmp_path, tissue):
    old_file(tmp_path / "old.h5ad", "records")
    with h5py.File(tmp_path / "old.h5ad", "a") as file:
        file.move("X", "raw.X")
        file.copy("var", "raw.var")
        file["X"] = np.full((54, 4), 0.5, np.float32)
    assert "pass --layer raw" in refusal(read_h5ad, tmp_path / "old.h5ad", ImportOptions(tissue))
    assert is_right(read_h5ad(tmp_path / "old.h5ad", ImportOptions(tissue, layer="raw")))


def test_what_a_slide_does_not_need_is_not_read(tmp_path, tissue):
    slide().write_h5ad(tmp_path / "slide.h5ad")
    with h5py.File(tmp_path / "slide.h5ad", "a") as file:
        for name in ("uns/odd", "obsm/odd", "obsp/odd", "layers/odd"):
            file.create_group(name).attrs["encoding-type"] = "of tomorrow"
    assert is_right(read_h5ad(tmp_path / "slide.h5ad", ImportOptions(tissue)))


def test_files_that_are_something_else(tmp_path):
    path, none = tmp_path / "slide.h5ad", ImportOptions()
    slide().write_h5ad(path)
    whole = path.read_bytes()
    path.write_bytes(gzip.compress(whole))
    assert refusal(read_h5ad, path, none) == f"{path}: is compressed by gzip; unpack it first (gunzip)"
    path.write_bytes(b"")
    assert "is no .h5ad: it does not begin as HDF5 files do" in refusal(read_h5ad, path, none)
    path.write_bytes(whole[: len(whole) // 2])
    assert refusal(read_h5ad, path, none).startswith(f"{path}: cannot be read as .h5ad")
    for group, told in (
        ("mod/rna", "is a MuData file of rna"),
        ("matrix", "which has obs and var, but HDF5 of matrix"),
    ):
        with h5py.File(path, "w") as file:
            file.create_group(group)
        assert told in refusal(read_h5ad, path, none)
    assert "cannot be read as .h5ad (No such file" in refusal(read_h5ad, tmp_path / "lost.h5ad", none)


def _groups(path: Path) -> list[str]:
    names = []
    with h5py.File(path) as file:
        file.visit(names.append)
    return names


@pytest.mark.parametrize("fault", ["gone", "text", "short", "nested", "attributes"])
def test_a_fault_anywhere_is_refused_or_harmless(tmp_path, tissue, fault):
    """Each part of the file in turn: the slide is right all the same, or an error of ours names the file."""
    source, path, refused = tmp_path / "whole.h5ad", tmp_path / "faulty.h5ad", 0
    data = slide()
    data.obs["region"] = pd.Categorical(["left", "right"] * 27)
    data.write_h5ad(source)
    for name in _groups(source):
        path.write_bytes(source.read_bytes())
        with h5py.File(path, "a") as file:
            part = file[name]
            if fault == "attributes":
                part.attrs.clear()
            elif fault == "short" and isinstance(part, h5py.Dataset) and part.shape and part.shape[0] > 1:
                values = part[: part.shape[0] // 2]
                kept = dict(part.attrs)
                del file[name]
                file.create_dataset(name, data=values).attrs.update(kept)
            else:
                del file[name]
                if fault == "text":
                    file[name] = "text"
                elif fault == "nested":
                    file.create_group(f"{name}/a/b")
        try:
            found = read_h5ad(path, ImportOptions(tissue, labels="region"))
        except DataError as error:
            assert str(error).startswith(str(path)), (name, error)
            refused += 1
        else:
            assert is_right(found), name
    assert refused > 0


def test_flipped_bytes_are_refused_or_harmless(tmp_path, tissue):
    """HDF5 itself says nothing of numbers that changed: of indices that changed, ours must."""
    slide().write_h5ad(tmp_path / "slide.h5ad")
    for name, value in (("X/indices", 400), ("X/indices", -3), ("X/indptr", 10**6), ("X/data", -7), ("X/data", 0.5)):
        path = tmp_path / "faulty.h5ad"
        path.write_bytes((tmp_path / "slide.h5ad").read_bytes())
        with h5py.File(path, "a") as file:
            file[name][40] = value
        assert f"{path}: X" in refusal(read_h5ad, path, ImportOptions(tissue)), (name, value)


# the script, and the root


def test_the_script_says_what_was_left_out_and_how_to_go_on(tmp_path, tissue):
    data = logged(slide())
    data.raw = slide()
    data.write_h5ad(tmp_path / "slide.h5ad")
    add = (SCRIPT, tmp_path / "slide.h5ad", "--out", tmp_path / "root", "--slide", "Mine", "--image", tissue)
    assert "pass --layer raw" in run(*add).stderr and not (tmp_path / "root").exists()
    assert run(*add, "--layer", "raw").returncode == 0
    both = anndata.concat({"A": slide(0, "A"), "B": slide(1, "B")}, label="sample", index_unique="-", merge="same",
                          uns_merge="unique")  # fmt: skip
    both.write_h5ad(tmp_path / "slide.h5ad")
    assert "name the one to take as --library" in run(*add).stderr
    assert run(*add, "--library", "A").returncode == 0
    added = stimage.add_slide(both, tmp_path / "root", "Other", library="B")
    assert stimage.read_slide(tmp_path / "root", "Other").n_obs == 53 and added.tech == "Visium"
