"""Encoded patches as pixels, in memory that is given."""

import io
import struct
from collections.abc import Callable, Sequence
from typing import Any

import imagecodecs
import numpy as np
import pyarrow as pa
import simplejpeg
import torch
from PIL import Image, UnidentifiedImageError

from stimage.core.errors import DataError, one_line
from stimage.examples.image_formats import PNG_SIGNATURE
from stimage.loading.pixels import resize

JPEG_SIGNATURE = b"\xff\xd8\xff"
SIGNATURES = (JPEG_SIGNATURE, PNG_SIGNATURE)
MAX_PIXELS = 10**8  # of a patch: more is a decompression bomb
PNG_RGB = b"\x08\x02"  # 8 bits, three colours, after the size in a PNG's header
Change = Callable[[torch.Tensor, slice], torch.Tensor]  # of some images, and which rows these are


class Patches:
    """The encoded patches of some spots, and the tensor that they are decoded into.

    Parameters
    ----------
    encoded : pyarrow.BinaryArray
    spots
        Their ids, for messages.
    images : torch.Tensor
        uint8, n x height x width x 3.
    resized
        Whether images of another size are resized, and not refused.
    """

    def __init__(self, encoded: pa.BinaryArray, spots: Sequence[str], images: torch.Tensor, resized: bool):
        self.encoded, self.spots, self.images, self.resized = encoded, spots, images, resized

    def fill(self, rows: slice, change: Change | None = None) -> None:
        """Decode some rows, each into its place or resized into it, and change them.

        Raises
        ------
        DataError
            If an image is missing or damaged, or is of another size and is not to be resized.
        """
        other, pixels = [], self.images.numpy()
        for i in range(rows.start, rows.stop):
            image = decode(self.encoded[i].as_buffer(), self.spots[i], pixels[i])
            if image is not None:
                other.append((i, image))
        if other and not self.resized:
            sizes = sorted({image.shape[:2] for _, image in other} | {pixels.shape[1:3]})
            raise DataError(f"spots {self.spots[0]} to {self.spots[-1]}: images of sizes {sizes} in one batch; "
                            "pass image_size")  # fmt: skip
        if other:
            places, images = zip(*other)
            self.images[list(places)] = resize(images, pixels.shape[1])
        if change:
            self.images[rows] = change(self.images[rows], rows)


def decode(encoded: pa.Buffer | None, spot: str, into: np.ndarray | None = None) -> np.ndarray | None:
    """Decode an image into an array of its size; return it as a new array (uint8, RGB) if there is none of its size.

    Raises
    ------
    DataError
        If it is missing or damaged, naming the spot.
    """
    if encoded is None:
        raise DataError(f"spot {spot}: has no image bytes")
    data = memoryview(encoded).cast("B")
    if (size := _size(data)) is not None:
        fits = into is not None and into.shape[:2] == size
        try:
            pixels = _decode_fast(data, into if fits else None)
            if pixels.shape[2] == 3:
                return None if fits else pixels
        except (ValueError, imagecodecs.PngError):  # Pillow decodes it, or explains the error
            pass
    pixels = _decode_by_pillow(data, spot)
    if into is None or into.shape != pixels.shape:
        return pixels
    into[...] = pixels
    return None


def size_of(encoded: pa.Buffer | None, spot: str) -> tuple[int, int]:
    """Return an image's height and width; raises `DataError` as `decode` does."""
    size = _size(memoryview(encoded).cast("B")) if encoded is not None else None
    if size is None and (pixels := decode(encoded, spot)) is not None:
        size = pixels.shape[:2]
    assert size is not None  # decode gives pixels where it has nowhere to put them
    return size


def _size(data: memoryview) -> tuple[int, int] | None:
    """Return height and width of a usual JPEG or PNG; None if Pillow must decode it or explain the error."""
    try:
        if data[:3] == JPEG_SIGNATURE:
            height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
            usual = colours in ("YCbCr", "RGB", "Gray")
        elif usual := data[: len(PNG_SIGNATURE)] == PNG_SIGNATURE and data[24:26] == PNG_RGB:
            width, height = struct.unpack(">II", data[16:24])
    except ValueError:
        return None
    return (height, width) if usual and width * height <= MAX_PIXELS else None


def _decode_fast(data: Any, into: np.ndarray | None) -> np.ndarray:
    """Decode a usual JPEG or PNG several times as fast as Pillow, to the same pixels."""
    if data[:3] == JPEG_SIGNATURE:
        return simplejpeg.decode_jpeg(data, buffer=into)
    return imagecodecs.png_decode(data, out=into)


def _decode_by_pillow(data: memoryview, spot: str) -> np.ndarray:
    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > MAX_PIXELS:
            raise DataError(f"spot {spot}: its image has {image.width} x {image.height} pixels, too many for a patch")
        return np.asarray(image.convert("RGB"))
    except UnidentifiedImageError:  # whose text is but Python's name of the bytes
        begins = bytes(data[:8])
        what = "is damaged" if not begins or begins.startswith(SIGNATURES) else f"begins with {begins!r}: it is none"
        raise DataError(f"spot {spot}: its image {what}; make its shard again") from None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow tells a broken PNG by SyntaxError
        raise DataError(f"spot {spot}: its image is damaged ({one_line(error)}); make its shard again") from None
