"""Writing an image as a pyramid of tiles, as segmenters, viewers and HEST read it: streamed, in the memory of strips.

Pixels are those that patches are cut from. They go through a pipe to libvips, in whose threads the TIFF is written.
"""

import os
import struct
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyvips

from stimage.core.errors import OutputError, one_line
from stimage.core.files import replacing, room_for
from stimage.slides.images.reader import MAX_IMAGE_PIXELS, image_info, read_patches

TILE = 256  # pixels
ROWS = 64  # of the image that are decoded at a time
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

    Each level is half of the one before. A BigTIFF is written where the pixels could need more than 4 GB.

    Parameters
    ----------
    image
        What `read_patches` reads.
    um_per_px
        For the resolution tags, in pixels per cm; None writes none.
    compression
        "jpeg", which loses what its ``quality`` (1 to 100) says, or, exactly, "deflate", "lzw" or "none".
    description
        The TIFF's ImageDescription, such as Aperio's or OME-XML; "" writes none.
    subifds
        Whether smaller levels are sub-pages of the first page, as OME-TIFF has them, or pages after it.
    done
        Called with the number of rows each time that some more were read.

    Raises
    ------
    DataError
        As `read_patches` does.
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
    with replacing(path) as unfinished, ThreadPoolExecutor(1) as thread:
        read, write = os.pipe()
        saved = thread.submit(_save, read, str(unfinished), options, um_per_px, description)
        with open(write, "wb") as pipe:
            for part in _as_png(image, info.width, info.height, max_pixels, done):
                pipe.write(part)
        try:
            with room_for(path):
                saved.result()
        except pyvips.Error as error:
            raise OutputError(f"{path}: cannot be written ({one_line(error)})") from None


def _as_png(
    image: str, width: int, height: int, max_pixels: int, done: Callable[[int], object] = int
) -> Iterator[bytes]:
    """Yield the parts of a PNG that is not compressed: the form in which libvips takes an image from a pipe."""
    yield b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    top, packer = np.arange(0, height, ROWS), zlib.compressobj(0)
    strips = np.stack([0 * top, top, 0 * top + width, np.minimum(top + ROWS, height)], 1)
    for strip in read_patches(image, strips, max_pixels):
        rows = np.pad(strip.reshape(len(strip), -1), ((0, 0), (1, 0)))  # in front of each, that it is not filtered
        yield _chunk(b"IDAT", packer.compress(rows.tobytes()))
        done(len(strip))
    yield _chunk(b"IDAT", packer.flush()) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _save(pipe: int, path: str, options: dict, um_per_px: float | None, description: str) -> None:
    """Write the image that comes through a pipe."""
    try:
        source = pyvips.Source.new_from_descriptor(pipe)
        image = pyvips.Image.new_from_source(source, "", access="sequential", fail_on="error")
        per_mm = {"xres": 1000 / um_per_px, "yres": 1000 / um_per_px} if um_per_px else {}
        image = pyvips.Operation.call("copy", image, **per_mm)
        if description:
            image.set_type(pyvips.GValue.gstr_type, "image-description", description)
        pyvips.Operation.call("tiffsave", image, path, **options)  # as a method, it would note an error first
    finally:
        while os.read(pipe, ROWS << 20):  # so that who writes is not kept waiting
            pass
        os.close(pipe)
