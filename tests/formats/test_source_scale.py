"""What a source says of µm per pixel is heeded, divided where its small image is added, and kept in the meta file."""

import csv
import json
from pathlib import Path

import anndata
import pandas as pd
import pytest
from datasets import load_dataset

import stimage_1k4m  # noqa: F401
from stimage.formats.written.anndata_files import write_h5ad
from stimage.formats.written.options import ExportOptions
from stimage.slides.catalog import read_catalog
from tests.outs import write_outs
from tests.roots import write_slide
from tests.test_scripts import run

pytestmark = pytest.mark.usefixtures("old_strings")
SCRIPT = "data_collection/add_slide.py"


def scale_of(root: Path, slide: str, config: str = "Visium") -> tuple[float | None, str]:
    """Return µm per pixel as loaded, and the meta file's word on who says it."""
    spots = load_dataset("stimage_1k4m", config, data_dir=str(root), split="train", streaming=True, slides=slide)
    rows = {row["slide"]: row for row in csv.DictReader((root / "meta/meta_all_gene.csv").open(newline=""))}
    return next(iter(spots))["um_per_px"], rows[slide]["um_per_px_source"]


def factors(folder: Path, **more: object) -> None:
    path = folder / "outs/spatial/scalefactors_json.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | more))


def add(folder: Path, slide: str, *options, source: str = "outs"):
    return run(SCRIPT, folder / source, "--out", folder / "root", "--slide", slide, *options)


def test_space_ranger_says_microns_per_pixel(tmp_path):
    write_outs(tmp_path)
    image = ("--image", tmp_path / "tissue.tif")
    factors(tmp_path, microns_per_pixel=1.24)
    assert "1.24 µm/px by Space Ranger (microns_per_pixel)" in add(tmp_path, "Full", *image).stdout
    assert scale_of(tmp_path / "root", "Full") == (pytest.approx(1.24), "Space Ranger (microns_per_pixel)")
    assert add(tmp_path, "Small").returncode == 0  # of tissue_hires_image.png, half as large
    assert scale_of(tmp_path / "root", "Small")[0] == pytest.approx(2.48)
    assert add(tmp_path, "Told", *image, "--um-per-px", 1.26).returncode == 0
    assert scale_of(tmp_path / "root", "Told") == (pytest.approx(1.26), "user (add_slide --um-per-px)")
    assert add(tmp_path, "Told_small", "--um-per-px", 1.26).returncode == 0
    assert scale_of(tmp_path / "root", "Told_small")[0] == pytest.approx(2.52)
    factors(tmp_path, microns_per_pixel=0.62)
    done = add(tmp_path, "Wrong", *image)
    assert "Wrong: trusted: 0.62 µm/px" in done.stderr and "2.02 times as much" in done.stderr


def test_without_a_word_of_the_source_the_lattice_tells(tmp_path):
    write_outs(tmp_path)
    assert "1.25 µm/px by lattice" in add(tmp_path, "Mine", "--image", tmp_path / "tissue.tif").stdout
    assert scale_of(tmp_path / "root", "Mine") == (pytest.approx(1.25, rel=1e-3), "")


@pytest.mark.parametrize("value", [0, -0.5, "half", None, float("nan")])
def test_a_source_that_says_no_number_is_refused(tmp_path, value):
    write_outs(tmp_path)
    factors(tmp_path, microns_per_pixel=value)
    done = add(tmp_path, "Mine", "--image", tmp_path / "tissue.tif")
    assert done.returncode == 1 and "scalefactors_json.json: microns_per_pixel is " in done.stderr
    assert not (tmp_path / "root").exists()
    assert add(tmp_path, "Mine", "--image", tmp_path / "tissue.tif", "--um-per-px", 1.25).returncode == 0
    assert add(tmp_path, "Mine", "--um-per-px", value).returncode == 2


@pytest.mark.parametrize("more", [{"microns_per_pixel": 16 / 80}, {}])
def test_bins_whose_barcodes_are_numbers(tmp_path, more):
    """HEST's and spatialdata's: the bins' size is what the source says, whatever the slide is called."""
    _, places = write_outs(tmp_path)
    data = anndata.AnnData(pd.DataFrame(1, [str(i) for i in range(len(places))], ["A", "B"]).astype("float32"))
    data.obsm["spatial"] = places[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy(float)
    told = {"bin_size_um": 16.0, "spot_diameter_fullres": 80.0, "tissue_hires_scalef": 0.5} | more
    data.uns["spatial"] = {"lib": {"images": {}, "scalefactors": told}}
    data.write_h5ad(tmp_path / "bins.h5ad")
    name = "CRC_vs_008um_rerun"
    done = add(tmp_path, name, "--image", tmp_path / "tissue.tif", source="bins.h5ad")
    assert done.returncode == 0, done.stderr
    key = "microns_per_pixel" if more else "bin_size_um"
    assert scale_of(tmp_path / "root", name, "VisiumHD") == (pytest.approx(0.2), f"Space Ranger ({key})")


@pytest.mark.parametrize("place", ["uns", "metadata", "beside"])
def test_hest_says_pixel_size_um_estimated(sample, tmp_path, place):
    slide = next(one for one in read_catalog(str(sample)).slides if one.tech == "Visium")
    (tmp_path / "st").mkdir()
    write_h5ad([slide], tmp_path / "st/TENX1.h5ad", ExportOptions(image_px=100_000))
    data = anndata.read_h5ad(tmp_path / "st/TENX1.h5ad")
    if place == "uns":
        data.uns["pixel_size_um_estimated"] = 2.02
    elif place == "metadata":
        data.uns["spatial"][slide.name]["metadata"] = {"pixel_size_um_estimated": 2.02}
    else:
        (tmp_path / "metadata").mkdir()
        (tmp_path / "metadata/TENX1.json").write_text('{"id": "TENX1", "pixel_size_um_estimated": 2.02, "age": NaN}')
    data.obs = data.obs[[]]
    data.write_h5ad(tmp_path / "st/TENX1.h5ad")
    assert add(tmp_path, "Mine", source="st/TENX1.h5ad").returncode == 0
    assert scale_of(tmp_path / "root", "Mine") == (pytest.approx(2.02), "HEST (pixel_size_um_estimated)")


def test_make_meta_keeps_scales_and_the_check_knows_their_columns(tmp_path):
    root, path = tmp_path / "root", tmp_path / "root/meta/meta_all_gene.csv"
    for k, name in enumerate(("A", "B")):
        write_slide(root, name, "ST", seed=k)
    table = pd.read_csv(path, dtype=str).assign(um_per_px=["0.5", ""], um_per_px_source=["user", ""])
    table.to_csv(path, index=False)
    (tmp_path / "slides.csv").write_text("slide,species,tissue,title\nA,human,breast,One\nB,human,breast,Two\n")
    done = run("data_collection/make_meta.py", root, "--slides", tmp_path / "slides.csv", "--out", path)
    assert done.returncode == 0, done.stderr
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert rows[["slide", "title", "um_per_px", "um_per_px_source"]].to_numpy().tolist() == [
        ["A", "One", "0.5", "user"], ["B", "Two", "", ""],
    ]  # fmt: skip
    checked = run("data_collection/make_meta.py", "--check", path)
    assert checked.returncode == 0, checked.stdout
    path.write_text(path.read_text().replace('"0.5"', '"half"'))
    checked = run("data_collection/make_meta.py", "--check", path)
    assert checked.returncode == 1 and "um_per_px 'half' is no number above 0" in checked.stdout
