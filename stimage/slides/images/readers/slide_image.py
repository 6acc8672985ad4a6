"""The interface of every reader of a slide's image: its size, its levels, and any region as RGB."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from stimage.core.errors import DataError, one_line
from stimage.slides.images.readers.pixel_size import PixelSize

UNKNOWN = ("not supported", "not implemented", "not configured", "libvips built without")  # of compressions
MEMORY = ("out of memory", "cannot allocate", "Insufficient memory")  # libvips, libtiff and libjpeg of memory


@dataclass(frozen=True)
class Level:
    """A resolution of an image: its size in its own pixels, and pixels of level 0 per pixel, across and down."""

    width: int
    height: int
    across: float = 1.0
    down: float = 1.0

    @classmethod
    def below(cls, full: "Level", width: int, height: int) -> "Level":
        """Return the level of that size; a whole factor is taken where rounding alone can hide it."""
        factor = round(full.width / width)
        if factor and abs(full.width / factor - width) < 1 and abs(full.height / factor - height) < 1:
            return cls(width, height, factor, factor)
        return cls(width, height, full.width / width, full.height / height)


@dataclass(frozen=True)
class ImageInfo:
    """An image's header: true type ("png", "jpeg", "tiff" …), size in pixels, bands, bits a band.

    ``tiled`` is whether a region costs what it has, wherever it lies; of other images, rows above it are decoded, too.
    """

    type: str
    width: int
    height: int
    bands: int
    bits: int
    tiled: bool


class SlideImage(ABC):
    """An opened image. Pixels are decoded only when they are asked for, in the memory of some tiles or rows.

    Attributes
    ----------
    path : str
        The file.
    info : ImageInfo
        Its header.
    levels : tuple of Level
        Level 0, which has all pixels, then the smaller levels of the file, by size.
    alone : bool
        Whether the file is the whole image; an image in a root is one file.
    whole : bool
        Whether the decoder holds all pixels once some were asked for.
    pixel_sizes : tuple of PixelSize
        The sizes of a pixel that the file gives, the most trusted first. There may be none, or several that contradict
        each other.
    """

    path: str
    info: ImageInfo
    levels: tuple[Level, ...]
    pixel_sizes: tuple[PixelSize, ...] = ()
    alone: bool = True
    whole: bool = False

    @property
    def width(self) -> int:
        """Number of pixels across, at level 0."""
        return self.info.width

    @property
    def height(self) -> int:
        """Number of pixels down, at level 0."""
        return self.info.height

    @property
    def channels(self) -> int:
        """Number of bands in the file; a region always has three."""
        return self.info.bands

    @property
    def um_per_px(self) -> float | None:
        """µm per pixel as the file gives it, or None; see `pixel_sizes`."""
        return self.pixel_sizes[0].um_per_px if self.pixel_sizes else None

    @abstractmethod
    def rgb(self, left: int, top: int, width: int, height: int, level: int = 0) -> np.ndarray:
        """Decode a rectangle that lies within a level, in the level's pixels.

        Returns
        -------
        numpy.ndarray
            RGB, uint8 (height, width, 3), or one band (height, width, 1), which NumPy repeats.

        Raises
        ------
        DataError
            If the file is damaged there.
        """

    def region(self, x: int, y: int, width: int, height: int, level: int = 0) -> np.ndarray:
        """Decode a rectangle, which may reach beyond the image.

        Parameters
        ----------
        x, y
            The upper left corner, in pixels of the level.
        width, height
            The size, in pixels of the level.
        level
            Number of the level in `levels`.

        Returns
        -------
        numpy.ndarray
            RGB, uint8 (height, width, 3); black outside the image.
        """
        size, pixels = self.levels[level], np.zeros((height, width, 3), np.uint8)
        left, right, top, bottom = max(x, 0), min(x + width, size.width), max(y, 0), min(y + height, size.height)
        if left < right and top < bottom:
            part = self.rgb(left, top, right - left, bottom - top, level)
            pixels[top - y : bottom - y, left - x : right - x] = part
        return pixels


def as_rgb(pixels: np.ndarray, shift: int = 0, ink: bool = False) -> np.ndarray:
    """Return pixels (height, width, bands) as uint8, with three bands or one, as Pillow's ``convert("RGB")`` does.

    Parameters
    ----------
    shift
        By how many bits values are more than 8.
    ink
        Whether the bands are cyan, magenta, yellow and black.
    """
    if shift:
        pixels = (pixels >> shift).astype(np.uint8)
    if ink:
        return _without_ink(pixels)
    return pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., :1]


def _without_ink(pixels: np.ndarray) -> np.ndarray:
    """Turn CMYK pixels to RGB as Pillow does: light times the share that the ink leaves, rounded its way."""
    ink, light = pixels[..., :3].astype(np.uint16), 255 - pixels[..., 3:4].astype(np.uint16)
    product = ink * light + 128
    return (light - ((product + (product >> 8)) >> 8)).astype(np.uint8)


def damaged(path: str, why: object) -> DataError:
    """Return the error of an image whose pixels cannot be decoded: memory is to blame where it is."""
    text = one_line(why)
    if isinstance(why, MemoryError) or any(word in text for word in MEMORY):
        return DataError(f"{path}: memory ran out while it was decoded ({text})")
    return DataError(f"{path}: is damaged or cut off ({text})")
