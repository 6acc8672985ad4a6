"""Images as scanners write them, against OpenSlide; and what becomes of them where OpenSlide is not installed."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from stimage.core.errors import DataError
from stimage.slides.catalog import read_catalog
from stimage.slides.images.reader import open_image, read_patches
from stimage.slides.spots import open_spots
from tests.formats.test_source_scale import add
from tests.outs import write_outs
from tests.roots import write_slide

openslide = pytest.importorskip("openslide", reason="the extra slides is not installed")

WIDTH, HEIGHT, TILE = 512, 384, (128, 128)
APERIO = "Aperio Image Library v12.0.16\n512x384 [0,0 512x384] (128x128) {}|AppMag = 20|MPP = 0.4990"
PICTURE = {"photometric": "rgb", "metadata": None}


def picture(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    grain = np.random.default_rng(0).integers(0, 30, (height, width, 3))
    return (np.stack([x // 3, y // 2, (x + y) // 4], 2) + grain).clip(0, 255).astype(np.uint8)


def svs(path: Path, compression: str = "jpeg", label_larger: bool = False) -> Path:
    """Write what Aperio writes: the slide, a thumbnail of its shape, a level, a label and a macro image."""
    with tifffile.TiffWriter(path) as file:
        slide = {"tile": TILE, "compression": compression, **PICTURE}
        file.write(picture(), description=APERIO.format("JPEG"), **slide)
        file.write(picture()[::2, ::2].copy(), description=APERIO.format("thumbnail"), rowsperstrip=16, **PICTURE)
        file.write(picture()[::4, ::4].copy(), description=APERIO.format("level"), **slide)
        side = 900 if label_larger else 90
        file.write(np.zeros((side, side, 3), np.uint8), description="Aperio Image Library v12\nlabel 90x90",
                   subfiletype=1, rowsperstrip=16, **PICTURE)  # fmt: skip
        file.write(np.zeros((80, 200, 3), np.uint8), description="Aperio Image Library v12\nmacro 200x80",
                   subfiletype=9, rowsperstrip=16, **PICTURE)  # fmt: skip
    return path


def vms(folder: Path) -> Path:
    """Write a slide of Hamamatsu's VMS: an index, and JPEGs beside it."""
    Image.fromarray(picture()).save(folder / "s.jpg", quality=95, restart_marker_blocks=8, subsampling=0)
    for name in ("map", "macro"):
        Image.fromarray(picture()[::8, ::8].copy()).save(folder / f"{name}.jpg", restart_marker_blocks=1, subsampling=0)
    keys = "NoLayers=1\nNoJpegColumns=1\nNoJpegRows=1\nImageFile=s.jpg\nMapFile=map.jpg\nMacroImage=macro.jpg\n"
    (folder / "s.vms").write_text(
        f"[Virtual Microscope Specimen]\n{keys}PhysicalWidth=117760\nPhysicalHeight=88320\nSourceLens=40\n"
    )
    return folder / "s.vms"


def is_as_openslide_reads(path: Path) -> None:
    image = open_image(str(path))
    with openslide.OpenSlide(str(path)) as slide:
        assert [(level.width, level.height) for level in image.levels] == list(slide.level_dimensions)
        assert image.um_per_px == pytest.approx(float(slide.properties["openslide.mpp-x"]))
        for k, level in enumerate(image.levels):
            want = np.asarray(slide.read_region((0, 0), k, (level.width, level.height)))[..., :3]
            assert np.array_equal(image.region(0, 0, level.width, level.height, k), want)
        boxes = np.array([[x, y, x + 100, y + 90] for y in range(0, 300, 77) for x in range(0, 400, 93)])
        for box, patch in zip(boxes.tolist(), read_patches(str(path), boxes)):
            want = np.asarray(slide.read_region((box[0], box[1]), 0, (100, 90)))[..., :3]
            assert np.array_equal(patch, want)


@pytest.mark.parametrize("compression", ["jpeg", "aperio_jp2000_rgb"])
def test_aperio_is_as_openslide_reads_it(tmp_path, compression):
    is_as_openslide_reads(svs(tmp_path / "slide.png", compression))


def test_aperio_needs_no_openslide_and_a_large_label_is_no_slide(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openslide", None)
    image = open_image(str(svs(tmp_path / "slide.svs", "zlib", label_larger=True)))
    assert np.array_equal(image.region(0, 0, WIDTH, HEIGHT), picture())
    assert [level.width for level in image.levels] == [WIDTH, WIDTH // 4]


def test_hamamatsu_vms_is_as_openslide_reads_it(tmp_path):
    is_as_openslide_reads(vms(tmp_path))


def test_aperio_ycbcr_is_left_to_openslide(tmp_path, monkeypatch):
    """Its JPEG 2000 has YCbCr, and no header says so."""
    path = svs(tmp_path / "slide.svs", "aperio_jp2000_ycbc")
    assert type(open_image(str(path))).__name__ == "OpenSlideImage"
    is_as_openslide_reads(path)
    monkeypatch.setitem(sys.modules, "openslide", None)
    with pytest.raises(DataError, match=r"slide.svs: is a slide of Aperio JPEG 2000, .*\[slides\]"):
        open_image(str(path))


@pytest.mark.parametrize("head", [b"\0" * 128 + b"DICM" + bytes(99), b"ZISRAWFILE" + bytes(99), b"SQLite format 3\0"])
def test_what_only_openslide_reads_is_named_without_it_and_refused_where_it_is_damaged(tmp_path, monkeypatch, head):
    (path := tmp_path / "slide.png").write_bytes(head)
    with pytest.raises(DataError, match=r"slide.png: is no slide of .* that can be read"):
        open_image(str(path))
    monkeypatch.setitem(sys.modules, "openslide", None)
    with pytest.raises(DataError, match=r'slide.png: is a slide of .*, which OpenSlide reads; .*\[slides\]"'):
        open_image(str(path))


def test_a_cut_slide_is_refused(tmp_path):
    for path in (svs(tmp_path / "slide.svs"), vms(tmp_path).with_name("s.jpg")):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 3])
    for path in (tmp_path / "slide.svs", tmp_path / "s.vms"):
        with pytest.raises(DataError, match=f"{path.name}: is "):
            open_image(str(path)).region(0, 0, WIDTH, HEIGHT)


def test_a_slide_of_several_files_is_made_one_by_the_advice(tmp_path):
    """A root has one file of each image; the command in the message is run as it stands."""
    write_outs(tmp_path)
    done = add(tmp_path, "S", "--image", path := vms(tmp_path), "--um-per-px", 1.25, "--trust-coordinates")
    assert done.returncode and "s.vms" in done.stderr
    pixels = open_image(str(path)).region(0, 0, WIDTH, HEIGHT)
    (advice,) = re.findall('python -c "(.*)"', done.stderr) or [""]
    subprocess.run([sys.executable, "-c", advice], cwd=tmp_path, check=True)
    converted = open_image(str(tmp_path / "converted.tif"))
    assert np.array_equal(converted.region(0, 0, WIDTH, HEIGHT), pixels)
    assert converted.um_per_px == pytest.approx(0.23) and converted.alone


def test_a_root_has_an_svs_under_its_own_name(tmp_path):
    write_slide(tmp_path, "A", "ST")
    (tmp_path / "ST/image/A.png").unlink()
    svs(tmp_path / "ST/image/A.svs", "zlib")
    spots = open_spots(read_catalog(str(tmp_path)).slides[0])
    assert spots.image_info.type == "tiff" and spots.image_info.width == WIDTH
