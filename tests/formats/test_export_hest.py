"""Slides written in HEST's layout: read as a root they are the same, each is written whole or not at all, once."""

import json
import re

import anndata
import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

import stimage
from stimage.formats.h5ad import read_h5ad
from stimage.formats.imported import ImportOptions
from tests.building import files
from tests.hest import sample as made_sample
from tests.hest import write_sample
from tests.test_scripts import run

SCRIPT = "data_process/export_slides.py"
ST, VISIUM = "Human_Breast_Sample1_ST_A1", "Human_Breast_Sample3_Visium_A1"


def examples(root, **options) -> list[dict]:
    """Return all examples, with the names of genes instead of ids, and the pixels of images."""
    names, found = stimage.gene_names(root), []
    for one in stimage.load("all", root, **options):
        counts = {names[k]: n for k, n in zip(one.pop("gene_ids"), one.pop("counts"))}
        found.append({**one, "counts": counts, "image": np.asarray(one["image"]).tobytes()})
    return found


def export(root, out, *options):
    return run(SCRIPT, root, "--to", "hest", "--out", out, *options)


def test_there_and_back_every_example_is_the_same(sample, tmp_path):
    done = export(sample, tmp_path / "hest", "--compression", "deflate", "--upsample", "--patch-px", 32)
    assert done.returncode == 0, done.stderr
    ours, theirs = examples(sample), examples(tmp_path / "hest")
    same = {"um_per_px": None}
    assert [one | same for one in ours] == [one | same for one in theirs]
    assert [one["um_per_px"] for one in theirs] == pytest.approx([one["um_per_px"] for one in ours])
    assert any(one["annotation"] for one in theirs)
    before = files(tmp_path / "hest")
    again = export(sample, tmp_path / "hest", "--compression", "deflate", "--upsample", "--patch-px", 32)
    assert again.stdout.startswith("5 slides: ") and files(tmp_path / "hest") == before
    checked = stimage.check(tmp_path / "hest")
    failed = {(one.slide, one.check) for one in stimage.check(sample).itertuples() if one.status == "fail"}
    assert {(one.slide, one.check) for one in checked.itertuples() if one.status == "fail"} == failed


def test_its_files_are_as_hest_has_them(sample, tmp_path):
    done = export(sample, tmp_path, "--slides", VISIUM, "--upsample", "--patch-px", 64)
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / f"metadata/{VISIUM}.json").read_text())
    spots = stimage.read_slide(sample, VISIUM)
    um = told["pixel_size_um_estimated"]
    assert (told["st_technology"], told["species"], told["organ"]) == ("Visium", "Homo sapiens", "Breast")
    assert (told["spots_under_tissue"], told["nb_genes"]) == spots.shape and told["inter_spot_dist"] == 100
    data = anndata.read_h5ad(tmp_path / f"st/{VISIUM}.h5ad")
    assert (data.X != spots.X).nnz == 0 and data.X.indptr.dtype == data.X.indices.dtype
    assert data.obs.n_counts.tolist() == np.asarray(spots.X.sum(1)).ravel().tolist()
    assert data.obs.pxl_col_in_fullres.tolist() == data.obsm["spatial"][:, 0].tolist()
    top = np.sort(spots.X[0].toarray()[0])[::-1]
    assert data.obs.pct_counts_in_top_50_genes.iloc[0] == pytest.approx(100 * top[:50].sum() / top.sum())
    one = data.uns["spatial"]["ST"]
    assert one["scalefactors"]["spot_diameter_fullres"] == pytest.approx(2 * spots.obs.radius.iloc[0])
    with tifffile.TiffFile(tmp_path / f"wsis/{VISIUM}.tif") as tiff:
        value = tiff.pages[0].tags["XResolution"].value
        assert value[0] / value[1] == pytest.approx(10_000 / um, rel=1e-3) and tiff.pages[0].is_tiled
        whole = tiff.pages[0].asarray()
    with h5py.File(tmp_path / f"patches/{VISIUM}.h5") as file:
        side = file["img"].attrs["patch_size_src"]
        assert file["img"].shape == (len(spots), 64, 64, 3) and side == round(112 / um)
        assert file["barcode"][0, 0].decode() == data.obs_names[0] and file["barcode"].shape == (len(spots), 1)
        assert np.abs(file["coords"][:] + side / 2 - data.obsm["spatial"]).max() <= 1
        assert file["coords"].attrs["pixel_size"] == um and file["img"].attrs["downsample"] == side / 64
        k = next(k for k, (x, y) in enumerate(file["coords"][:]) if x > 0 and y > 0)
        x, y = file["coords"][k]
        cut = Image.fromarray(whole[y : y + side, x : x + side]).resize((64, 64), Image.Resampling.BICUBIC)
        assert np.abs(np.asarray(cut).astype(int) - file["img"][k]).mean() < 6  # of a JPEG
    assert (tmp_path / f"thumbnails/{VISIUM}_downscaled_fullres.jpeg").exists()
    table = (tmp_path / "HEST_v1_1_0.csv").read_bytes()
    assert table.startswith(b"\xef\xbb\xbf") and table.count(b"\n") == 2
    found = read_h5ad(tmp_path / f"st/{VISIUM}.h5ad", ImportOptions(tmp_path / f"wsis/{VISIUM}.tif"))
    assert found.um_per_px == um and found.counts.sum() == spots.X.sum()


def test_hest_itself_goes_there_and_back(tmp_path):
    write_sample(tmp_path / "a", "TENX.1", patient="")
    write_sample(tmp_path / "a", "NCBI2", tech="Spatial Transcriptomics", seed=1)
    write_sample(tmp_path / "a", "INT3", tech="Xenium", seed=2)
    done = export(tmp_path / "a", tmp_path / "b", "--compression", "lzw", "--no-patches")
    assert done.returncode == 0 and not (tmp_path / "b/patches").exists(), done.stderr
    assert examples(tmp_path / "a") == examples(tmp_path / "b")
    patients = [{one.name: (one.patient, one.study) for one in stimage.open_root(tmp_path / x).slides} for x in "ab"]
    assert patients[0] == patients[1]


def test_what_cannot_be_written_is_named_and_leaves_nothing(sample, tmp_path):
    done = run(SCRIPT, sample, "--slides", ST, "--to", "hest", "--out", tmp_path / "out", "--patch-um", 20)
    assert done.returncode == 1 and "would up-sample" in done.stderr
    assert not [path for path in files(tmp_path / "out") if not path.startswith(".")]
    data = made_sample()
    data.uns["spatial"]["ST"]["scalefactors"]["spot_diameter_fullres"] = 30.0  # which contradicts the pitch
    write_sample(tmp_path / "a", "TENX1", data, pixel_size_um_estimated=None)
    done = export(tmp_path / "a", tmp_path / "out", "--no-patches")
    assert done.returncode == 1
    assert "TENX1: HEST's layout needs µm per pixel, and this slide's is not trusted" in done.stderr
    write_sample(tmp_path / "b", "TENX2")
    assert export(tmp_path / "b", tmp_path / "out", "--upsample", "--patch-px", 16).returncode == 0
    (tmp_path / "out/wsis/TENX2.tif").unlink()  # it is written anew
    assert export(tmp_path / "b", tmp_path / "out", "--upsample", "--patch-px", 16).returncode == 0
    assert (tmp_path / "out/wsis/TENX2.tif").exists()


NOT_OF = {
    "one_file= (--one-file) works only with to= (--to) h5ad": ("hest", {"one_file": True}, ["--one-file"]),
    "panel= (--panel) works only with": ("hest", {"panel": ["ERBB2"]}, ["--panel", "no.json"]),
    "embeddings= (--embeddings) works only with": ("hest", {"embeddings": {"X": "no"}}, ["--embeddings", "no"]),
    "normalise= (--normalise) works only with": ("hest", {"normalise": "log1p"}, ["--normalise", "log1p"]),
    "patch= (--patch-um, --patch-px) works only with": ("h5ad", {"patch": {"um": 112, "px": 32}}, ["--patch-px", 32]),
    "patches= (--no-patches) works only with to= (--to) hest": ("spatialdata", {"patches": False}, ["--no-patches"]),
    "patches= (--no-patches): leaves none": (
        "hest", {"patches": False, "upsample": True}, ["--no-patches", "--upsample"]
    ),
    "compression= (--compression) works only with": ("h5ad", {"compression": "lzw"}, ["--compression", "lzw"]),
    "quality= (--quality): 101 is more than 100": ("hest", {"quality": 101}, ["--quality", 101]),
}  # fmt: skip


@pytest.mark.parametrize("said", NOT_OF)
def test_an_option_of_another_format_is_refused_by_name(sample, tmp_path, said):
    to, options, words = NOT_OF[said]
    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        stimage.export_slides(sample, tmp_path / "out", to, **options)
    done = run(SCRIPT, sample, "--to", to, *words, "--out", tmp_path / "out")
    assert done.returncode == 1 and done.stderr.startswith(f"error: {said}"), done.stderr
    assert not (tmp_path / "out").exists()


def test_python_writes_the_same(sample, tmp_path, caplog):
    root, patch = stimage.open_root(sample, slides=[VISIUM]), {"um": 112, "px": 16}
    found = stimage.export_slides(root, tmp_path / "a", "hest", patch=patch, upsample=True)
    assert found == {VISIUM: tmp_path / f"a/st/{VISIUM}.h5ad"}
    export(sample, tmp_path / "b", "--slides", VISIUM, "--upsample", "--patch-px", 16)
    told = [json.loads((tmp_path / f"{x}/metadata/{VISIUM}.json").read_text()) for x in "ab"]
    assert told[0] == told[1] and told[0]["dataset_title"]
    with caplog.at_level("INFO"):
        stimage.export_slides(root, tmp_path / "a", "hest", patch=patch, upsample=True)
    assert "1 of 1 slides were there already, unchanged" in caplog.text
