"""An AnnData's slides, their images and scale: one is read right, or a line says which to name."""

import json
from pathlib import Path

import anndata
import numpy as np
import pytest

import stimage
from stimage.formats.h5ad import read_h5ad
from stimage.formats.imported import ImportOptions
from tests.formats.annotated import HEIGHT, WIDTH, is_right, logged, picture, refusal, slide
from tests.test_scripts import run

pytestmark = pytest.mark.usefixtures("old_strings")
SCRIPT = "data_collection/add_slide.py"


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
    assert "pass the diameter in pixels of the full-resolution image as spot_diameter=" in refusal(read, data)
    found = read(data, spot_diameter=22)
    assert is_right(found) and found.r == 11 and found.frame is None
    assert "has no image; pass the full-resolution image as image=" in refusal(read, data, None, spot_diameter=22)


def test_several_slides_in_one_file(read):
    """They are told apart by a column, or by what barcodes begin with; one must be named."""
    both = anndata.concat({"A": slide(0, "A"), "B": slide(1, "B")}, label="sample", index_unique="-", merge="same",
                          uns_merge="unique")  # fmt: skip
    assert "has 2 slides in obs['sample']: A, B; name the one to take as library= (--library)" in refusal(read, both)
    for name, image in (("A", picture(0)), ("B", picture(1))):
        found = read(both, library=name)
        assert is_right(found, image) and found.left_out["spots of other slides"] == 54
    assert "has no slide 'C', but A, B" in refusal(read, both, library="C")
    del both.obs["sample"]
    assert "in uns['spatial']: A, B; name" in refusal(read, both)
    assert is_right(read(both, library="A"))  # barcodes end in -A and -B
    both.obs_names = [f"spot{k}" for k in range(both.n_obs)]
    assert "nothing says to which slide a spot belongs; add a column library_id" in refusal(read, both, library="A")
    both.obs["library_id"] = ["A"] * 54 + ["B"] * 54
    assert is_right(read(both, library="B"), picture(1))
    del both.uns["spatial"]["B"]  # one entry for spots of two slides
    assert "has 2 slides in obs['library_id']: A, B" in refusal(read, both)
    assert is_right(read(both, library="A"))
    assert "has no entry 'B', only A; give the entry the name that obs has" in refusal(
        read, both, library="B"
    )  # A's scale is not B's


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


def test_the_script_says_what_was_left_out_and_how_to_go_on(tmp_path, tissue):
    data = logged(slide())
    data.raw = slide()
    data.write_h5ad(tmp_path / "slide.h5ad")
    add = (SCRIPT, tmp_path / "slide.h5ad", "--out", tmp_path / "root", "--slide", "Mine", "--image", tissue)
    assert "pass layer='raw' (--layer raw)" in run(*add).stderr and not (tmp_path / "root").exists()
    assert run(*add, "--layer", "raw").returncode == 0
    both = anndata.concat({"A": slide(0, "A"), "B": slide(1, "B")}, label="sample", index_unique="-", merge="same",
                          uns_merge="unique")  # fmt: skip
    both.write_h5ad(tmp_path / "slide.h5ad")
    assert "name the one to take as library= (--library)" in run(*add).stderr
    assert run(*add, "--library", "A").returncode == 0
    added = stimage.add_slide(both, tmp_path / "root", "Other", library="B")
    assert stimage.read_slide(tmp_path / "root", "Other").n_obs == 53 and added.tech == "Visium"
