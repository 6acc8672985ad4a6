"""TIFF by tifffile and imagecodecs: what libvips does not decode, tile by tile or strip by strip."""

import os
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from stimage.core.errors import DataError
from stimage.slides.images.readers.remedies import by_tifffile, not_supported, repeated
from stimage.slides.images.readers.slide_image import ImageInfo, Level, SlideImage, as_rgb, damaged
from stimage.slides.images.readers.tiff_layout import APERIO_YCBCR

KEPT = 1 << 27  # bytes of decoded tiles that are kept, so that neighbours share them
MAX_TILE = 1 << 28  # pixels of a tile or strip, which is decoded whole
PALETTE, INK = tifffile.PHOTOMETRIC.PALETTE, tifffile.PHOTOMETRIC.SEPARATED
WHITE_IS_ZERO, ASSOCIATED = tifffile.PHOTOMETRIC.MINISWHITE, tifffile.EXTRASAMPLE.ASSOCALPHA


class TiffImage(SlideImage):
    """A TIFF whose tiles, or strips, are decoded one by one.

    Parameters
    ----------
    levels
        The pages of each level: one, or one for each of red, green and blue.
    """

    def __init__(self, path: str, levels: Sequence[Sequence[tifffile.TiffPage]]):
        page = levels[0][0]
        self.path, self._pages = path, levels
        self._tiles: OrderedDict[tuple, np.ndarray] = OrderedDict()
        self._kept = 0
        _check(path, page)
        bands = max(page.samplesperpixel, len(levels[0]))
        self.info = ImageInfo("tiff", page.imagewidth, page.imagelength, bands, _bits(page), True)
        full = Level(page.imagewidth, page.imagelength)
        smaller = (Level.below(full, pages[0].imagewidth, pages[0].imagelength) for pages in levels[1:])
        self.levels = full, *smaller
        self._file = os.open(path, os.O_RDONLY)  # read at places, so that a forked process does not move this one's
        weakref.finalize(self, os.close, self._file)

    def rgb(self, left: int, top: int, width: int, height: int, level: int = 0) -> np.ndarray:
        page = self._pages[level][0]
        high, wide = _tile_size(page)
        bands = self._tile(level, top // high, left // wide).shape[-1]  # a palette has become colours
        pixels = np.empty((height, width, bands), np.uint8)
        for row in range(top // high, -(-(top + height) // high)):
            for column in range(left // wide, -(-(left + width) // wide)):
                tile, y, x = self._tile(level, row, column), row * high, column * wide
                y0, x0 = max(top, y), max(left, x)
                y1, x1 = min(top + height, y + tile.shape[0]), min(left + width, x + tile.shape[1])
                pixels[y0 - top : y1 - top, x0 - left : x1 - left] = tile[y0 - y : y1 - y, x0 - x : x1 - x]
        return as_rgb(pixels, 0, page.photometric == INK)

    def _tile(self, level: int, row: int, column: int) -> np.ndarray:
        """Return a tile as uint8 (height, width, bands), decoded or kept."""
        key = level, row, column
        if key in self._tiles:
            self._tiles.move_to_end(key)
            return self._tiles[key]
        tile = self._tiles[key] = self._decoded(level, row, column)
        self._kept += tile.nbytes
        while self._kept > KEPT and len(self._tiles) > 1:
            self._kept -= self._tiles.popitem(last=False)[1].nbytes
        return tile

    def _decoded(self, level: int, row: int, column: int) -> np.ndarray:
        pages = self._pages[level]
        across = -(-pages[0].imagewidth // _tile_size(pages[0])[1])
        at = row * across + column
        try:
            bands = [self._segment(page, k) for page in pages for k in _planes(page, at)]
            return _as_bytes(np.concatenate(bands, 2) if len(bands) > 1 else bands[0], pages[0])
        except DataError:
            raise
        except Exception as error:  # codecs tell damage by classes of their own
            raise self._fault(error) from None

    def _segment(self, page: tifffile.TiffPage, index: int) -> np.ndarray:
        """Decode one tile or strip of a page (height, width, its own bands)."""
        offset, size = page.dataoffsets[index], page.databytecounts[index]
        data = os.pread(self._file, size, offset) if size else None
        if data is not None and len(data) < size:
            raise DataError(f"{self.path}: is damaged or cut off: its pixels reach beyond the end of the file")
        tables = {"jpegtables": page.jpegtables} if page.jpegtables else {}
        found, _, shape = page.decode(data, index, **tables)
        if data is None or found is None:  # a tile that was left out
            return np.zeros(shape[1:], page.dtype)
        if page.compression == APERIO_YCBCR and not _gives_rgb(data):
            return np.asarray(Image.fromarray(found[0], "YCbCr").convert("RGB"))
        return found[0]

    def _fault(self, error: Exception) -> DataError:
        page = self._pages[0][0]
        if isinstance(error, NotImplementedError) or "not supported" in str(error):
            what = f"{getattr(page.compression, 'name', page.compression)} ({error})"
            return not_supported(self.path, what, by_tifffile(self.path, repeated("a", page.samplesperpixel)))
        return damaged(self.path, error)


def _check(path: str, page: tifffile.TiffPage) -> None:
    """Refuse pixels that have no one meaning as colours, and strips that are the whole of a large image."""
    kind = np.dtype(page.dtype).kind if page.dtype is not None else "?"
    if kind != "u" or _bits(page) > 16:
        what = f"its pixels are {page.dtype or f'of {page.bitspersample} bits'}"
        scaled = "(a * (255 / max(a.max(), 1))).clip(0, 255).round().astype('uint8')"
        raise not_supported(path, what, by_tifffile(path, repeated(scaled, page.samplesperpixel)))
    high, wide = _tile_size(page)
    if high * wide > MAX_TILE:
        what = f"a strip of {high:,} x {wide:,} pixels, which is decoded whole"
        raise not_supported(path, what, by_tifffile(path, repeated("a", page.samplesperpixel)))


def _as_bytes(pixels: np.ndarray, page: tifffile.TiffPage) -> np.ndarray:
    """Return the values of a tile as uint8; of more bits the upper 8, of fewer ones spread."""
    bits = _bits(page)
    if page.photometric == PALETTE and page.colormap is not None:
        shift = 8 if page.colormap.max() > 255 else 0  # some writers give 8 bits where 16 should be, as libtiff knows
        return (page.colormap.T[pixels[..., 0]] >> shift).astype(np.uint8)
    if bits > 8:
        pixels = (pixels >> bits - 8).astype(np.uint8)
    elif bits < 8:
        pixels = (pixels.astype(np.uint16) * 255 // ((1 << bits) - 1)).astype(np.uint8)
    if page.photometric == WHITE_IS_ZERO:
        pixels = 255 - pixels
    if ASSOCIATED in page.extrasamples and pixels.shape[-1] in (2, 4):
        return _straight(pixels)
    return np.ascontiguousarray(pixels)


def _straight(pixels: np.ndarray) -> np.ndarray:
    """Divide colours by alpha, with which they were multiplied; where alpha is 0, colours are as stored."""
    colour, alpha = pixels[..., :-1].astype(np.uint16), pixels[..., -1:].astype(np.uint16)
    straight = np.minimum(colour * 255 // np.maximum(alpha, 1), 255)
    return np.where(alpha > 0, straight, colour).astype(np.uint8)


def _gives_rgb(codestream: bytes) -> bool:
    """Return whether JPEG 2000's own transform of colours was used: decoding has then undone it."""
    coding = codestream.find(b"\xff\x52")  # marker COD: length (2), style, order, layers (2), transform
    return codestream[coding + 8] == 1


def _planes(page: tifffile.TiffPage, at: int) -> Sequence[int]:
    """Return which segments of a page have the tile at that place: one, or one for each plane."""
    if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and page.samplesperpixel > 1:
        each = len(page.dataoffsets) // page.samplesperpixel
        return range(at, len(page.dataoffsets), each)
    return (at,)


def _tile_size(page: tifffile.TiffPage) -> tuple[int, int]:
    if page.is_tiled:
        return page.tilelength, page.tilewidth
    return min(page.rowsperstrip, page.imagelength), page.imagewidth


def _bits(page: tifffile.TiffPage) -> int:
    bits: Any = page.bitspersample
    return max(bits) if isinstance(bits, tuple) else bits
