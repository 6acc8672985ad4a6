"""Patches against Pillow's crop, pixel for pixel, for each kind of image and any boxes."""

import io
import multiprocessing
import os
import re
import struct
import zlib
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import pyvips
import tifffile
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from stimage.core.errors import DataError
from stimage.slides.images import reader as images
from stimage.slides.images.readers.slide_image import ImageInfo
from tests.pictures import HEIGHT, MADE, TILES, WIDTH, big_endian, made, pil, pixels, vips

SOME = settings(max_examples=12)
WHOLE = np.array([[0, 0, WIDTH, HEIGHT]])
NEAR = st.integers(-60, max(HEIGHT, WIDTH) + 40)
LONG = st.integers(0, 60) | st.integers(0, 400)
BOX = st.tuples(NEAR, NEAR, LONG, LONG).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
EDGES = [(-9, 40, 20, 60), (80, 40, 120, 60), (40, -9, 60, 9), (40, 140, 60, 170), (-9, -9, 0, 0), (9, -50, 20, 0),
         (0, 150, 9, 160), (97, 0, 99, 9), (20, 20, 20, 30), (20, 30, 30, 30), (-50, -50, 300, 300)]  # fmt: skip


def save(tmp_path: Path, content: bytes) -> str:
    (tmp_path / "slide.png").write_bytes(content)
    return str(tmp_path / "slide.png")


def check(path: str, boxes: np.ndarray, image: Image.Image) -> None:
    got = list(images.read_patches(path, boxes))
    assert len(got) == len(boxes)
    for patch, box in zip(got, boxes.tolist()):
        assert patch.shape == (box[3] - box[1], box[2] - box[0], 3) and patch.dtype == np.uint8
        assert np.array_equal(patch, np.asarray(image.crop(box)).reshape(patch.shape))


@pytest.mark.parametrize("kind", MADE)
@given(st.lists(BOX, max_size=12), st.booleans(), st.sampled_from([5, 16, 300]))
@example(EDGES, False, 16)
@example(EDGES, True, 16)
@example([(0, HEIGHT - 3, 9, HEIGHT)], True, 16)  # all rows but the last are skipped
@SOME
def test_equal_to_pillow(tmp_path, kind, boxes, in_order, strip):
    """All kinds are equal, lossy ones too: Pillow and libvips decode with the same libjpeg-turbo and its defaults."""
    path = save(tmp_path, made(kind))
    boxes = np.array(sorted(boxes, key=lambda box: box[1]) if in_order else boxes, int).reshape(-1, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "STRIP", strip)
        check(path, boxes, Image.open(path).convert("RGB"))


@pytest.mark.parametrize(
    ("mode", "kind", "why"),
    [("RGB", "GIF", "a GIF image"), ("RGB", "WEBP", "a WEBP image"), ("YCbCr", "TIFF", "YCbCr without JPEG")],
)
def test_other_kinds_of_images_are_refused(tmp_path, mode, kind, why):
    with pytest.raises(DataError, match=why):
        images.image_info(save(tmp_path, pil(mode, kind)))


def test_a_big_endian_bigtiff_is_read(tmp_path):
    check(save(tmp_path, big_endian(True)), WHOLE, Image.fromarray(pixels()))  # Pillow does not know such files


def test_what_the_header_says(tmp_path):
    for kind, bands, bits, tiled in (("png of 16 bits", 3, 16, False), ("tiff tiled cmyk", 4, 8, True)):
        want = ImageInfo(kind.split()[0], WIDTH, HEIGHT, bands, bits, tiled)
        assert images.image_info(save(tmp_path, made(kind))) == want


def big_endian_grey(*_) -> bytes:
    Image.fromarray(pixels(1, np.uint16)[..., 0].astype(">u2")).save(file := io.BytesIO(), "TIFF")
    return file.getvalue()


@pytest.mark.parametrize("make", [partial(vips, ".png"), partial(vips, ".tif"), big_endian_grey])
def test_of_16_bit_grey_the_upper_byte_is_kept(tmp_path, make):
    """Pillow can't be the reference here: it clips such pixels to 255."""
    (patch,) = images.read_patches(save(tmp_path, make("grey16", 1, np.uint16)), WHOLE)
    assert np.array_equal(patch, np.broadcast_to(pixels(1), patch.shape))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_an_orientation_is_not_applied(tmp_path, kind):
    """The reference is the same image without the tag: Pillow turns TIFF images when it loads them."""
    exif = Image.Exif()
    exif[274] = 6  # turned by 90 degrees
    turned = pil(kind=kind, tiffinfo={274: 6}) if kind == "TIFF" else pil(kind=kind, exif=exif)
    with Image.open(path := save(tmp_path, turned)) as image:
        assert image.getexif()[274] == 6
    check(path, WHOLE, Image.open(io.BytesIO(pil(kind=kind))).convert("RGB"))


def test_a_file_that_changed_is_read_anew(tmp_path):
    for kind in ("png RGB", "jpeg L", "tiff tiled deflate", "tiff tiled jpeg", "tiff tiled cmyk", "png RGB"):
        check(path := save(tmp_path, made(kind)), WHOLE, Image.open(path).convert("RGB"))


@pytest.mark.parametrize("options", [{}, {"compression": "deflate"} | TILES])
def test_boxes_of_a_tall_image_may_go_up(tmp_path, options):
    tall = np.tile(pixels(), (40, 1, 1)) + np.arange(6000, dtype=np.uint8)[:, None, None]
    pyvips.Image.new_from_array(tall).write_to_file(path := str(tmp_path / "tall.tif"), **options)
    check(path, np.array([[9, y, 40, y + 30] for y in range(5970, 0, -70)]), Image.fromarray(tall))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_the_ring_is_a_strip_not_the_image(tmp_path, monkeypatch, suffix):
    path, asked = str(tmp_path / f"tall{suffix}"), []
    pyvips.Image.black(50, 20_000, bands=3).write_to_file(path)
    empty = np.empty
    monkeypatch.setattr(images.np, "empty", lambda shape, dtype: asked.append(shape) or empty(shape, dtype))
    boxes = np.array([[0, y, 30, y + 30] for y in range(100, 19_000, 7)])
    assert sum(1 for _ in images.read_patches(path, boxes)) == len(boxes)
    assert asked == [(30 + images.STRIP, 30, 3)]


def peak_megabytes() -> int:
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the peak of memory cannot be reset")
def test_far_less_memory_is_taken_than_the_image_has(tmp_path):
    path = str(tmp_path / "tall.jpg")
    pyvips.Image.black(3000, 20_000, bands=3).write_to_file(path)  # 180 MB of pixels
    Path("/proc/self/clear_refs").write_text("5")
    before = peak_megabytes()
    boxes = np.array([[0, y, 100, y + 100] for y in range(0, 19_900, 50)])
    assert sum(1 for _ in images.read_patches(path, boxes)) == len(boxes)
    assert peak_megabytes() - before < 40


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the peak of memory cannot be reset")
def test_images_that_were_read_leave_no_memory_behind(tmp_path):
    """Each of them has 20 MB of rows in libvips' buffers while it is read."""
    path, boxes = str(tmp_path / "wide.jpg"), np.array([[0, y, 40, y + 40] for y in range(0, 960, 40)])
    pyvips.Image.black(10_000, 1000, bands=3).write_to_file(path)
    for times in (2, 10):
        Path("/proc/self/clear_refs").write_text("5")
        before = peak_megabytes()
        for _ in range(times):
            list(images.read_patches(path, boxes))
    assert peak_megabytes() - before < 30


def zeroed(content: bytes, part: int) -> bytes:
    """Overwrite a strip or tile of a TIFF."""
    with Image.open(io.BytesIO(content)) as image:
        places = list(zip(*(image.tag_v2.get(tile) or image.tag_v2[strip] for tile, strip in ((324, 273), (325, 279)))))
    at, size = places[part]
    return content[:at] + bytes(size) + content[at + size :]


@pytest.mark.parametrize("compression", ["deflate", "lzw", "jpeg", "packbits"])
def test_only_tiles_under_boxes_are_read(tmp_path, compression):
    content = vips(".tif", compression=compression, **TILES)
    want = Image.open(io.BytesIO(content)).convert("RGB")
    path = save(tmp_path, zeroed(content, -1))
    around = np.array([[0, 0, 96, HEIGHT], [0, 0, WIDTH, 144], [97, 145, 120, 170]])  # the last tile begins at 96, 144
    check(path, around, want)
    for touching in ([96, 144, 97, 145], [0, 0, 300, 300]):
        with pytest.raises(DataError, match=r"slide.png: is damaged or cut off"):
            list(images.read_patches(path, np.array([touching])))
    check(path, around, want)


@pytest.mark.parametrize("kind", ["png RGB", "png interlaced", "tiff lzw", "tiff deflate", "tiff strips of jpeg"])
def test_damaged_pixels_are_refused(tmp_path, kind):
    content, middle = made(kind), len(made(kind)) // 2
    damaged = zeroed(content, -1) if kind[:4] == "tiff" else content[:middle] + bytes(9) + content[middle + 9 :]
    with pytest.raises(DataError, match=r"slide.png: is damaged or cut off"):
        list(images.read_patches(save(tmp_path, damaged), WHOLE))


def test_a_damaged_image_does_not_spoil_the_next(tmp_path):
    content = bytearray(made("jpeg"))
    content[len(content) // 2 : len(content) // 2 + 40] = b"\xff" * 40
    with suppress(DataError):  # libjpeg only warns of this, and Pillow reads it
        list(images.read_patches(save(tmp_path, content), WHOLE))
    check(path := save(tmp_path, made("tiff tiled deflate")), WHOLE, Image.open(path).convert("RGB"))


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of tags that are not there
@pytest.mark.parametrize("kind", MADE)
def test_an_image_cut_anywhere_is_refused(tmp_path, kind):
    content = made(kind)
    last = len(content) - 12 if kind.startswith("png") else len(content)  # the last chunk of a PNG has no pixels
    for size in {*range(0, last, last // 30 + 1), last // 2, *range(last - 20, last)}:
        path = save(tmp_path, content[:size])
        try:
            (patch,) = images.read_patches(path, WHOLE)
        except DataError as error:
            assert str(error).startswith(path)
        else:  # a TIFF may lack what lies behind its pixels, such as a further page
            assert kind.startswith("tiff") and size > len(content) - 300
            assert np.array_equal(patch, Image.open(io.BytesIO(content)).convert("RGB"))


@pytest.mark.parametrize(
    "content", [b"", b"text\n" * 99, b"II*\0\xff\xff\xff\xff", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", bytes(999)]
)
def test_no_image_is_refused(tmp_path, content):
    with pytest.raises(DataError, match=r"slide.png: is no PNG, JPEG or TIFF image"):
        list(images.read_patches(save(tmp_path, content), WHOLE))


@pytest.mark.parametrize(("dtype", "name"), [(np.float32, "float32"), (np.int32, "int32")])
def test_other_numbers_are_refused(tmp_path, dtype, name):
    Image.fromarray(np.ones((8, 8), dtype)).save(path := str(tmp_path / "slide.png"), "TIFF")
    with pytest.raises(DataError, match=f"slide.png: not supported: its pixels are {name}; convert it so: python"):
        images.image_info(path)


def test_the_guard_against_bombs(tmp_path):
    content = bytearray(made("png RGB"))
    content[16:24] = struct.pack(">II", 70_000, 70_000)  # a header that promises much
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path = save(tmp_path, content)
    for read in (images.image_info, lambda path: list(images.read_patches(path, WHOLE))):
        with pytest.raises(DataError, match=r"slide.png: has 70000 x 70000 pixels, more than 4,000,000,000; .* max_im"):
            read(path)
    assert images.image_info(path, max_pixels=70_000**2).width == 70_000
    with pytest.raises(DataError, match=r"more than 4,899,999,999"):
        images.image_info(path, max_pixels=70_000**2 - 1)


@pytest.mark.parametrize("kind", ["png RGB", "jpeg", "tiff lzw", "tiff tiled jpeg"])
def test_a_forked_child_reads_after_its_parent_did(tmp_path, kind):
    path = save(tmp_path, made(kind))
    check(path, WHOLE, image := Image.open(path).convert("RGB"))
    child = multiprocessing.get_context("fork").Process(target=check, args=(path, WHOLE, image))
    child.start()
    child.join(20)
    child.kill()  # if it hangs
    assert child.exitcode == 0


def test_the_largest_page_of_a_tiff_is_the_slide(tmp_path):
    """A label, an overview or a macro photograph may come first."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (300, 400, 3), np.uint8)
    for tile in (None, (64, 64)):
        with tifffile.TiffWriter(tmp_path / "pages.tif") as file:
            for page in (pixels[:200, :390] // 2, pixels, pixels[::2, ::2].copy()):
                file.write(page, photometric="rgb", metadata=None, tile=tile)
        info = images.image_info(str(tmp_path / "pages.tif"))
        assert (info.width, info.height) == (400, 300)
        (patch,) = images.read_patches(str(tmp_path / "pages.tif"), np.array([[100, 100, 150, 150]]))
        assert np.array_equal(patch, pixels[100:150, 100:150])
