"""An image that stays in its store, and is read and written by parts."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from stimage.core.errors import DataError, one_line

TILE = 512
SMALL = 2000


@dataclass(frozen=True, eq=False)
class StoredImage:
    """An RGB image of a store: ``image[rows, columns]`` reads a part of it, as uint8 of shape (height, width, 3).

    Attributes
    ----------
    where
        What errors call it: its path.
    planes
        A dask array, 3 x height x width: of bytes, or of floats from 0 to 1.
    """

    where: str
    planes: Any

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, 3."""
        return (*self.planes.shape[1:], 3)

    def __getitem__(self, part: tuple[slice, slice]) -> np.ndarray:
        try:
            planes = np.asarray(self.planes[(slice(None), *part)])
        except Exception as error:  # codecs and Zarr tell it by classes of their own
            raise DataError(f"{self.where}: cannot be read ({one_line(error)}); copy the store again") from None
        if planes.dtype != np.uint8:
            if not (planes.min() > -0.01 and planes.max() < 1.01):
                raise DataError(
                    f"{self.where}: has {planes.dtype} up to {planes.max():g}, where floats must be 0 to 1; pass the "
                    "image as a file, image= (--image)"
                )
            planes = (planes * 255).round().clip(0, 255).astype(np.uint8)
        return np.moveaxis(planes, 0, 2)

    def small(self) -> np.ndarray:
        """Return some of its rows and columns: uint8, of at most SMALL pixels a side."""
        step = -(-max(self.shape) // SMALL)
        return self[::step, ::step]

    def save(self, path: Path) -> None:
        """Write a tiled TIFF, in the memory of a row of the store's own chunks."""
        height, width, _ = self.shape
        tiles = self._tiles(-(-max(self.planes.chunks[1]) // TILE) * TILE)
        tifffile.imwrite(path, tiles, shape=(height, width, 3), dtype=np.uint8, photometric="rgb", tile=(TILE, TILE),
                         compression="zlib", predictor=True, bigtiff=height * width > 1 << 30)  # fmt: skip

    def _tiles(self, rows: int) -> Iterator[np.ndarray]:
        height, width, _ = self.shape
        for top in range(0, height, rows):
            band = self[top : top + rows, :]
            for y in range(0, band.shape[0], TILE):
                for x in range(0, width, TILE):
                    yield np.ascontiguousarray(band[y : y + TILE, x : x + TILE])
