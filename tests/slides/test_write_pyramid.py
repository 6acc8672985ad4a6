"""Images written as pyramids: the pixels that patches have, levels of halves, tags, and nothing where it fails."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from stimage.core.errors import DataError
from stimage.slides.images import pyramid
from stimage.slides.images.pyramid import write_pyramid
from stimage.slides.images.reader import read_patches
from tests.formats.annotated import picture


@pytest.fixture
def image(tmp_path):
    Image.fromarray(np.tile(picture(), (3, 2, 1))).save(tmp_path / "slide.jpg", quality=95)  # 840 x 900
    return str(tmp_path / "slide.jpg")


def pixels(path) -> np.ndarray:
    return next(read_patches(str(path), np.array([[0, 0, 840, 900]])))


@pytest.mark.parametrize("compression", pyramid.COMPRESSIONS[1:])
def test_without_loss_pixels_are_the_same(image, tmp_path, compression):
    out = tmp_path / "out.tif"
    write_pyramid(image, out, 0.25, compression)
    assert (pixels(out) == pixels(image)).all()
    with tifffile.TiffFile(out) as tiff:
        assert [page.shape for page in tiff.pages] == [(900, 840, 3), (450, 420, 3), (225, 210, 3)]
        page = tiff.pages[0]
        assert (page.tilewidth, page.tilelength, tiff.is_bigtiff) == (256, 256, False)
        assert page.tags["ResolutionUnit"].value == 3  # cm
        value = page.tags["XResolution"].value
        assert value[0] / value[1] == pytest.approx(40_000) and "ImageDescription" not in page.tags
        half = pixels(image).reshape(450, 2, 420, 2, 3).mean((1, 3))
        assert np.abs(tiff.pages[1].asarray() - half).max() <= 1


def test_jpeg_description_and_large_files(image, tmp_path, monkeypatch):
    monkeypatch.setattr(pyramid, "CLASSIC", 1000)
    write_pyramid(image, tmp_path / "out.tif", None, quality=95, description="Aperio |AppMag = 40|MPP = 0.25")
    assert np.abs(pixels(tmp_path / "out.tif").astype(int) - pixels(image)).mean() < 2
    with tifffile.TiffFile(tmp_path / "out.tif") as tiff:
        assert tiff.is_bigtiff and tiff.pages[0].description == "Aperio |AppMag = 40|MPP = 0.25"
        assert tiff.pages[0].compression.name == "JPEG"


@pytest.mark.parametrize(
    ("mode", "value"), [("L", 77), ("RGBA", (10, 20, 30, 0)), ("CMYK", (10, 20, 30, 40)), ("P", 3)]
)
def test_other_images_are_written_as_patches_see_them(tmp_path, mode, value):
    name = "slide.tif" if mode == "CMYK" else "slide.png"
    Image.new(mode, (300, 280), value).save(tmp_path / name)
    write_pyramid(str(tmp_path / name), tmp_path / "out.tif", 1.0, "deflate")
    box = np.array([[0, 0, 300, 280]])
    ours, theirs = (next(read_patches(str(tmp_path / one), box)) for one in ("out.tif", name))
    assert (ours == theirs).all()


def test_an_image_that_is_cut_off_leaves_nothing(image, tmp_path):
    whole = Path(image).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut.jpg: is damaged or cut off"):
        write_pyramid(str(tmp_path / "cut.jpg"), tmp_path / "out.tif", 0.25)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.jpg", "slide.jpg"]
    with pytest.raises(ValueError, match="pass one of jpeg"):
        write_pyramid(image, tmp_path / "out.tif", 0.25, "webp")
