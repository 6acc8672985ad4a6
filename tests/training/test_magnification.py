"""Patches of one size in µm: other ones are refused by name, and slides that are too coarse fall out with a count."""

import numpy as np
import pytest

from stimage.core.errors import DataError
from stimage.core.shipped import find_config
from stimage.slides.catalog import read_catalog
from stimage.training.data.magnification import check_magnification, scale_of, without_coarse
from stimage.training.data.parts import Parts, choose_parts
from stimage.training.settings.reading import make_settings, read_settings
from tests.building import BUILD
from tests.roots import write_csv, write_slide
from tests.test_scripts import run

SCALES = {"A": 0.4, "B": 0.45, "C": 0.69}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Three slides of ST of known scales; 2r is 10 px of each."""
    root = tmp_path_factory.mktemp("magnification") / "root"
    for k, name in enumerate(SCALES):
        write_slide(root, name, "ST", side=4, seed=k)
    write_csv(root / "scales.csv", [["slide", "um_per_px"], *SCALES.items()])
    return root


def settings_of(root, **more):
    scales = {} if (root / "slides.parquet").exists() else {"um_per_px": str(root / "scales.csv")}
    return make_settings({"source": str(root), "towers.second": "text", **scales, **more})


def test_squares_of_2r_that_differ_are_refused(root):
    settings = settings_of(root)
    remedy = "pass data.patch_um=112 and data.patch_px=162 for one size"  # which the coarsest slide has
    with pytest.raises(DataError, match=f"squares of 2r, of 4 µm on A but 7 µm on C; {remedy}"):
        check_magnification(settings, choose_parts(settings))
    with pytest.raises(DataError, match="squares of 2r"):  # also if the other is held out
        check_magnification(settings, Parts(("A",), ("C",)))
    check_magnification(settings, Parts(("A", "B"), (), ("C",)))  # the last is left alone
    check_magnification(settings_of(root, mixed_magnification=True), choose_parts(settings))
    check_magnification(settings_of(root, patch_um=5, patch_px=5), choose_parts(settings))


def test_technologies_differ_where_no_scale_is_known(tmp_path):
    for tech, name in (("ST", "A"), ("Visium", "B")):
        write_slide(tmp_path / "root", name, tech, side=2)
    settings = make_settings({"source": str(tmp_path / "root"), "towers.second": "text"})
    assert {scale_of(slide) for slide in read_catalog(str(tmp_path / "root")).slides} == {None}
    with pytest.raises(DataError, match="of 55 µm on B but 100 µm on A"):
        check_magnification(settings, choose_parts(settings))


def test_published_folders_are_held_to_the_same(root, tmp_path):
    scales = ("--um-per-px", root / "scales.csv")
    assert run(BUILD, root, tmp_path / "mixed", *scales).returncode == 0
    settings = settings_of(tmp_path / "mixed")
    with pytest.raises(DataError, match="publish the root again with one size"):
        check_magnification(settings, choose_parts(settings))
    assert run(BUILD, root, tmp_path / "one", "--patch-um", 5, "--patch-px", 5, *scales).returncode == 0
    check_magnification(settings_of(tmp_path / "one"), choose_parts(settings_of(tmp_path / "one")))


def test_slides_that_are_too_coarse_fall_out_with_a_count(root):
    said = []
    settings = settings_of(root, patch_um=112, patch_px=224, too_coarse="drop")
    left, coarse = without_coarse(settings, Parts(("A", "C"), ("B",), ("D",)), said.append)
    assert left == Parts(("A",), ("B",), ("D",)) and coarse == ["C"]
    assert said == ["note: 1 of 3 slides are coarser than 112 µm in 224 px, and left out: C; data.patch_px=162 takes "
                    "them all"]  # fmt: skip
    assert without_coarse(settings_of(root, patch_um=112, patch_px=162, too_coarse="drop"), left, said.append)[1] == []
    with pytest.raises(DataError, match=r"no slide is left to train on: 1 of 1 .*; data.patch_px=162 takes"):
        without_coarse(settings, Parts(("C",)), said.append)
    for other in ({"too_coarse": "error"}, {"too_coarse": "drop", "upsample": True}):
        every = Parts(("A", "C"))
        assert without_coarse(settings_of(root, patch_um=112, patch_px=224, **other), every, said.append)[0] is every
    assert len(said) == 1


def test_shipped_configurations_ask_for_one_size():
    for name in ("clip_vit_b32_hvg", "clip_vit_b32_text", "plip_overlap_hvg"):
        data = read_settings(find_config(name), source="x").data
        assert (data.patch_um, data.patch_px, data.too_coarse) == (112, 224, "drop")
    original = read_settings(find_config("original"), source="x").data
    assert original.patch_um is None and original.mixed_magnification


def test_real_slides_have_160_px(shared):
    scales = [scale_of(slide) for slide in read_catalog(str(shared / "real")).slides]
    assert all(scale is None or np.floor(112 / scale) >= 160 for scale in scales) and any(scales)
