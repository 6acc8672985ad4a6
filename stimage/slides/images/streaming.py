"""An image as libvips takes it to write it in another form: streamed, in the memory of strips.

Pixels are those that patches are cut from. They go through a pipe to libvips, which writes in threads of its own.
"""

import errno
import os
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyvips

from stimage.core.errors import OutputError, one_line
from stimage.core.files import room_for
from stimage.slides.images.reader import MAX_IMAGE_PIXELS, image_info, read_patches

ROWS = 64  # of the image that are decoded at a time
LEAST = 1 << 16  # bytes: a disk with less room is full


def stream_image(
    image: str,
    path: Path,
    save: Callable[[pyvips.Image], object],
    max_pixels: int = MAX_IMAGE_PIXELS,
    done: Callable[[int], object] = int,
) -> None:
    """Read an image once from top to bottom, and pass it to what saves it.

    Parameters
    ----------
    image
        What `read_patches` reads.
    path
        What is written, for errors.
    save
        Given the image (RGB, uint8), which can be read once from top to bottom.
    done
        Called with the number of rows each time that some more were read.

    Raises
    ------
    DataError
        As `read_patches` does.
    OutputError
        If it can't be written.
    """
    info = image_info(image, max_pixels)
    with ThreadPoolExecutor(1) as thread:
        read, write = os.pipe()
        saved = thread.submit(_save, read, save)
        with open(write, "wb") as pipe:
            for part in _as_png(image, info.width, info.height, max_pixels, done):
                pipe.write(part)
        try:
            with room_for(path):
                _result_of(saved, path)
        except pyvips.Error as error:
            raise OutputError(f"{path}: cannot be written ({one_line(error)})") from None


def _result_of(saved: Future, path: Path) -> None:
    """Wait until it is saved; a full disk is told even if reading, beside it, took libvips' reason away."""
    try:
        saved.result()
    except pyvips.Error as error:
        if not error.detail and shutil.disk_usage(path.parent).free < LEAST:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise


def _as_png(image: str, width: int, height: int, max_pixels: int, done: Callable[[int], object]) -> Iterator[bytes]:
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


def _save(pipe: int, save: Callable[[pyvips.Image], object]) -> None:
    """Save the image that comes through a pipe."""
    try:
        source = pyvips.Source.new_from_descriptor(pipe)
        save(pyvips.Image.new_from_source(source, "", access="sequential", fail_on="error"))
    finally:
        while os.read(pipe, ROWS << 20):  # so that who writes is not kept waiting
            pass
        os.close(pipe)
