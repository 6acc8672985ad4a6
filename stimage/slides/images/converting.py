"""A slide's image as one tiled TIFF, whatever it was, in the memory of a row of tiles."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from stimage.core.files import replacing
from stimage.slides.images.reader import open_image
from stimage.slides.images.readers.slide_image import SlideImage

TILE = 512


def convert_image(path: str, out: str) -> None:
    """Write an image that can be read as a TIFF of deflated tiles, pixel for pixel, with its µm per pixel.

    Parameters
    ----------
    path
        As of `stimage.slides.open_image`; an image of several files, such as of MIRAX, becomes one.
    out
        The TIFF; replaced if it is there.

    Raises
    ------
    DataError
        As `open_image` does, and where the image is damaged.
    """
    image = open_image(path)
    per_cm = 1e4 / image.um_per_px if image.um_per_px else 0
    resolution: dict[str, Any] = {"resolution": (per_cm, per_cm), "resolutionunit": "CENTIMETER"} if per_cm else {}
    with replacing(Path(out)) as unfinished:
        tifffile.imwrite(
            unfinished, _tiles(image), shape=(image.height, image.width, 3), dtype=np.uint8, photometric="rgb",
            tile=(TILE, TILE), compression="zlib", bigtiff=True, metadata=None, **resolution,
        )  # fmt: skip


def _tiles(image: SlideImage) -> Iterator[np.ndarray]:
    wide = -(-image.width // TILE) * TILE
    for top in range(0, image.height, TILE):
        row = image.region(0, top, wide, TILE)
        for left in range(0, wide, TILE):
            yield np.ascontiguousarray(row[:, left : left + TILE])
