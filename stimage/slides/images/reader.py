"""Patches of a slide image in one pass from top to bottom, in the memory of a strip, whatever the image is.

Pixels are what Pillow's ``convert("RGB")`` gives: grey is repeated, alpha dropped, a palette looked up, CMYK inverted
without a profile; of 16 bits the upper 8 are kept (Pillow does so for colour and can't for grey). An EXIF orientation
is not applied, since coordinates are of the pixels as stored. Interlaced PNG and progressive JPEG are the exceptions
to the memory's bound: their decoders hold the whole image, which may therefore not be so large.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyvips
import tifffile

from stimage.core.errors import DataError, one_line
from stimage.core.storage import check_readable

STRIP = 16  # rows decoded at a time: few enough for the processor's cache
LOADERS = ("pngload", "jpegload", "tiffload")
SEPARATE = tifffile.PLANARCONFIG.SEPARATE
PIXELS: dict[str, np.dtype] = {"uchar": np.dtype(np.uint8), "ushort": np.dtype(np.uint16)}
MAX_IMAGE_PIXELS = 4_000_000_000  # the largest Visium HD scans have 1.5e9
UNKNOWN = ("not supported", "not implemented", "not configured", "libvips built without")  # libvips of compressions
MEMORY = ("out of memory", "cannot allocate", "Insufficient memory")  # libvips, libtiff and libjpeg of memory
DARK = 64  # of 255: the brightest that 14 bits of 16 can be; glass is never so dark
MAX_WHOLE = 400_000_000  # pixels of an image that its decoder holds whole

pyvips.cache_set_max(0)  # libvips would keep a hundred opened images, with the rows it last decoded of each


@dataclass(frozen=True)
class ImageInfo:
    """An image file's header: true type ("png", "jpeg", "tiff"), size in pixels, bands, bits a band."""

    type: str
    width: int
    height: int
    bands: int
    bits: int
    tiled: bool


def image_info(path: str, max_pixels: int = MAX_IMAGE_PIXELS) -> ImageInfo:
    """Read an image's header; raises as `read_patches` does."""
    image = _open(path, max_pixels)
    kind = image.get("vips-loader").removesuffix("load")
    return ImageInfo(kind, image.width, image.height, image.bands, 8 * PIXELS[image.format].itemsize, _is_tiled(image))


def too_dark(path: str, info: ImageInfo, pixels: np.ndarray) -> str | None:
    """Say what is wrong with 16-bit bands that hold values of fewer bits, such as a camera's 12, and what to do.

    Parameters
    ----------
    pixels
        The image as it is read, or made small (uint8): of these bands the upper 8 bits, nearly black then.
    """
    if info.bits != 16 or (brightest := int(pixels.max(initial=0))) >= DARK:
        return None
    factor = 256 >> brightest.bit_length()
    remedy = _convert(path, f" * {factor}") if info.type == "tiff" else "save it as 8-bit RGB"
    return f"its bands have 16 bits, but no value above {65536 // factor - 1:,}, so that it is nearly black; {remedy}"


def read_patches(path: str, boxes: np.ndarray, max_pixels: int = MAX_IMAGE_PIXELS) -> Iterator[np.ndarray]:
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
        If the file is no image, is cut off, is larger than allowed, has pixels that are not 8- or 16-bit grey,
        colour or CMYK, or is compressed in a way that is not supported.
    """
    source = _Source(path, _open(path, max_pixels))
    if len(boxes):
        yield from (_by_tiles if source.tiled else _in_one_pass)(source, boxes)


def _open(path: str, max_pixels: int) -> pyvips.Image:
    """Open an image; of a TIFF's pages the largest, since a label or an overview may come first."""
    check_readable(path)  # libvips says of what is not there that it is no image
    if os.path.exists(path) and not os.path.isfile(path):  # libvips waits for a pipe, and no signal ends that
        raise DataError(f"{path}: is no PNG, JPEG or TIFF image that can be read (it is no file)")
    try:  # without fail_on a cut file is read silently, grey where it ends
        image = pyvips.Image.new_from_file(path, access="sequential", fail_on="error", revalidate=True)
        loader = image.get("vips-loader")
        page = _check_tiff(path) if loader == "tiffload" else 0
        if page:
            image = pyvips.Image.new_from_file(path, access="sequential", fail_on="error", revalidate=True, page=page)
    except pyvips.Error as error:
        raise DataError(f"{path}: is no PNG, JPEG or TIFF image that can be read ({_reason(error)})") from None
    if loader not in LOADERS:
        raise DataError(f"{path}: is no PNG, JPEG or TIFF image that can be read (but one for {loader})")
    if image.width * image.height > max_pixels:
        raise DataError(
            f"{path}: has {image.width} x {image.height} pixels, more than {max_pixels:,}; "
            "if that is right, pass max_image_pixels"
        )
    if "interlaced" in image.get_fields() and image.width * image.height > MAX_WHOLE:
        raise DataError(
            f"{path}: has {image.width} x {image.height} pixels and is interlaced or progressive, so that it must be "
            f"decoded whole; that is done up to {MAX_WHOLE:,} pixels: save it without"
        )
    if image.format not in PIXELS or image.interpretation in ("lab", "labq", "xyz"):
        raise DataError(f"{path}: its pixels are {image.format} {image.interpretation}; save it as 8-bit RGB")
    if _is_tiled(image):
        return pyvips.Image.new_from_file(path, access="random", fail_on="error", revalidate=True, page=page)
    if loader == "jpegload":  # libjpeg only warns of damaged data and goes on with wrong colours
        return pyvips.Image.new_from_file(path, access="sequential", fail_on="warning", revalidate=True)
    return image


def _check_tiff(path: str) -> int:
    """Return which page of a TIFF is the largest.

    A cut one is refused, and one of raw YCbCr or of a page a colour, of which libvips would silently give black, wrong
    colours and greys.
    """
    try:
        with tifffile.TiffFile(path) as tiff:
            pages = [page.aspage() for page in tiff.pages]
            shapes = [(page.imagelength, page.imagewidth, page.samplesperpixel) for page in pages]
            largest = max(range(len(shapes)), key=lambda k: (shapes[k][0] * shapes[k][1], -k))
            page, size = pages[largest], tiff.filehandle.size
            reach = max(map(sum, zip(page.dataoffsets, page.databytecounts)), default=0)
            compression = getattr(page.compression, "name", "")  # a bare number where it is an unknown one
            raw = page.photometric == tifffile.PHOTOMETRIC.YCBCR and "JPEG" not in compression
            separate = (
                page.is_tiled and page.samplesperpixel > 1 and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE
            )
    except Exception as error:  # of many classes: a tag may have several values where one should be
        raise DataError(f"{path}: is damaged or cut off ({one_line(error)})") from None
    if reach > size:
        raise DataError(f"{path}: is damaged or cut off: its pixels reach beyond the end of the file")
    if raw:
        raise DataError(f"{path}: its pixels are uncompressed YCbCr; save it as 8-bit RGB")
    alike = shapes.count(shapes[largest])
    if separate or (shapes[largest][2] == 1 and alike > 2):
        kind = "planes of tiles" if separate else f"{alike} pages of one band each"
        raise DataError(f"{path}: its colours are {kind}; {_convert(path, '[:3].transpose(1, 2, 0)')}")
    return largest


def _convert(path: str, then: str = "") -> str:
    """Say how an image is saved so that it can be read."""
    name = os.path.basename(path).replace("'", "\\'")
    return (
        'save it as RGB in tiles, where it is: pip install imagecodecs; python -c "import tifffile as t; '
        f"t.imwrite('converted.tif', t.imread('{name}'){then}, photometric='rgb', tile=(256, 256), "
        "compression='zlib')\""
    )


def _is_tiled(image: pyvips.Image) -> bool:
    return "tile-width" in image.get_fields()


def _reason(error: pyvips.Error) -> str:
    return one_line((error.detail or error.message).strip().partition("\n")[0])  # the next ones are of earlier errors


class _Source:
    """An opened image, decoded rectangle by rectangle in the calling thread.

    libvips' own threads would read a sequential image out of order, and would hang in a forked worker.
    """

    def __init__(self, path: str, image: pyvips.Image):
        self.path, self.region, self.tiled = path, pyvips.Region.new(image), _is_tiled(image)
        self.width, self.height, self.bands = image.width, image.height, image.bands
        self.dtype, self.cmyk = PIXELS[image.format], image.interpretation == "cmyk"

    def rgb(self, left: int, top: int, width: int, height: int) -> np.ndarray:
        """Decode a rectangle to uint8 RGB (height, width, 3), or to one band (height, width, 1) that NumPy repeats."""
        _ = pyvips.Error("").detail  # forget what libvips noted of other images
        try:
            memory = self.region.fetch(left, top, width, height)
        except pyvips.Error as error:
            raise self._fault(_reason(error)) from None
        if self.tiled and (damage := pyvips.Error("").detail):  # libvips paints a damaged tile black, and only notes it
            raise self._fault(one_line(damage.strip().partition("\n")[0]))
        pixels = np.frombuffer(memory, self.dtype).reshape(height, width, self.bands)
        if self.dtype == np.uint16:
            pixels = (pixels >> 8).astype(np.uint8)
        if self.cmyk:
            return _without_ink(pixels)
        return pixels[..., :3] if self.bands >= 3 else pixels[..., :1]

    def _fault(self, why: str) -> DataError:
        if any(word in why for word in UNKNOWN):
            return DataError(f"{self.path}: is not supported ({why}); {_convert(self.path)}")
        if any(word in why for word in MEMORY):
            return DataError(f"{self.path}: memory ran out while it was decoded ({why})")
        return DataError(f"{self.path}: is damaged or cut off ({why})")


def _without_ink(pixels: np.ndarray) -> np.ndarray:
    """Turn CMYK pixels to RGB as Pillow does: light times the share that the ink leaves, rounded its way."""
    ink, light = pixels[..., :3].astype(np.uint16), 255 - pixels[..., 3:4].astype(np.uint16)
    product = ink * light + 128
    return (light - ((product + (product >> 8)) >> 8)).astype(np.uint8)


def _in_one_pass(source: _Source, boxes: np.ndarray) -> Iterator[np.ndarray]:
    """Read strips into a ring of rows that is as tall as boxes reach back, and cut each box once its last row is in."""
    inside = np.clip(boxes, 0, [source.width, source.height] * 2)
    inside[:, 3] = np.maximum.accumulate(inside[:, 3])
    left, right, below = int(inside[:, 0].min()), int(inside[:, 2].max()), int(inside[:, 1].min())
    reach = int((inside[:, 3] - inside[:, 1]).max())
    # what is above and beside all boxes is decoded, but not kept
    ring = np.empty((min(reach + STRIP, source.height), right - left, 3), np.uint8)
    for box, last in _rows(boxes - [left, 0, left, 0], inside[:, 3]):
        while below < last and left < right:
            rows = min(STRIP, source.height - below, len(ring))
            strip = source.rgb(left, below, right - left, rows)
            at = below % len(ring)
            until = min(rows, len(ring) - at)
            ring[at : at + until], ring[: rows - until] = strip[:until], strip[until:]
            below += rows
        yield _cut(ring, box, source.height)


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


def _by_tiles(source: _Source, boxes: np.ndarray) -> Iterator[np.ndarray]:
    """Read each box on its own; libvips keeps the last rows of tiles, so neighbours share them."""
    for ((x0, y0, x1, y1),) in _rows(boxes):
        patch = np.zeros((y1 - y0, x1 - x0, 3), np.uint8)
        left, right, top, bottom = max(x0, 0), min(x1, source.width), max(y0, 0), min(y1, source.height)
        if left < right and top < bottom:
            patch[top - y0 : bottom - y0, left - x0 : right - x0] = source.rgb(left, top, right - left, bottom - top)
        yield patch
