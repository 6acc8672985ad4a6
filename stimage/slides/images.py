"""Patches of a slide image in one pass from top to bottom, in the memory of a strip, whatever the image is.

Pixels are what Pillow's ``convert("RGB")`` gives: grey is repeated, alpha dropped, a palette looked up, CMYK inverted
without a profile; of 16 bits the upper 8 are kept (Pillow does so for colour and can't for grey). An EXIF orientation
is not applied, since coordinates are of the pixels as stored. Interlaced PNG and progressive JPEG are the exceptions
to the memory's bound: their decoders hold the whole image.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyvips
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from stimage.errors import DataError

STRIP = 16  # rows decoded at a time: few enough for the processor's cache
MAX_PIXELS = 4_000_000_000  # the largest Visium HD scans have 1.5e9


@dataclass(frozen=True)
class ImageInfo:
    """What an image file says of itself: true type ("png", "jpeg", "tiff"), size in pixels, bands, bits a band."""

    type: str
    width: int
    height: int
    bands: int
    bits: int
    tiled: bool


def image_info(path: str, max_pixels: int = MAX_PIXELS) -> ImageInfo:
    """Read an image's header; raises as `read_patches` does."""
    image = _open(path, max_pixels)
    bits = {"uchar": 8, "ushort": 16}[image.format]
    kind = image.get("vips-loader").removesuffix("load")
    return ImageInfo(kind, image.width, image.height, image.bands, bits, _is_tiled(image))


def read_patches(path: str, boxes: np.ndarray, max_pixels: int = MAX_PIXELS) -> Iterator[np.ndarray]:
    """Yield the pixels of each box, in the boxes' order.

    Parameters
    ----------
    path
        A PNG, JPEG or TIFF image, whatever its name.
    boxes
        Edges x0, y0, x1, y1 in whole pixels (n, 4). Memory is a ring of rows that every box finds its own in; it
        stays small if boxes go from top to bottom. Of a tiled TIFF only the tiles under the boxes are read.
    max_pixels
        The decompression-bomb guard: images of more pixels are refused.

    Yields
    ------
    numpy.ndarray
        RGB, uint8 (y1 - y0, x1 - x0, 3); black outside the image.

    Raises
    ------
    DataError
        If the file is no image, is cut off, is larger than allowed, or has pixels that are not 8- or 16-bit grey,
        colour or CMYK.
    """
    image = _open(path, max_pixels)
    yield from (_by_tiles(path, image, boxes) if _is_tiled(image) else _in_one_pass(path, image, boxes))


def _open(path: str, max_pixels: int) -> pyvips.Image:
    try:  # without fail_on a cut file is read silently, grey where it ends
        image = pyvips.Image.new_from_file(path, access="sequential", fail_on="error", revalidate=True)
    except pyvips.Error as error:
        raise DataError(f"{path}: is no PNG, JPEG or TIFF image that can be read ({_first_line(error)})") from None
    if image.width * image.height > max_pixels:
        raise DataError(
            f"{path}: has {image.width} x {image.height} pixels, more than {max_pixels:,}; "
            "if that is right, pass max_image_pixels"
        )
    if image.format not in ("uchar", "ushort") or image.interpretation in ("lab", "labq", "xyz"):
        raise DataError(f"{path}: its pixels are {image.format} {image.interpretation}; save it as 8-bit RGB")
    if image.get("vips-loader") == "tiffload":
        _check_tiff_is_whole(path)
    if _is_tiled(image):
        return pyvips.Image.new_from_file(path, access="random", fail_on="error", revalidate=True)
    return image


def _check_tiff_is_whole(path: str) -> None:
    """Refuse a cut TIFF, of which libtiff would read the missing part as black."""
    with open(path, "rb") as file:
        head = file.read(8)
        directory = ImageFileDirectory_v2(head + (file.read(8) if 43 in head[2:4] else b""))  # 43: BigTIFF
        file.seek(directory.next)
        directory.load(file)
        offsets, sizes = (directory.get(tiles, directory.get(strips, ())) for tiles, strips in ((324, 273), (325, 279)))
        if max(map(sum, zip(offsets, sizes)), default=0) > file.seek(0, os.SEEK_END):
            raise DataError(f"{path}: is cut off: its pixels reach beyond the end of the file")


def _is_tiled(image: pyvips.Image) -> bool:
    return "tile-width" in image.get_fields()


def _fetch(path: str, image: pyvips.Image, region: pyvips.Region, box: tuple[int, int, int, int]) -> np.ndarray:
    """Decode a rectangle (left, top, width, height) to pixels (height, width, bands) as stored.

    A region decodes in the calling thread. libvips' own threads would read a sequential image out of order, and would
    hang in a forked worker.
    """
    try:
        memory = region.fetch(*box)
    except pyvips.Error as error:
        raise DataError(f"{path}: is damaged or cut off ({_first_line(error)})") from None
    dtype = np.uint8 if image.format == "uchar" else np.uint16
    return np.frombuffer(memory, dtype).reshape(box[3], box[2], image.bands)


def _first_line(error: pyvips.Error) -> str:
    return (error.detail or error.message).strip().split("\n")[0]


def _rgb(pixels: np.ndarray, interpretation: str) -> np.ndarray:
    """Turn stored pixels into uint8 RGB, or one band that NumPy repeats."""
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    if interpretation == "cmyk":
        ink, light = pixels[..., :3].astype(np.uint16), 255 - pixels[..., 3:4].astype(np.uint16)
        product = ink * light + 128  # Pillow's rounding of ink * light / 255
        return (light - ((product + (product >> 8)) >> 8)).astype(np.uint8)
    return pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1]


def _in_one_pass(path: str, image: pyvips.Image, boxes: np.ndarray) -> Iterator[np.ndarray]:
    """Read strips into a ring of rows that is as tall as boxes reach back, and cut each box once its last row is in."""
    height = image.height
    region = pyvips.Region.new(image)
    top, lower = np.clip(boxes[:, 1], 0, height), np.maximum.accumulate(np.clip(boxes[:, 3], 0, height))
    reach = int((lower - top).max(initial=0))
    ring = np.empty((min(reach + STRIP, height), image.width, 3), np.uint8)
    below = int(top.min(initial=height))  # rows above the first box are not kept
    for box, last in zip(boxes.tolist(), lower.tolist()):
        while below < last:
            rows = min(STRIP, height - below, len(ring))
            strip = _rgb(_fetch(path, image, region, (0, below, image.width, rows)), image.interpretation)
            at = below % len(ring)
            until = min(rows, len(ring) - at)
            ring[at : at + until], ring[: rows - until] = strip[:until], strip[until:]
            below += rows
        yield _cut(ring, box, height)


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


def _by_tiles(path: str, image: pyvips.Image, boxes: np.ndarray) -> Iterator[np.ndarray]:
    """Read each box on its own; libvips keeps the last rows of tiles, so neighbours share them."""
    region = pyvips.Region.new(image)
    for x0, y0, x1, y1 in boxes.tolist():
        patch = np.zeros((y1 - y0, x1 - x0, 3), np.uint8)
        left, right, top, bottom = max(x0, 0), min(x1, image.width), max(y0, 0), min(y1, image.height)
        if left < right and top < bottom:
            stored = _fetch(path, image, region, (left, top, right - left, bottom - top))
            if damage := pyvips.Error("").detail:  # libvips paints a damaged tile black, and only notes it
                raise DataError(f"{path}: is damaged or cut off ({damage.strip()})")
            patch[top - y0 : bottom - y0, left - x0 : right - x0] = _rgb(stored, image.interpretation)
        yield patch
