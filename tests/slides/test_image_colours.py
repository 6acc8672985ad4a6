"""Pixels that are not RGB as stored: refused, never shown in wrong colours; the command in each message is right."""

import re
import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import PIL
import pytest
import pyvips
import tifffile
from PIL import Image, ImageCms

from stimage.core.errors import DataError
from stimage.slides.images.reader import image_info, open_image, too_dark

TILES = {"tile": (64, 64), "metadata": None}


def colours(side=(96, 130)) -> np.ndarray:
    y, x = np.mgrid[: side[0], : side[1]]
    return np.stack([x + 60, 230 - y, (x + y) // 2 + 40], 2).astype(np.uint8)


def whole(path: Path) -> np.ndarray:
    image = open_image(str(path))
    return image.region(0, 0, image.width, image.height)


def converted(folder: Path, message: str) -> np.ndarray:
    (command,) = re.findall('python -c "(.*)"', message)
    subprocess.run([sys.executable, "-c", command], cwd=folder, check=True)
    (path,) = folder.glob("converted.*")
    return whole(path)


def lab_of_8_bits(path: Path) -> None:
    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    ImageCms.profileToProfile(Image.fromarray(colours()), rgb, lab, outputMode="LAB").save(path, "TIFF")


def lab(space: str):
    def write(path: Path) -> None:
        image = pyvips.Image.new_from_array(colours()).copy(interpretation="srgb").colourspace(space)
        path.write_bytes(image.write_to_buffer(".tif"))

    return write


def ycbcr(path: Path) -> None:
    pixels = np.asarray(Image.fromarray(colours()).convert("YCbCr"))
    tifffile.imwrite(path, pixels, photometric="ycbcr", compression="zstd", **TILES)


def blue_first(path: Path) -> None:
    metadata = {"axes": "CYX", "Channel": {"Name": ["Blue", "Green", "Red"]}}
    planes = np.moveaxis(colours()[..., ::-1], 2, 0)
    tifffile.imwrite(path, planes, photometric="minisblack", ome=True, metadata=metadata)


def of_libvips(path: Path) -> None:
    pyvips.Image.new_from_array(colours()).copy(interpretation="srgb").write_to_file(f"{path}.v")
    Path(f"{path}.v").rename(path)


WRONG = {
    "8 bits": (lab_of_8_bits, "its pixels are L*a*b*", 16), "16 bits": (lab("labs"), "its pixels are L*a*b*", 1),
    "floats": (lab("lab"), "its pixels are L*a*b*", 1), "zstd": (ycbcr, "its pixels are YCbCr without JPEG", 3),
    "channels": (blue_first, "not red, green and blue: Blue, Green, Red", 0),
    "libvips": (of_libvips, "a VIPS image", 0),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_other_colours_are_converted_by_the_command(tmp_path, kind):
    if kind == "zstd" and int(PIL.__version__.partition(".")[0]) < 12:
        pytest.skip("Pillow before 12 can't decode these")
    write, words, most = WRONG[kind]
    write(tmp_path / "slide.tif")
    with pytest.raises(DataError, match=rf"slide.tif: not supported: .*{re.escape(words)}; convert it so") as error:
        open_image(str(tmp_path / "slide.tif"))
    assert np.abs(converted(tmp_path, str(error.value)).astype(int) - colours()).max() <= most


@pytest.mark.parametrize("kind", ["icclab", "cfa", "linear_raw"])
def test_pixels_of_no_known_colours_are_refused(tmp_path, kind):
    pixels = colours()[..., 0] if kind == "cfa" else colours()
    tifffile.imwrite(path := tmp_path / "slide.tif", pixels, photometric=kind, **TILES)
    with pytest.raises(DataError, match=f"slide.tif: not supported: its pixels are {kind.upper()}, no colours that"):
        open_image(str(path))


@pytest.mark.parametrize("compression", ["zlib", "zstd"])
def test_a_palette_of_8_bits_is_not_black(tmp_path, compression):
    index, palette = colours()[..., 0], np.random.default_rng(0).integers(0, 256, (3, 256)).astype(np.uint16)
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, index, photometric="palette", colormap=palette, compression=compression, **TILES)
    assert np.array_equal(whole(path), palette.T[index])


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_grey_is_divided_by_alpha(tmp_path, compression):
    grey, alpha = colours()[..., :1].astype(int), np.full((96, 130, 1), 51)
    pixels = np.concatenate([grey * alpha // 255, alpha], 2).astype(np.uint8)
    options = {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": ["assocalpha"], **TILES}
    tifffile.imwrite(path := tmp_path / "slide.tif", pixels, compression=compression, **options)
    assert np.array_equal(whole(path), (grey // 5 * 5).repeat(3, 2))


@pytest.mark.parametrize("bands", [1, 2])
def test_dark_grey_is_made_brighter_by_the_command(tmp_path, bands):
    grey = colours()[..., :bands].astype(np.uint16)
    pixels = grey[..., 0] if bands == 1 else grey
    tifffile.imwrite(
        path := tmp_path / "dark.tif", pixels << 4, photometric="minisblack", planarconfig="contig", **TILES
    )
    told = too_dark(str(path), image_info(str(path)), whole(path))
    assert told.startswith("its bands have 16 bits, but no value above 4,095")
    assert np.array_equal(converted(tmp_path, told), grey[..., :1].repeat(3, 2))


def test_grey_jpeg_2000_loses_its_alpha(tmp_path):
    grey = colours()[..., :2].copy()
    (tmp_path / "slide.jp2").write_bytes(imagecodecs.jpeg2k_encode(grey, level=0))
    with pytest.raises(DataError, match="a JPEG 2000 image") as error:
        open_image(str(tmp_path / "slide.jp2"))
    assert np.array_equal(converted(tmp_path, str(error.value)), grey[..., :1].repeat(3, 2))


def test_text_is_no_image(tmp_path):
    (tmp_path / "slide.png").write_text("1 2 3\n4 5 6\n")
    with pytest.raises(DataError, match=r"slide.png: is no PNG, JPEG or TIFF image that can be read \(it is text\)"):
        open_image(str(tmp_path / "slide.png"))
