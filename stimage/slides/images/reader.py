"""Read a slide's image of any format, and its patches in one pass from top to bottom, in the memory of a strip.

The content of a file, and never its name, chooses its reader; see `stimage.slides.images.readers`.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stimage.core.errors import DataError
from stimage.core.storage import check_readable, file_state
from stimage.slides.images.readers.jpeg_marker import MOST, mislabelled
from stimage.slides.images.readers.open_slide import OpenSlideImage, vendor_by_head
from stimage.slides.images.readers.remedies import (
    as_cmyk,
    by_imagecodecs,
    by_pillow,
    by_tifffile,
    not_supported,
    repeated,
)
from stimage.slides.images.readers.slide_image import ImageInfo, SlideImage
from stimage.slides.images.readers.tiff_image import TiffImage
from stimage.slides.images.readers.tiff_layout import read_layout
from stimage.slides.images.readers.vips_image import VipsImage

STRIP = 16  # rows decoded at a time: few enough for the processor's cache
MAX_IMAGE_PIXELS = 4_000_000_000  # the largest Visium HD scans have 1.5e9
DARK = 64  # of 255: the brightest that 14 bits of 16 can be; glass is never so dark
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
JPEG = b"\xff\xd8\xff"
WHOLE = {  # formats whose decoders hold the whole image, by how their files begin
    b"\0\0\0\x0cjP  ": "JPEG 2000", b"\xff\x4f\xff\x51": "JPEG 2000", b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
}  # fmt: skip


def open_image(path: str, max_pixels: int = MAX_IMAGE_PIXELS) -> SlideImage:
    """Open a slide's image.

    Parameters
    ----------
    path
        A file on this machine, under any name: PNG, JPEG, TIFF, or a format that OpenSlide reads.
    max_pixels
        Largest number of pixels: larger images are refused, as decompression bombs.

    Returns
    -------
    SlideImage
        The image with its size, its levels, and `SlideImage.region`. Among the pages of a TIFF, the largest is the
        slide; a label or an overview may come first.

    Raises
    ------
    DataError
        If the file is no image, is cut off, is too large, or is not supported. For the latter, the message has the
        command that converts it.
    """
    image = _reader(path)
    if image.width * image.height > max_pixels:
        raise DataError(
            f"{path}: has {image.width} x {image.height} pixels, more than {max_pixels:,}; "
            "if that is right, pass max_image_pixels"
        )
    return image


def _reader(path: str) -> SlideImage:
    check_readable(path)  # libvips says of what is not there that it is no image
    if os.path.exists(path) and not os.path.isfile(path):  # libvips waits for a pipe, and no signal ends that
        raise DataError(f"{path}: is no PNG, JPEG or TIFF image that can be read (it is no file)")
    with open(path, "rb") as file:
        head = file.read(256)
        if head.startswith(JPEG) and mislabelled(head + file.read(MOST)):
            raise not_supported(
                path, "a JPEG whose marker says YCCK, but whose colours are coded as CMYK", as_cmyk(path)
            )
    if not head:
        raise DataError(f"{path}: is no PNG, JPEG or TIFF image that can be read (it is empty)")
    if kind := next((kind for start, kind in WHOLE.items() if head.startswith(start)), ""):
        raise not_supported(path, f"a {kind} image, which is decoded whole", by_imagecodecs(path))
    if head.startswith(b"BM"):
        raise not_supported(path, "a BMP image", by_pillow(path))
    vendor = "MIRAX" if path.lower().endswith(".mrxs") else vendor_by_head(head)  # a .mrxs is a JPEG with a folder
    if vendor:
        return OpenSlideImage(path, vendor)
    if not head.startswith(TIFF):
        return VipsImage(path)
    layout = read_layout(path)
    if layout.vendor:
        return OpenSlideImage(path, layout.vendor)
    image = VipsImage(path, layout.places) if layout.places else TiffImage(path, layout.levels)
    image.pixel_sizes = layout.pixel_sizes
    return image


def image_info(path: str, max_pixels: int = MAX_IMAGE_PIXELS) -> ImageInfo:
    """Read an image's header; raises as `open_image` does."""
    return open_image(path, max_pixels).info


def too_dark(path: str, info: ImageInfo, pixels: np.ndarray) -> str | None:
    """Return what is wrong with 16-bit bands whose values have fewer bits, such as a camera's 12, and what to do.

    Parameters
    ----------
    pixels
        The image as it was read, or made small (uint8): the upper 8 bits of these bands, which are then nearly black.
    """
    if info.bits != 16 or (brightest := int(pixels.max(initial=0))) >= DARK:
        return None
    factor = 256 >> brightest.bit_length()
    command = by_tifffile(path, repeated(f"a * {factor}", info.bands))
    remedy = f"convert it so: {command}" if info.type == "tiff" else "save it as 8-bit RGB"
    return f"its bands have 16 bits, but no value above {65536 // factor - 1:,}, so that it is nearly black; {remedy}"


def read_patches(
    path: str | SlideImage, boxes: np.ndarray, max_pixels: int = MAX_IMAGE_PIXELS, level: int = 0
) -> Iterator[np.ndarray]:
    """Yield the pixels of each box, in the order of the boxes.

    Parameters
    ----------
    path
        The file of an image, as `open_image` takes it, or an opened image.
    boxes
        Edges x0, y0, x1, y1 in whole pixels of the level (n, 4). The memory is a ring of rows, which stays small if
        boxes go from top to bottom. From a tiled TIFF, only the tiles under the boxes are read.
    max_pixels
        Largest number of pixels: larger images are refused, as decompression bombs.
    level
        Number of the image's level.

    Yields
    ------
    numpy.ndarray
        RGB, uint8 (y1 - y0, x1 - x0, 3); black outside the image.

    Raises
    ------
    DataError
        As in `open_image`, and where the image is damaged under a box.
    """
    source = open_image(path, max_pixels) if isinstance(path, str) else path
    if len(boxes) and source.info.tiled:
        for ((x0, y0, x1, y1),) in _rows(boxes):  # neighbours share tiles, of which the reader keeps the last
            yield source.region(x0, y0, x1 - x0, y1 - y0, level)
    elif len(boxes):
        yield from _in_one_pass(source, boxes, level)


def _in_one_pass(source: SlideImage, boxes: np.ndarray, level: int) -> Iterator[np.ndarray]:
    """Read strips into a ring of rows that is as tall as boxes reach back, and cut each box once its last row is in."""
    size = source.levels[level]
    inside = np.clip(boxes, 0, [size.width, size.height] * 2)
    inside[:, 3] = np.maximum.accumulate(inside[:, 3])
    left, right, below = int(inside[:, 0].min()), int(inside[:, 2].max()), int(inside[:, 1].min())
    reach = int((inside[:, 3] - inside[:, 1]).max())
    # what is above and beside all boxes is decoded, but not kept
    ring = np.empty((min(reach + STRIP, size.height), right - left, 3), np.uint8)
    since, reader = below, _reader_of(source, level)
    before = _paused.pop(reader, None)
    if before and before.goes_on(left, right, below, len(ring)):
        source, ring, since, below = before.source, before.ring, before.since, max(before.below, below)
    for k, (box, last) in enumerate(_rows(boxes - [left, 0, left, 0], inside[:, 3]), 1):
        while below < last and left < right:
            rows = min(STRIP, size.height - below, len(ring))
            strip = source.rgb(left, below, right - left, rows, level)
            at = below % len(ring)
            until = min(rows, len(ring) - at)
            ring[at : at + until], ring[: rows - until] = strip[:until], strip[until:]
            below += rows
        if k == len(boxes) and not source.whole:
            _paused.clear()  # one image is open, however many are read
            _paused[reader] = _Paused(source, ring, left, right, since, below)
        yield _cut(ring, box, size.height)


@dataclass(frozen=True)
class _Paused:
    """An image that was read down to the row ``below``, of which the ring has the last rows, from ``since`` on."""

    source: SlideImage
    ring: np.ndarray
    left: int
    right: int
    since: int
    below: int

    def goes_on(self, left: int, right: int, top: int, rows: int) -> bool:
        """Tell whether boxes from ``top`` down, which reach over so many rows, can be cut without beginning anew."""
        wide_enough = (self.left, self.right) == (left, right) and len(self.ring) >= rows
        return wide_enough and top >= max(self.since, self.below - len(self.ring))


def _reader_of(source: SlideImage, level: int) -> tuple:
    """Return what tells an image from others: its file as it is now. Forked processes must not share an open one."""
    return os.getpid(), source.path, *file_state(source.path), level


_paused: dict[tuple, _Paused] = {}  # of the ranges of a huge slide, the next one goes on where the last one ended


def _rows(*arrays: np.ndarray) -> Iterator[tuple]:
    """Iterate over arrays together as Python values, without making all of those at once."""
    for k in range(0, len(arrays[0]), 4096):
        yield from zip(*(array[k : k + 4096].tolist() for array in arrays))


def _cut(ring: np.ndarray, box: list[int], height: int) -> np.ndarray:
    """Copy one box out of a ring of rows."""
    x0, y0, x1, y1 = box
    patch = np.zeros((y1 - y0, x1 - x0, 3), np.uint8)
    left, right, top, bottom = max(x0, 0), min(x1, ring.shape[1]), max(y0, 0), min(y1, height)
    if left < right and top < bottom:
        inside = patch[top - y0 : bottom - y0, left - x0 : right - x0]
        at = top % len(ring)
        until = min(bottom - top, len(ring) - at)
        inside[:until] = ring[at : at + until, left:right]
        inside[until:] = ring[: bottom - top - until, left:right]
    return patch
