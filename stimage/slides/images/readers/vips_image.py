"""PNG, JPEG and most TIFF by libvips.

Pixels are what Pillow's ``convert("RGB")`` gives: grey is repeated, alpha dropped, a palette looked up, CMYK inverted
without a profile; of 16 bits the upper 8 are kept (Pillow does so for colour and can't for grey). An EXIF orientation
is not applied, since coordinates are of the pixels as stored. Interlaced PNG and progressive JPEG are the exceptions
to the memory's bound: their decoders hold the whole image, which may therefore not be so large.
"""

from typing import Any

import numpy as np
import pyvips

from stimage.core.errors import DataError, one_line
from stimage.slides.images.readers.remedies import by_libvips, by_pillow, by_tifffile, not_supported, repeated
from stimage.slides.images.readers.slide_image import UNKNOWN, ImageInfo, Level, SlideImage, as_rgb, damaged

LOADERS = ("pngload", "jpegload", "tiffload")
BY_PILLOW = ("gifload", "webpload", "heifload")
PIXELS: dict[str, np.dtype] = {"uchar": np.dtype(np.uint8), "ushort": np.dtype(np.uint16)}
MAX_WHOLE = 400_000_000  # pixels of an image that its decoder holds whole

pyvips.cache_set_max(0)  # libvips would keep a hundred opened images, with the rows it last decoded of each


class VipsImage(SlideImage):
    """An image decoded rectangle by rectangle in the calling thread.

    libvips' own threads would read a sequential image out of order, and would hang in a forked worker.

    Parameters
    ----------
    places
        Of a TIFF, where its levels are: the page, and the sub-page of it (or -1).
    """

    def __init__(self, path: str, places: tuple[tuple[int, int], ...] = ((0, -1),)):
        self.path, self._places = path, places
        self._regions: dict[int, pyvips.Region] = {}
        self._tops: dict[int, int] = {}
        image = _open(path, places[0])
        _check(path, image)
        self.whole = "interlaced" in image.get_fields()
        self._dtype, self._ink = PIXELS[image.format], image.interpretation == "cmyk"
        tiled = "tile-width" in image.get_fields()
        kind = image.get("vips-loader").removesuffix("load")
        self.info = ImageInfo(kind, image.width, image.height, image.bands, 8 * self._dtype.itemsize, tiled)
        self.levels = full, *_ = (Level(image.width, image.height),)
        if len(places) > 1:
            self.levels += tuple(_level(full, _open(path, place)) for place in places[1:])

    def rgb(self, left: int, top: int, width: int, height: int, level: int = 0) -> np.ndarray:
        if level not in self._regions or (not self.info.tiled and top < self._tops[level]):  # rows come downwards
            self._regions[level] = pyvips.Region.new(self._opened(level))
        self._tops[level] = top
        _ = pyvips.Error("").detail  # forget what libvips noted of other images
        try:
            memory = self._regions[level].fetch(left, top, width, height)
        except pyvips.Error as error:
            raise self._fault(_reason(error)) from None
        if self.info.tiled and (damage := _noted()):  # a damaged tile is painted black, and only noted
            raise self._fault(damage)
        pixels = np.frombuffer(memory, self._dtype).reshape(height, width, self.info.bands)
        return as_rgb(pixels, 8 * (self._dtype.itemsize - 1), self._ink)

    def _opened(self, level: int) -> pyvips.Image:
        if self.info.tiled:
            return _open(self.path, self._places[level], access="random")
        if self.info.type == "jpeg":  # libjpeg only warns of damaged data and goes on with wrong colours
            return _open(self.path, self._places[level], fail_on="warning")
        return _open(self.path, self._places[level])

    def _fault(self, why: str) -> DataError:
        if any(word in why for word in UNKNOWN):
            return not_supported(self.path, why, by_tifffile(self.path, repeated("a", self.info.bands)))
        return damaged(self.path, why)


def _open(path: str, place: tuple[int, int], access: str = "sequential", fail_on: str = "error") -> pyvips.Image:
    """Open an image; without ``fail_on`` a cut file is read silently, grey where it ends."""
    page, below = place
    options: dict[str, Any] = ({"page": page} if page else {}) | ({"subifd": below} if below >= 0 else {})
    try:
        return pyvips.Image.new_from_file(path, access=access, fail_on=fail_on, revalidate=True, **options)
    except pyvips.Error as error:
        raise DataError(f"{path}: is no PNG, JPEG or TIFF image that can be read ({_reason(error)})") from None


def _check(path: str, image: pyvips.Image) -> None:
    """Refuse what libvips opens, but what is no slide's image."""
    loader = image.get("vips-loader") if "vips-loader" in image.get_fields() else "vipsload"  # of libvips' own files
    if loader == "matrixload":  # libvips takes a text of numbers for a matrix
        raise DataError(f"{path}: is no PNG, JPEG or TIFF image that can be read (it is text)")
    if loader not in LOADERS:
        command = by_pillow(path) if loader in BY_PILLOW else by_libvips(path)
        raise not_supported(path, f"a {loader.removesuffix('load').upper()} image", command)
    if "interlaced" in image.get_fields() and image.width * image.height > MAX_WHOLE:
        raise DataError(
            f"{path}: has {image.width} x {image.height} pixels and is interlaced or progressive, so that it must be "
            f"decoded whole; that is done up to {MAX_WHOLE:,} pixels: save it without"
        )
    if image.format not in PIXELS or image.interpretation in ("lab", "labq", "labs", "xyz"):
        raise not_supported(path, f"its pixels are {image.format} {image.interpretation}", by_libvips(path))


def _level(full: Level, image: pyvips.Image) -> Level:
    return Level.below(full, image.width, image.height)


def _noted() -> str:
    """Return the first error that libvips noted since it was last asked, in any thread; "" if there is none."""
    lines = pyvips.Error("").detail.strip().split("\n")
    # looking a method up notes that there is no property of its name
    return next((one_line(line) for line in lines if line and "no property named" not in line), "")


def _reason(error: pyvips.Error) -> str:
    return one_line((error.detail or error.message).strip().partition("\n")[0])  # the next ones are of earlier errors
