"""µm per pixel as an image's own file says it."""

import numpy as np
import pytest
import tifffile

from stimage.slides.images.reader import open_image
from stimage.slides.images.readers.pixel_size import contradiction
from tests.formats.test_source_scale import add, scale_of
from tests.outs import write_outs

RGB = np.zeros((64, 64, 3), np.uint8)
PLAIN = {"photometric": "rgb", "metadata": None}
APERIO = "Aperio Image Library v11\n64x64 [0,0 64x64] (16x16) |AppMag = 20|MPP = 0.4990|Left = 2"


def said(path, **options) -> list[tuple[float, str]]:
    tifffile.imwrite(path, RGB, **({"photometric": "rgb"} | options))
    return [(round(size.um_per_px, 6), size.source) for size in open_image(str(path)).pixel_sizes]


def ome(**sizes) -> dict:
    return {"ome": True, "metadata": {"axes": "YXS", **sizes}}


def test_each_way_is_read(tmp_path):
    path = tmp_path / "slide.tif"
    assert said(path, resolution=(20_000, 20_000), resolutionunit="CENTIMETER") == [(0.5, "TIFF's XResolution per cm")]
    assert said(path, resolution=(50_800, 50_800), resolutionunit="INCH") == [(0.5, "TIFF's XResolution per inch")]
    assert said(path, description=APERIO, metadata=None) == [(0.499, "Aperio's MPP")]
    assert said(path, **ome(PhysicalSizeX=0.25, PhysicalSizeY=0.25)) == [(0.25, "OME's PhysicalSizeX")]
    sizes = {"PhysicalSizeX": 250, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 250, "PhysicalSizeYUnit": "nm"}
    assert said(path, **ome(**sizes)) == [(0.25, "OME's PhysicalSizeX")]


@pytest.mark.parametrize(
    "options",
    [{}, {"resolution": (72, 72), "resolutionunit": "INCH"}, {"resolution": (1, 1), "resolutionunit": "NONE"},
     {"resolution": (20_000, 20_000), "resolutionunit": "NONE"}, {"description": APERIO.replace("0.4990", "n/a")},
     {"description": "MPP = 0.5"}, {"resolution": (0, 0), "resolutionunit": "INCH"},
     ome(PhysicalSizeX=0.25, PhysicalSizeXUnit="pixel", PhysicalSizeY=0.25, PhysicalSizeYUnit="pixel"),
     ome(PhysicalSizeX=-1, PhysicalSizeY=-1)],
)  # fmt: skip
def test_what_is_no_scanners_says_nothing(tmp_path, options):
    assert said(tmp_path / "slide.tif", **({"metadata": None} | options)) == []


def test_contradictions_are_told(tmp_path):
    tifffile.imwrite(path := tmp_path / "slide.tif", RGB, description=APERIO, resolution=(20_000, 10_000),
                     resolutionunit="CENTIMETER", **PLAIN)  # fmt: skip
    image = open_image(str(path))
    assert image.um_per_px == 0.499 and len(image.pixel_sizes) == 3
    assert contradiction(image.pixel_sizes) == "Aperio's MPP says 0.499 µm per pixel, TIFF's YResolution per cm 1"
    assert not contradiction(image.pixel_sizes[:2])  # 0.499 and 0.5: one is rounded


def test_a_slide_that_is_added_gets_it_where_the_source_says_none(tmp_path):
    """And where the source says another size, that is told."""
    write_outs(tmp_path)
    image, other = tmp_path / "tissue.tif", tmp_path / "other.tif"
    per_cm = {"resolution": (10_000 / 1.25,) * 2, "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(other, tifffile.imread(image), description=APERIO.replace("0.4990", "1.24"), **PLAIN, **per_cm)
    done = add(tmp_path, "Mine", "--image", other)
    assert done.returncode == 0 and "1.24 µm/px by image file (Aperio's MPP)" in done.stdout, done.stderr
    assert scale_of(tmp_path / "root", "Mine") == (pytest.approx(1.24), "image file (Aperio's MPP)")
    tifffile.imwrite(other, tifffile.imread(image), description=APERIO.replace("0.4990", "1.3"), **PLAIN, **per_cm)
    done = add(tmp_path, "Two", "--image", other)
    assert "other.tif: Aperio's MPP says 1.3 µm per pixel, TIFF's XResolution per cm 1.25; pass" in done.stderr
    done = add(tmp_path, "Told", "--image", other, "--um-per-px", 1.1)
    assert scale_of(tmp_path / "root", "Told") == (pytest.approx(1.1), "user (add_slide --um-per-px)")
    assert "other.tif: Aperio's MPP says 1.3 µm per pixel, but user (add_slide --um-per-px) 1.1" in done.stderr
