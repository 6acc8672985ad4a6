"""Embeddings that an export puts into obsm: joined by spot id, never by order."""

import anndata
import numpy as np
import pandas as pd
import pytest

import stimage
from stimage.loading.embeddings import write_embeddings
from tests.roots import write_slide
from tests.test_scripts import run

SCRIPT = "data_process/export_slides.py"


@pytest.fixture
def root(tmp_path):
    for seed, name in enumerate("AB"):
        write_slide(tmp_path / "root", name, "ST", seed=seed)
    return tmp_path / "root"


def vectors(root, slide: str) -> pd.DataFrame:
    """Return a vector of each spot that tells its place, in an order of its own."""
    adata = stimage.read_slide(root, slide)
    table = pd.DataFrame(adata.obsm["spatial"] * [1, -2], adata.obs_names)
    return table.sample(frac=1, random_state=0)


def parquet(root, folder, *slides: str) -> None:
    for slide in slides:
        table = vectors(root, slide)
        write_embeddings(folder / f"{slide}.parquet", table.index.tolist(), slide, table.to_numpy(), "model")


def is_right(adata: anndata.AnnData, key: str) -> bool:
    got = adata.obsm[key]
    return got.dtype == np.float32 and np.array_equal(got, np.float32(adata.obsm["spatial"] * [1, -2]))


def test_they_are_joined_by_spot(root, tmp_path):
    parquet(root, tmp_path / "clip", "A", "B")
    pd.concat([vectors(root, "A"), vectors(root, "B")]).to_csv(tmp_path / "uni.csv", index_label="spot_id")
    given = ("--embeddings", tmp_path / "clip", f"X_mine={tmp_path}/uni.csv")
    done = run(SCRIPT, root, *given, "--out", tmp_path / "out")
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr
    for name in "AB":
        adata = anndata.read_h5ad(tmp_path / f"out/{name}.h5ad")
        assert sorted(adata.obsm) == ["X_clip", "X_mine", "spatial"] and is_right(adata, "X_clip")
        assert is_right(adata, "X_mine")
    done = run(SCRIPT, root, *given, "--one-file", "--out", tmp_path / "all.h5ad")
    assert done.returncode == 0 and is_right(anndata.read_h5ad(tmp_path / "all.h5ad"), "X_mine")


def test_those_of_other_spots_are_counted(root, tmp_path, caplog):
    parquet(root, tmp_path / "clip", "A", "B")
    one = stimage.open_root(root, slides="A")
    stimage.export_slides(one, tmp_path / "out", embeddings={"X_clip": tmp_path / "clip"})
    assert [r.getMessage() for r in caplog.records] == [
        f"{tmp_path}/clip: 9 embeddings are of other spots than those that were written"
    ]
    assert is_right(anndata.read_h5ad(tmp_path / "out/A.h5ad"), "X_clip")


def test_a_spot_without_one_is_an_error_or_nan(root, tmp_path, caplog):
    table = vectors(root, "A").drop(index="A_1x1")
    table.insert(0, "slide", "A")
    one = stimage.open_root(root, slides="A")
    with pytest.raises(stimage.DataError, match="X_a: has no embedding of 1 of 9 spots, such as 'A_1x1'; embed them"):
        stimage.export_slides(one, tmp_path / "out", embeddings={"X_a": table})
    assert not list((tmp_path / "out").iterdir())
    one = stimage.open_root(root, slides="A", on_mismatch="drop")
    stimage.export_slides(one, tmp_path / "out", embeddings={"X_a": table})
    adata = anndata.read_h5ad(tmp_path / "out/A.h5ad")
    lost = np.isnan(adata.obsm["X_a"]).all(1)
    assert adata.obs_names[lost].tolist() == ["A_1x1"] and is_right(adata[~lost], "X_a")
    assert "X_a: has no embedding of 1 of 9 spots, such as 'A_1x1': they are NaN" in caplog.text


def test_what_cannot_be(root, tmp_path):
    parquet(root, tmp_path / "clip", "A")
    parquet(root, tmp_path / "more/clip", "A")
    for given, words in (
        ([tmp_path / "nothing"], "nothing: there is no such file or folder of embeddings"),
        ([tmp_path / "clip", tmp_path / "more/clip"], "would both be X_clip; write KEY=PATH"),
        ([f"spatial={tmp_path}/clip"], "'spatial' is no key for vectors in obsm"),
        ([tmp_path / "clip"], "clip: has no embedding of 9 of 9 spots, such as 'B_0x0'"),
    ):
        done = run(SCRIPT, root, "--embeddings", *given, "--out", tmp_path / "out", "--slides", "B")
        assert done.returncode == 1 and words in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_the_former_name_of_the_script_does_the_same(root, tmp_path):
    done = run("data_process/export_anndata.py", root, "--slides", "A", "--out", tmp_path / "out")
    assert done.returncode == 0 and done.stdout == f"1 slide: {tmp_path}/out\n", done.stderr
    assert anndata.read_h5ad(tmp_path / "out/A.h5ad").shape == (9, 4)
