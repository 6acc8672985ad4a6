"""Patches as image files: PPM for streaming, PNG and JPEG for keeping."""

import io
import struct
import zlib
from collections.abc import Callable
from functools import partial

import numpy as np
from isal import isal_zlib
from PIL import Image

IMAGE_FORMATS = ("ppm", "png", "jpeg")
JPEG_QUALITY = 95
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
UP = 2  # PNG's filter that predicts a byte from the one above, the fastest to undo


def encoder(image_format: str, jpeg_quality: int = JPEG_QUALITY) -> Callable[[np.ndarray], bytes]:
    """Return the function that writes RGB pixels, uint8 (height, width, 3), as a file of this format.

    "ppm" is uncompressed, and the fastest to make and to read. "png" is lossless. "jpeg" is small, and loses detail.
    """
    encoders: dict[str, Callable[[np.ndarray], bytes]] = {
        "ppm": encode_ppm, "png": encode_png, "jpeg": partial(encode_jpeg, quality=jpeg_quality),
    }  # fmt: skip
    return encoders[image_format]


def encode_ppm(pixels: np.ndarray) -> bytes:
    """Write RGB pixels as a PPM file, which is a line of text before them."""
    return b"P6 %d %d 255\n" % (pixels.shape[1], pixels.shape[0]) + pixels.tobytes()


def encode_png(pixels: np.ndarray) -> bytes:
    """Write RGB pixels as a PNG file: one filter for all rows, compressed by ISA-L.

    On H&E patches this is seven times as fast as Pillow at its fastest, and 3 % larger.
    """
    height, width, _ = pixels.shape
    bytes_ = pixels.reshape(height, 3 * width)
    rows = np.empty((height, 1 + 3 * width), np.uint8)
    rows[:, 0] = UP
    rows[0, 1:] = bytes_[0]
    np.subtract(bytes_[1:], bytes_[:-1], out=rows[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", isal_zlib.compress(rows.tobytes(), 1)), (b"IEND", b""))
    return PNG_SIGNATURE + b"".join(_chunk(*chunk) for chunk in chunks)


def encode_jpeg(pixels: np.ndarray, quality: int = JPEG_QUALITY) -> bytes:
    """Write RGB pixels as a JPEG file."""
    Image.fromarray(pixels).save(file := io.BytesIO(), "JPEG", quality=quality)
    return file.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
