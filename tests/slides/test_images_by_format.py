"""Images as scanners and converters write them, each pixel for pixel against what another decoder gives."""

import re
import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import PIL
import pytest
import tifffile
from PIL import Image

from stimage.core.errors import DataError
from stimage.slides.images.reader import open_image, read_patches

SIDE = (150, 210)
TILE = {"tile": (64, 64)}


def picture(bands: int = 3, dtype=np.uint8, size=SIDE) -> np.ndarray:
    y, x = np.mgrid[: size[0], : size[1]]
    base = np.stack([x + 20, 255 - y, (x + y) // 2, np.full_like(x, 255)][:bands], 2) % 256
    noisy = np.clip(base + np.random.default_rng(0).integers(-9, 9, base.shape), 0, 255)
    return (noisy * 257 if dtype == np.uint16 else noisy).astype(dtype)


def whole(path: Path, level: int = 0) -> np.ndarray:
    image = open_image(str(path))
    return image.region(0, 0, image.levels[level].width, image.levels[level].height, level)


def in_parts(path: Path) -> np.ndarray:
    """Put the image together from boxes that cut across tiles."""
    image = open_image(str(path))
    boxes = [(x, y, x + 37, y + 29) for y in range(0, image.height, 29) for x in range(0, image.width, 37)]
    pixels = np.zeros((image.height + 29, image.width + 37, 3), np.uint8)
    for (x0, y0, x1, y1), patch in zip(boxes, read_patches(str(path), np.array(boxes))):
        pixels[y0:y1, x0:x1] = patch
    return pixels[: image.height, : image.width]


ALIKE = {  # what tifffile's own reading of the file gives
    "bigtiff": {"bigtiff": True, **TILE},
    "zstd": {"compression": "zstd", **TILE},
    "zstd in strips, predicted": {"compression": "zstd", "predictor": True, "rowsperstrip": 7},
    "lzw": {"compression": "lzw", "predictor": True, **TILE},
    "deflate": {"compression": "zlib", "predictor": True, **TILE},
    "lzma": {"compression": "lzma", **TILE},
    "jpeg": {"compression": "jpeg", **TILE},
    "jpeg 4:2:0": {"compression": "jpeg", "compressionargs": {"level": 80}, "subsampling": (2, 2), **TILE},
    "jpeg 2000": {"compression": "jpeg2000", **TILE},
    "jpeg 2000, Aperio's RGB": {"compression": "aperio_jp2000_rgb", **TILE},
    "jpeg 2000, Aperio's YCbCr tag on RGB": {"compression": "aperio_jp2000_ycbc", **TILE},
    "jpeg xl": {"compression": "jpegxl", **TILE},
    "webp": {"compression": "webp", **TILE},
}


@pytest.mark.parametrize("kind", ALIKE)
def test_a_tiff_is_read_as_tifffile_reads_it(tmp_path, kind):
    tifffile.imwrite(path := tmp_path / "slide.png", picture(), photometric="rgb", **ALIKE[kind])
    want = tifffile.imread(path)
    assert np.array_equal(whole(path), want) and np.array_equal(in_parts(path), want)


@pytest.mark.parametrize("kind", ["zstd", "jpeg 2000", "lzma", "webp", "jpeg", "lzw"])
def test_damaged_tiles_are_refused(tmp_path, kind):
    tifffile.imwrite(path := tmp_path / "slide.tif", picture(), photometric="rgb", **ALIKE[kind])
    with tifffile.TiffFile(path) as tiff:
        at, size = tiff.pages[0].dataoffsets[-1], tiff.pages[0].databytecounts[-1]
    content = path.read_bytes()
    path.write_bytes(content[:at] + bytes(size) + content[at + size :])
    open_image(str(path)).region(0, 0, 64, 64)
    with pytest.raises(DataError, match=r"slide.tif: is damaged or cut off"):
        whole(path)


def test_pages_that_go_round_are_refused(tmp_path):
    """The second of two pages has the first one as its next."""
    tifffile.imwrite(path := tmp_path / "slide.tif", np.stack([picture()] * 2), photometric="rgb", metadata=None)
    with tifffile.TiffFile(path) as tiff:
        first, second = (page.offset for page in tiff.pages)
        tags = len(tiff.pages[1].tags)
    content = bytearray(path.read_bytes())
    content[second + 2 + 12 * tags : second + 6 + 12 * tags] = first.to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"slide\.tif: is damaged: after page 1 comes an earlier page again"):
        open_image(str(path))


@pytest.mark.parametrize("options", [{}, TILE, {"compression": "zlib", **TILE}, {"compression": "zlib"}])
def test_planes_of_a_page_are_joined(tmp_path, options):
    planes = np.moveaxis(picture(), 2, 0)
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate", **options)
    assert np.array_equal(in_parts(path), picture())


@pytest.mark.parametrize("names", [None, ["R", "G", "B"], ["red", "green", "blue"]])
def test_pages_of_an_ome_tiff_are_joined_and_sub_pages_are_levels(tmp_path, names):
    planes, path = np.moveaxis(picture(), 2, 0), tmp_path / "slide.ome.tif"
    metadata = {"axes": "CYX"} | ({"Channel": {"Name": names}} if names else {})
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(planes, photometric="minisblack", metadata=metadata, subifds=1, **TILE)
        file.write(planes[:, ::2, ::2].copy(), photometric="minisblack", subfiletype=1, **TILE)
    assert np.array_equal(in_parts(path), picture())
    assert np.array_equal(whole(path, 1), picture()[::2, ::2])


def test_channels_that_are_no_colours_are_refused_with_their_names(tmp_path):
    metadata = {"axes": "CYX", "Channel": {"Name": ["DAPI", "CD3", "CD20"]}}
    path = tmp_path / "slide.ome.tif"
    tifffile.imwrite(path, np.moveaxis(picture(), 2, 0), photometric="minisblack", ome=True, metadata=metadata)
    with pytest.raises(DataError, match="not red, green and blue: DAPI, CD3, CD20; convert it so"):
        open_image(str(path))


@pytest.mark.parametrize("compression", ["zlib", "zstd"])
def test_sub_pages_and_pages_are_levels(tmp_path, compression):
    """With a label between them, which is none."""
    full, label = picture(size=(300, 420)), picture(size=(140, 150))
    for below in (0, 2):
        with tifffile.TiffWriter(path := tmp_path / "slide.tif") as file:
            options = {"photometric": "rgb", "compression": compression, "metadata": None, **TILE}
            file.write(full, subifds=below, **options)
            file.write(full[::2, ::2].copy(), subfiletype=1, **options)
            file.write(full[::4, ::4].copy(), subfiletype=1, **options)
            file.write(label, **options)
        image = open_image(str(path))
        assert [(level.width, level.across) for level in image.levels] == [(420, 1), (210, 2), (105, 4)]
        assert all(np.array_equal(whole(path, k), full[:: 2**k, :: 2**k]) for k in range(3))


def test_of_12_bits_the_upper_8_are_kept(tmp_path):
    values = np.random.default_rng(0).integers(0, 4096, (20, 32, 3)).astype(np.uint16)
    path = tmp_path / "slide.tif"
    bits = values.reshape(-1, 1) >> np.arange(11, -1, -1) & 1
    packed = np.packbits(bits.astype(np.uint8)).tobytes()
    tifffile.imwrite(path, values >> 4 << 4, photometric="rgb", rowsperstrip=20)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages[0].tags["BitsPerSample"].overwrite((12, 12, 12))
        at = tiff.pages[0].dataoffsets[0]
        tiff.pages[0].tags["StripByteCounts"].overwrite(len(packed))
    content = path.read_bytes()
    path.write_bytes(content[:at] + packed + content[at + len(packed) :])
    assert np.array_equal(tifffile.imread(path), values)
    assert np.array_equal(whole(path), values >> 4)


@pytest.mark.parametrize("options", [{}, {"compression": "zstd", **TILE}])
def test_multiplied_alpha_is_divided_out(tmp_path, options):
    """As Pillow does; but where nothing is left of a colour, what is stored is not made black."""
    rgba = picture(4)
    rgba[..., 3] = np.arange(SIDE[1]) + 40
    rgba[:, :9, 3] = 0
    straight = rgba[..., :3].copy()
    rgba[:, 9:, :3] = rgba[:, 9:, :3].astype(int) * rgba[:, 9:, 3:] // 255
    tifffile.imwrite(path := tmp_path / "slide.tif", rgba, photometric="rgb", extrasamples=["assocalpha"], **options)
    got = in_parts(path)
    assert np.abs(got[:, 9:].astype(int) - straight[:, 9:]).max() <= 7
    assert np.array_equal(got[:, :9], straight[:, :9])
    if not options:
        assert np.array_equal(got[:, 9:], np.asarray(Image.open(path).convert("RGB"))[:, 9:])


@pytest.mark.parametrize("options", [{}, {"compression": "zstd", **TILE}])
def test_palettes_white_is_zero_and_ink(tmp_path, options):
    index, colours = picture(1)[..., 0], np.random.default_rng(0).integers(0, 256, (3, 256)).astype(np.uint16) * 257
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, index, photometric="palette", colormap=colours, **options)
    assert np.array_equal(whole(path), (colours.T[index] >> 8).astype(np.uint8))
    tifffile.imwrite(path, index, photometric="miniswhite", **options)
    assert np.array_equal(whole(path), (255 - index)[..., None].repeat(3, 2))
    tifffile.imwrite(path, picture(4), photometric="separated", **options)
    assert np.array_equal(whole(path), np.asarray(Image.fromarray(picture(4), "CMYK").convert("RGB")))


def save_as(kind: str):
    return lambda path: Image.fromarray(picture()).save(path, kind, **({"lossless": True} if kind == "WEBP" else {}))


def floats(path: Path) -> None:
    tifffile.imwrite(path, picture().astype(np.float64) / 255, photometric="rgb")


def three_pages(path: Path) -> None:
    tifffile.imwrite(path, np.moveaxis(picture(), 2, 0), photometric="minisblack", metadata=None)


def macro_first(path: Path) -> None:
    with tifffile.TiffWriter(path) as file:
        file.write(np.zeros((400, 300, 3), np.uint8), photometric="rgb", metadata=None)
        file.write(picture(), photometric="rgb", metadata=None, **TILE)


def jpeg_2000(path: Path) -> None:
    path.write_bytes(imagecodecs.jpeg2k_encode(picture(), level=0))


def jpeg_xl(path: Path) -> None:
    path.write_bytes(imagecodecs.jpegxl_encode(picture(), lossless=True))


def ycbcr(path: Path) -> None:
    Image.fromarray(picture()).convert("YCbCr").save(path, "TIFF")


def mislabelled(path: Path) -> None:
    Image.fromarray(picture()).convert("CMYK").save(path, "JPEG", quality=100)
    content = bytearray(path.read_bytes())
    content[content.find(b"Adobe") + 11] = 2
    path.write_bytes(content)


def test_ycck_is_read_as_pillow_reads_it(tmp_path):
    path = tmp_path / "slide.png"
    ink = np.asarray(Image.fromarray(picture()).convert("CMYK"))
    path.write_bytes(imagecodecs.jpeg8_encode(ink, level=98, colorspace="CMYK", outcolorspace="YCCK"))
    with Image.open(path) as image:
        assert image.mode == "CMYK" and image.info["adobe_transform"] == 2
        assert np.array_equal(whole(path), np.asarray(image.convert("RGB")))


REFUSED = {
    "a GIF image": save_as("GIF"), "a WEBP image": save_as("WEBP"), "a BMP image": save_as("BMP"),
    "its pixels are float64": floats, "3 pages of one band each": three_pages,
    "page 1 (210 x 150) has tiles as slides have": macro_first, "a JPEG 2000 image, which": jpeg_2000,
    "marker says YCCK, but": mislabelled, "a JPEG XL image, which": jpeg_xl, "its pixels are YCbCr without JPEG": ycbcr,
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_not_supported_is_converted_by_the_advice(tmp_path, words):
    """The command in the message is run as it stands."""
    if "YCbCr" in words and int(PIL.__version__.partition(".")[0]) < 13:
        pytest.skip("Pillow before 13 can't decode these")
    REFUSED[words](tmp_path / "a slide.png")
    with pytest.raises(DataError, match=f"png: not supported: .*{re.escape(words)}.*; convert it so: ") as error:
        open_image(str(tmp_path / "a slide.png"))
    (advice,) = re.findall('python -c "(.*)"', str(error.value))
    subprocess.run([sys.executable, "-c", advice], cwd=tmp_path, check=True)
    (converted,) = tmp_path.glob("converted.*")
    lossy = 3 if "YCbCr" in words else 12 if "YCCK" in words else 60 if "GIF" in words else 0
    assert np.abs(whole(converted).astype(int) - picture()).max() <= lossy
