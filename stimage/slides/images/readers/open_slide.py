"""Scanners' formats by OpenSlide (extra ``[slides]``)."""

from typing import Any

import numpy as np

from stimage.core.errors import DataError, one_line
from stimage.core.extras import NotInstalled, needs
from stimage.slides.images.readers.pixel_size import told_by_openslide
from stimage.slides.images.readers.slide_image import ImageInfo, Level, SlideImage, damaged

CACHE = 1 << 27  # bytes of decoded tiles
WHITE = "FFFFFF"  # where a scanner took no picture, and does not say what colour glass has
HEADS = {b"ZISRAWFILE": "Zeiss CZI", b"SQLite format 3": "Sakura svslide", b"[Virtual Micros": "Hamamatsu VMS or VMU"}
SEVERAL = ("MIRAX", "Hamamatsu VMS or VMU", "DICOM")  # whose slides are several files


def vendor_by_head(head: bytes) -> str:
    """Return whose format a file has by its first bytes (200 or more), or ""."""
    if head[128:132] == b"DICM":
        return "DICOM"
    return next((vendor for start, vendor in HEADS.items() if head.startswith(start)), "")


class OpenSlideImage(SlideImage):
    """A slide as OpenSlide reads it; where the scanner took no picture, it has the colour of the slide's background.

    Parameters
    ----------
    vendor
        Whose format it is, as errors call it.
    """

    def __init__(self, path: str, vendor: str):
        self.path, self.alone = path, vendor not in SEVERAL
        try:
            openslide = needs("openslide")
        except NotInstalled as error:
            raise DataError(f"{path}: is a slide of {vendor}, which OpenSlide reads; {error}") from None
        try:
            self._slide: Any = openslide.OpenSlide(path)
            self._slide.set_cache(openslide.OpenSlideCache(CACHE))
        except openslide.OpenSlideError as error:
            raise DataError(f"{path}: is no slide of {vendor} that can be read ({one_line(error)})") from None
        self.properties: dict[str, str] = dict(self._slide.properties)
        colour = self.properties.get("openslide.background-color", WHITE)
        self.pixel_sizes = told_by_openslide(self.properties)
        self._background = np.array([int(colour[k : k + 2], 16) for k in (0, 2, 4)], np.uint16)
        sizes = self._slide.level_dimensions
        full = Level(*sizes[0])
        self.levels = full, *(Level.below(full, *size) for size in sizes[1:])
        self.info = ImageInfo(self.properties["openslide.vendor"], full.width, full.height, 3, 8, True)

    def rgb(self, left: int, top: int, width: int, height: int, level: int = 0) -> np.ndarray:
        size = self.levels[level]
        corner = round(left * size.across), round(top * size.down)  # which OpenSlide takes in pixels of level 0
        try:
            pixels = np.asarray(self._slide.read_region(corner, level, (width, height)))
        except needs("openslide").OpenSlideError as error:
            raise damaged(self.path, error) from None
        if (alpha := pixels[..., 3:]).min(initial=255) == 255:
            return pixels[..., :3]
        mixed = pixels[..., :3] * alpha.astype(np.uint16) + self._background * (255 - alpha.astype(np.uint16))
        return ((mixed + 127) // 255).astype(np.uint8)
