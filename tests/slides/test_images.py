"""Patches against Pillow's crop, pixel for pixel, for each kind of image and any boxes."""

import hashlib
import io
import json
import os
import struct
import zlib

import numpy as np
import pytest
import pyvips
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from stimage.errors import DataError
from stimage.slides import images
from stimage.slides.coordinates import read_coordinates
from stimage.slides.patches import square_boxes

STABLE = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
HEIGHT, WIDTH = 150, 97


def pixels(bands: int = 3, dtype=np.uint8) -> np.ndarray:
    """Return smooth colours with some noise, so that lossy formats have something to lose."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    base = np.stack([x * 2, y, (x + y), 255 - x][:bands], 2) % 256
    noisy = np.clip(base + rng.integers(-20, 20, base.shape), 0, 255)
    return (noisy * 257).astype(dtype) if dtype == np.uint16 else noisy.astype(dtype)


def by_pillow(mode="RGB", kind="PNG", **options) -> bytes:
    image = Image.fromarray(pixels()).convert(mode)
    image.save(file := io.BytesIO(), kind, **options)
    return file.getvalue()


def by_vips(suffix: str, bands: int = 3, dtype=np.uint8, **options) -> bytes:
    image = pyvips.Image.new_from_array(pixels(bands, dtype))
    if dtype == np.uint16:
        image = image.copy(interpretation="rgb16" if bands == 3 else "grey16")
    return image.write_to_buffer(suffix, **options)


def rotated() -> bytes:
    exif = Image.Exif()
    exif[274] = 6  # orientation: turned by 90 degrees
    return by_pillow(kind="JPEG", quality=95, exif=exif)


def pages() -> bytes:
    first, second = Image.fromarray(pixels()), Image.fromarray(255 - pixels())
    first.save(file := io.BytesIO(), "TIFF", save_all=True, append_images=[second])
    return file.getvalue()


TILES = {"tile": True, "tile_width": 32, "tile_height": 16}
KINDS = {
    **{f"png {mode}": lambda mode=mode: by_pillow(mode) for mode in ("RGB", "L", "LA", "RGBA", "P", "1")},
    "png palette with transparency": lambda: by_pillow("P", transparency=3),
    "png 16 bit": lambda: by_vips(".png", dtype=np.uint16),
    "png interlaced": lambda: by_vips(".png", interlace=True),
    "tiff lzw": lambda: by_pillow(kind="TIFF", compression="tiff_lzw"),
    "tiff one strip": lambda: by_pillow(kind="TIFF"),
    "tiff strips of 3 rows": lambda: by_pillow(kind="TIFF", compression="tiff_lzw", tiffinfo={278: 3}),
    "tiff grey": lambda: by_pillow("L", kind="TIFF"),
    "tiff cmyk": lambda: by_pillow("CMYK", kind="TIFF"),
    "tiff 1 bit": lambda: by_pillow("1", kind="TIFF", compression="group4"),
    "tiff pages": pages,
    "tiff tiled deflate": lambda: by_vips(".tif", compression="deflate", **TILES),
    "tiff tiled raw": lambda: by_vips(".tif", **TILES),
    "tiff tiled bigtiff": lambda: by_vips(".tif", bigtiff=True, **TILES),
    "jpeg": lambda: by_pillow(kind="JPEG", quality=90),
    "jpeg grey": lambda: by_pillow("L", kind="JPEG"),
    "jpeg cmyk": lambda: by_pillow("CMYK", kind="JPEG"),
    "jpeg progressive": lambda: by_pillow(kind="JPEG", progressive=True),
    "jpeg turned by exif": rotated,
}
NEAR = st.integers(-40, max(HEIGHT, WIDTH) + 40)


@st.composite
def boxes(draw):
    corners = draw(st.lists(st.tuples(NEAR, NEAR, st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=12))
    return np.array([(x, y, x + w, y + h) for x, y, w, h in corners])


def same_as_pillow(path, some: np.ndarray) -> None:
    image = Image.open(path).convert("RGB")
    got = list(images.read_patches(str(path), some))
    assert len(got) == len(some)
    for patch, box in zip(got, some.tolist()):
        assert np.array_equal(patch, np.asarray(image.crop(box)).reshape(patch.shape))


@pytest.mark.parametrize("kind", KINDS)
@given(boxes(), st.booleans(), st.sampled_from([5, 16, 300]))
@settings(STABLE, max_examples=12)
def test_equal_to_pillow(tmp_path, kind, some, in_order, strip):
    (tmp_path / "slide.png").write_bytes(KINDS[kind]())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "STRIP", strip)
        same_as_pillow(tmp_path / "slide.png", some[np.argsort(some[:, 1])] if in_order else some)


@pytest.mark.parametrize(("suffix", "bands"), [(".png", 1), (".tif", 1), (".tif", 3)])
def test_of_16_bits_the_upper_byte_is_kept(tmp_path, suffix, bands):
    (tmp_path / "slide.png").write_bytes(by_vips(suffix, bands, np.uint16))
    (patch,) = images.read_patches(str(tmp_path / "slide.png"), np.array([[0, 0, WIDTH, HEIGHT]]))
    assert np.array_equal(patch, np.broadcast_to(pixels(bands), patch.shape))


def test_memory_is_a_strip_not_the_image(tmp_path, monkeypatch):
    path, asked = tmp_path / "tall.png", []
    pyvips.Image.black(50, 20_000, bands=3).pngsave(str(path))
    monkeypatch.setattr(
        images.np, "empty", lambda shape, dtype, empty=np.empty: asked.append(shape) or empty(shape, dtype)
    )
    some = np.array([[0, y, 30, y + 30] for y in range(100, 19_000, 7)])
    assert sum(1 for _ in images.read_patches(str(path), some)) == len(some)
    assert asked == [(30 + images.STRIP, 30, 3)]


def tile_places(path) -> list[tuple[int, int]]:
    with Image.open(path) as image:
        return list(zip(image.tag_v2[324], image.tag_v2[325]))


def test_only_tiles_under_boxes_are_read(tmp_path):
    path = tmp_path / "slide.png"
    path.write_bytes(by_vips(".tif", compression="deflate", **TILES))
    (_, _), *_, (last, size) = tile_places(path)
    content = bytearray(path.read_bytes())
    content[last : last + size] = b"\0" * size
    path.write_bytes(content)
    (patch,) = images.read_patches(str(path), np.array([[0, 0, 32, 16]]))
    assert np.array_equal(patch, pixels()[:16, :32])
    with pytest.raises(DataError, match=r"slide.png: is damaged or cut off"):
        list(images.read_patches(str(path), np.array([[WIDTH - 4, HEIGHT - 4, WIDTH, HEIGHT]])))


@pytest.mark.parametrize("kind", ["png RGB", "png interlaced", "jpeg", "jpeg progressive", "tiff lzw", "tiff one strip",
                                  "tiff tiled deflate", "tiff tiled bigtiff", "tiff strips of 3 rows"])  # fmt: skip
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_a_cut_image_is_refused(tmp_path, kind, share):
    content = KINDS[kind]()
    (tmp_path / "slide.png").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"slide.png: "):
        list(images.read_patches(str(tmp_path / "slide.png"), np.array([[0, 0, WIDTH, HEIGHT]])))


@pytest.mark.parametrize(
    "content", [b"", b"text\n" * 99, b"II*\0\xff\xff\xff\xff", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"]
)
def test_no_image_is_refused(tmp_path, content):
    (tmp_path / "slide.png").write_bytes(content)
    with pytest.raises(DataError, match=r"slide.png: is no PNG, JPEG or TIFF image"):
        images.image_info(str(tmp_path / "slide.png"))


def test_floats_are_refused(tmp_path):
    pyvips.Image.new_from_array(np.ones((8, 8), np.float32)).tiffsave(str(tmp_path / "slide.png"))
    with pytest.raises(DataError, match="float b-w; save it as 8-bit RGB"):
        images.image_info(str(tmp_path / "slide.png"))


def test_the_guard_against_bombs(tmp_path):
    content = bytearray(KINDS["png RGB"]())
    content[16:24] = struct.pack(">II", 70_000, 70_000)  # a header that promises much
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "slide.png").write_bytes(content)
    with pytest.raises(DataError, match=r"70000 x 70000 pixels, more than 4,000,000,000; .* max_image_pixels"):
        images.image_info(str(tmp_path / "slide.png"))
    assert images.image_info(str(tmp_path / "slide.png"), max_pixels=70_000**2).width == 70_000


def test_a_forked_child_reads_after_its_parent_did(tmp_path):
    (tmp_path / "slide.png").write_bytes(KINDS["jpeg"]())
    some = np.array([[0, 0, WIDTH, HEIGHT]])
    (want,) = images.read_patches(str(tmp_path / "slide.png"), some)
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        (got,) = images.read_patches(str(tmp_path / "slide.png"), some)
        os.write(write, b"same" if np.array_equal(got, want) else b"other")
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        assert pipe.read() == b"same"
    os.waitpid(child, 0)


def test_golden_digests_of_real_slides(shared):
    golden = json.loads((shared / "golden/golden.json").read_text())["crops"]
    for slide, want in golden.items():
        spots = read_coordinates(str(shared / f"real/ST/coord/{slide}_coord.csv"))
        order = np.argsort(spots.y)
        some = square_boxes(spots.x, spots.y, spots.r)[order]
        patches = images.read_patches(str(shared / f"real/ST/image/{slide}.png"), some)
        ids = [spots.ids[int(i)].as_py() for i in order]
        assert {i: hashlib.sha256(p.tobytes()).hexdigest()[:16] for i, p in zip(ids, patches)} == want["sha256_16"]
