"""A slide's image as small JPEG files in Deep Zoom's folders of tiles, so that a page shows only tiles in view."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import pyvips

from stimage.core.files import locked, replacing_folder, write_text
from stimage.slides.images.reader import MAX_IMAGE_PIXELS, image_info
from stimage.slides.images.streaming import stream_image

TILE = 512  # pixels: a slide has some hundred files
ZOOM = 4096  # pixels of the longer side: 1 to 7 MB a slide, and no more than 8 GB for the data set's 1,149
QUALITY = 75  # of the JPEGs
PLACE, ABOUT = "image", "about.json"  # folder of the tiles, and what says of which image they are


@dataclass(frozen=True)
class Tiles:
    """Written tiles.

    ``step`` is the number of image pixels along the side of a pixel of the finest level. ``levels`` is the number of
    levels: level 0 is one tile, and each next level is twice as fine. ``bytes`` is the size of all files.
    """

    width: int
    height: int
    step: int
    levels: int
    tile: int
    bytes: int


def write_tiles(image: str, folder: Path, longest: int, digest: str, max_pixels: int = MAX_IMAGE_PIXELS) -> Tiles:
    """Write an image as tiles, ``folder/image/LEVEL/COLUMN_ROW.jpg``, whole or not at all; once for each image.

    Parameters
    ----------
    image
        The image, as `read_patches` takes it.
    longest
        Longer side of the finest level in pixels, at most.
    digest
        Digest of the image's file. Tiles of the same image that are as fine are kept.

    Returns
    -------
    Tiles

    Raises
    ------
    DataError
        As in `read_patches`.
    OutputError
        If the tiles can't be written.
    """
    asked = {"digest": digest, "longest": longest, "tile": TILE, "quality": QUALITY}
    with locked(folder):
        if kept := _kept(folder / PLACE, asked):
            return kept
        info = image_info(image, max_pixels)
        step = max(1, -(-max(info.width, info.height) // longest))
        with replacing_folder(folder / PLACE) as unfinished:
            stream_image(image, folder, lambda streamed: _save(streamed, unfinished, step), max_pixels)
            files = [*unfinished.rglob("*.jpg")]
            levels = len({file.parent for file in files})
            tiles = Tiles(info.width, info.height, step, levels, TILE, sum(file.stat().st_size for file in files))
            write_text(unfinished / ABOUT, json.dumps({"asked": asked, "tiles": asdict(tiles)}))
    return tiles


def _kept(folder: Path, asked: dict) -> Tiles | None:
    """Return the tiles that are there, if they are what is asked for."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        return Tiles(**about["tiles"]) if about["asked"] == asked else None
    except (OSError, ValueError, KeyError, TypeError):  # there are none, or of another version
        return None


def _save(image: pyvips.Image, folder: Path, step: int) -> None:
    small = pyvips.Operation.call("shrink", image, step, step, ceil=True)
    options = {"tile_size": TILE, "overlap": 0, "depth": "onetile", "suffix": f".jpg[Q={QUALITY},strip]"}
    pyvips.Operation.call("dzsave", small, str(folder / "tiles"), **options)
    (folder / "tiles.dzi").unlink()
    for level in (folder / "tiles_files").iterdir():
        if level.is_dir():  # and no vips-properties.xml, which has the time of writing
            level.rename(folder / level.name)
    shutil.rmtree(folder / "tiles_files")
