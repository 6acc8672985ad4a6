"""The form in which an added slide's counts are kept: copied, as HDF5 or as CSV, the same examples come of it."""

from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.sparse import csr_matrix

import stimage
import stimage_1k4m
from stimage.genes.vocabulary import load_vocabulary, write_vocabulary
from tests.outs import write_outs


def examples(root: Path) -> list[dict]:
    return [{**e, "image": e["image"].tobytes()} for e in stimage_1k4m.load("all", root)]


def count_files(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("*/gene_exp/*"))


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    write_outs(folder)
    return folder


def test_each_form_gives_the_same_examples(source, tmp_path):
    for form in ("h5", "csv"):
        stimage.add_slide(source / "outs", tmp_path / form, "S", image=source / "tissue.tif", counts_as=form)
        assert count_files(tmp_path / form) == [f"S_count.{form}"]
    assert examples(tmp_path / "h5") == examples(tmp_path / "csv")
    with pytest.raises(ValueError, match="counts_as='h5ad': pass one of csv, h5"):
        stimage.add_slide(source / "outs", tmp_path / "h5", "S", counts_as="h5ad")


def test_space_rangers_own_matrix_is_copied(source, tmp_path):
    stimage.add_slide(source / "outs", tmp_path, "S")
    own = source / "outs/filtered_feature_bc_matrix.h5"
    assert (tmp_path / "Visium/gene_exp/S_count.h5").read_bytes() == own.read_bytes()
    spots = [e["spot_id"] for e in examples(tmp_path)]
    assert all(spot.startswith("S_") for spot in spots) and len(set(spots)) == len(spots)


def test_a_matrix_of_more_is_written_anew(tmp_path):
    """Of all spots, those on the tissue; of all features, genes."""
    counts, _ = write_outs(tmp_path)
    own = tmp_path / "outs/filtered_feature_bc_matrix.h5"
    with h5py.File(own, "r+") as file:
        kinds = file["matrix/features/feature_type"][:].astype("S20")
        kinds[3] = b"Antibody Capture"
        del file["matrix/features/feature_type"]
        file["matrix/features/feature_type"] = kinds
    own.rename(own.with_name("raw_feature_bc_matrix.h5"))
    stimage.add_slide(tmp_path / "outs", tmp_path / "root", "S", labels={counts.index[0]: "tumour"})
    got = examples(tmp_path / "root")
    assert count_files(tmp_path / "root") == ["S_count.h5"] and len(got) == len(counts)
    genes = stimage_1k4m.gene_names(tmp_path / "root")
    assert genes == [*counts.columns[:1], "ERBB2-1", "GENE2", *counts.columns[4:]]
    assert sum(sum(e["counts"]) for e in got) == counts.to_numpy().sum() - counts["GENE3"].sum()
    assert [e["spot_id"] for e in got if e["annotation"]] == [f"S_{counts.index[0]}"]


def made(n: int = 9) -> anndata.AnnData:
    rng = np.random.default_rng(0)
    obs, var = (
        pd.DataFrame(index=pd.Index([f"{a}{k}" for k in range(m)], dtype=object)) for a, m in (("s", n), ("G", 5))
    )
    data = anndata.AnnData(csr_matrix(rng.poisson(2, (n, 5)).astype(np.float32)), obs, var)
    data.obsm["spatial"] = np.stack([20 + 20.0 * (np.arange(n) % 3), 20 + 20.0 * (np.arange(n) // 3)], 1)
    image = rng.integers(0, 255, (90, 90, 3), np.uint8)
    scale = {"tissue_hires_scalef": 1.0, "spot_diameter_fullres": 10.0}
    data.uns["spatial"] = {"one": {"images": {"hires": image}, "scalefactors": scale}}
    return data


def test_a_h5ad_is_copied_if_its_x_has_the_counts(tmp_path):
    data = made()
    data.write_h5ad(tmp_path / "a.h5ad")
    stimage.add_slide(tmp_path / "a.h5ad", tmp_path / "root", "S")
    assert count_files(tmp_path / "root") == ["S_count.h5ad"]
    want = examples(tmp_path / "root")
    stimage.add_slide(data, tmp_path / "memory", "S")
    assert count_files(tmp_path / "memory") == ["S_count.h5"] and examples(tmp_path / "memory") == want
    data.layers["counts"], data.X = data.X, csr_matrix(np.log1p(data.X.toarray()))
    data.write_h5ad(tmp_path / "b.h5ad")
    stimage.add_slide(tmp_path / "b.h5ad", tmp_path / "layer", "S", layer="counts")
    assert count_files(tmp_path / "layer") == ["S_count.h5"] and examples(tmp_path / "layer") == want
    data.X = data.layers["counts"].tocsc()
    data.write_h5ad(tmp_path / "c.h5ad")
    stimage.add_slide(tmp_path / "c.h5ad", tmp_path / "columns", "S")
    assert count_files(tmp_path / "columns") == ["S_count.h5"] and examples(tmp_path / "columns") == want


def test_a_slide_in_another_form_is_replaced(tmp_path):
    data = made()
    for form, there in (("csv", ["S_count.csv"]), ("h5", ["S_count.h5"]), ("csv", ["S_count.csv"])):
        stimage.add_slide(data, tmp_path, "S", counts_as=form)
        assert count_files(tmp_path) == there and len(examples(tmp_path)) == 9


def test_a_vocabulary_gets_the_genes_of_any_form(tmp_path):
    stimage.add_slide(made(), tmp_path, "S")
    write_vocabulary(tmp_path / "genes.parquet", ["Z", "G1"])
    stimage.add_slide(made(), tmp_path, "T")
    assert load_vocabulary(tmp_path / "genes.parquet").names == ("Z", "G1", "G0", "G2", "G3", "G4")


def test_images_and_labels_go_with_a_copied_matrix(source, tmp_path):
    stimage.add_slide(source / "outs", tmp_path / "root", "S", image=source / "tissue.tif")
    Image.open(tmp_path / "root/Visium/image/S.png").load()
    assert stimage.list_slides(tmp_path / "root").spots["S"] == len(examples(tmp_path / "root"))
