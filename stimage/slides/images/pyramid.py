"""Write an image as a pyramid of tiles, as segmenters, viewers and HEST read it, in the memory of strips."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyvips

from stimage.core.files import replacing
from stimage.slides.images.reader import MAX_IMAGE_PIXELS, image_info
from stimage.slides.images.streaming import stream_image

TILE = 256  # pixels
CLASSIC = 4_000_000_000  # bytes that a TIFF of 32-bit places may have
COMPRESSIONS = ("jpeg", "deflate", "lzw", "none")


def write_pyramid(
    image: str,
    path: Path,
    um_per_px: float | None,
    compression: str = "jpeg",
    quality: int = 90,
    description: str = "",
    max_pixels: int = MAX_IMAGE_PIXELS,
    subifds: bool = False,
    done: Callable[[int], object] = int,
) -> None:
    """Write an image as a pyramid of tiles of 256 pixels in a TIFF (RGB, uint8), whole or not at all.

    Each level has half the side of the one before. A BigTIFF is written where the pixels could need more than 4 GB.

    Parameters
    ----------
    image
        The image, as `read_patches` takes it.
    um_per_px
        µm per pixel, for the resolution tags (in pixels per cm). None writes none.
    compression
        "jpeg", with a ``quality`` from 1 to 100, or one that keeps pixels exactly: "deflate", "lzw" or "none".
    description
        The TIFF's ImageDescription, such as Aperio's or OME-XML. "" writes none.
    subifds
        True makes smaller levels sub-pages of the first page, as in OME-TIFF. False makes them pages after it.
    done
        Function that is called with the number of rows after each block of rows.

    Raises
    ------
    DataError
        As in `read_patches`.
    OutputError
        If the file can't be written.
    ValueError
        If there is no such compression or quality.
    """
    if compression not in COMPRESSIONS or not 1 <= quality <= 100:
        raise ValueError(f"compression={compression!r}, quality={quality!r}: pass one of {', '.join(COMPRESSIONS)}, "
                         "and 1 to 100")  # fmt: skip
    info = image_info(image, max_pixels)
    options = {
        "tile": True,
        "tile_width": TILE,
        "tile_height": TILE,
        "pyramid": True,
        "subifd": subifds,
        "compression": compression,
        "Q": quality,
        "bigtiff": info.width * info.height * 4 > CLASSIC,  # 3 bands, and a third for the smaller levels
        "resunit": "cm",
    }
    with replacing(path) as unfinished:
        save = partial(_save, path=str(unfinished), options=options, um_per_px=um_per_px, description=description)
        stream_image(image, path, save, max_pixels, done)


def _save(image: pyvips.Image, path: str, options: dict, um_per_px: float | None, description: str) -> None:
    per_mm = {"xres": 1000 / um_per_px, "yres": 1000 / um_per_px} if um_per_px else {}
    image = pyvips.Operation.call("copy", image, **per_mm)
    if description:
        image.set_type(pyvips.GValue.gstr_type, "image-description", description)
    pyvips.Operation.call("tiffsave", image, path, **options)  # as a method, it would note an error first
