"""Physical patches from the fitting level of an image's pyramid."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile
from datasets import load_dataset
from PIL import Image
from scipy.ndimage import gaussian_filter

import stimage
import stimage_1k4m
from stimage.slides.images.levels import fitting_level
from stimage.slides.images.patches import Patch
from stimage.slides.images.reader import open_image
from stimage.slides.scale.scale import Scale
from tests.roots import write_slide

SIDE = 512


def scale_of(um_per_px: float) -> Scale:
    return Scale(um_per_px, um_per_px, 4.0, "trusted", None)


def tissue(seed: int = 0, size: int = SIDE) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(size, size, 3))
    smooth = np.stack([gaussian_filter(noise[..., k], 6) for k in range(3)], 2)
    return np.clip(150 + 900 * smooth, 0, 255).astype(np.uint8)


def halved(pixels: np.ndarray) -> np.ndarray:
    return pixels.reshape(pixels.shape[0] // 2, 2, -1, 2, 3).mean((1, 3)).round().astype(np.uint8)


def write(path: Path, *pages: np.ndarray, subifds: int = 0) -> str:
    with tifffile.TiffWriter(path) as file:
        for k, page in enumerate(pages):
            below = {"subifds": subifds} if subifds and not k else {}
            file.write(page, photometric="rgb", tile=(64, 64), compression="zlib", metadata=None, **below)
    return str(path)


@pytest.fixture
def slide(tmp_path) -> tuple[str, list[np.ndarray]]:
    levels = [tissue()]
    for _ in range(3):
        levels.append(halved(levels[-1]))
    return write(tmp_path / "slide.tif", *levels, subifds=3), levels


@pytest.mark.parametrize(("factor", "level"), [(0.9, 0), (1, 0), (1.99, 0), (2, 1), (3.9, 1), (4, 2), (8, 3), (99, 3)])
def test_the_coarsest_level_that_is_not_coarser_than_the_patch(slide, factor, level):
    assert fitting_level(open_image(slide[0]), factor) == level


def test_a_patch_is_that_of_its_level(slide):
    """At 0.5 µm/px, 64 µm in 32 px ask for 2 µm/px: level 2, where they are 32 px."""
    path, levels = slide
    x, y = np.array([200.0, 260.0, 20.0]), np.array([150.0, 300.0, 500.0])
    got = list(Patch(64, 32, pyramid=True).cut(path, x, y, x * 0 + 5, scale_of(0.5)))
    for patch, cx, cy in zip(got, x / 4, y / 4):
        want = Image.fromarray(levels[2]).crop((int(cx) - 20, int(cy) - 20, int(cx) + 20, int(cy) + 20))
        box = (cx - 16 - int(cx) + 20, cy - 16 - int(cy) + 20, cx + 16 - int(cx) + 20, cy + 16 - int(cy) + 20)
        assert np.array_equal(patch, want.resize((32, 32), Image.Resampling.BICUBIC, box))
    full = list(Patch(64, 32).cut(path, x, y, x * 0 + 5, scale_of(0.5)))
    differences = [np.abs(a.astype(int) - b).mean() for a, b in zip(got, full)]
    assert 0 < max(differences) < 2
    assert all(np.array_equal(a, b) for a, b in zip(full, Patch(64, 32).cut(path, x, y, x, scale_of(0.5))))


def test_a_page_of_the_same_shape_that_shows_another_picture_is_no_level(tmp_path, caplog):
    full = tissue()
    path = write(tmp_path / "slide.tif", full, halved(full), 255 - tissue(5, SIDE // 4))
    assert len(open_image(path).levels) == 3
    with caplog.at_level(logging.WARNING):
        assert fitting_level(open_image(path), 4) == 1
    assert "slide.tif: a page of 128 x 128 pixels has the slide's shape, but shows another picture" in caplog.text


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.rot90, lambda pixels: pixels])
def test_a_picture_of_little_tissue_that_is_turned_is_no_level(tmp_path, turn):
    """The pictures are glass but for a corner, so that they differ little on average."""
    full = np.full((SIDE, SIDE, 3), 240, np.uint8)
    full[:140, :140] = tissue(size=140)
    path = write(tmp_path / "slide.tif", full, np.ascontiguousarray(turn(halved(full))))
    assert fitting_level(open_image(path), 2) == int(turn(full) is full)


def test_an_image_without_levels_is_cut_from_level_0(tmp_path):
    path = write(tmp_path / "slide.tif", tissue())
    x = np.array([200.0])
    one, other = (list(Patch(64, 32, pyramid=p).cut(path, x, x, x, scale_of(0.5))) for p in (False, True))
    assert np.array_equal(one, other)


@pytest.mark.parametrize(("patch", "pyramid"), [("original", True), ({"um": 64, "px": 32}, "yes")])
def test_pyramid_is_of_physical_patches(patch, pyramid):
    with pytest.raises(ValueError, match="pyramid"):
        Patch.parse(patch, pyramid=pyramid)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A root of one slide, whose image has three levels."""
    root = tmp_path_factory.mktemp("root")
    write_slide(root, "A", "ST")
    full = tissue()
    path = root / "ST/image/A.png"
    path.unlink()
    write(path, full, halved(full), halved(halved(full)))
    return root


OPTIONS = {"patch": {"um": 64, "px": 16}, "um_per_px": 1.0}


def test_data_sets_and_shards_record_it(root, tmp_path):
    plain, level = (
        [np.asarray(spot["image"]) for spot in stimage_1k4m.load("ST", str(root), pyramid=p, **OPTIONS)]
        for p in (False, True)
    )
    assert len(plain) == len(level) and not all(np.array_equal(a, b) for a, b in zip(plain, level))
    opened = stimage.open_root(root, um_per_px=1.0)
    stimage.publish(opened, tmp_path / "out", patch=OPTIONS["patch"], pyramid=True)
    assert json.loads((tmp_path / "out/.build/options.json").read_text())["patch"]["pyramid"] is True
    card = (tmp_path / "out/README.md").read_text()
    assert "16 x 16 pixels, cut from the fitting level of the image's pyramid" in card
    published = [np.asarray(spot["image"]) for spot in load_dataset(str(tmp_path / "out"), "ST", split="train")]
    assert all(np.array_equal(a, b) for a, b in zip(level, published, strict=True))
