"""Label images: integers, 0 between cells, as StarDist and Cellpose write them."""

from pathlib import Path

import numpy as np
import tifffile
from scipy.ndimage import find_objects

from stimage.cells.reading.outlines import Found, Outlines
from stimage.core.errors import DataError, one_line, unreadable
from stimage.core.extras import needs

NUMPY = b"\x93NUMPY"
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
ROWS = 1024  # whose labels are counted at a time


def read_labels(path: Path) -> Found:
    """Read a label image, a TIFF or a .npy: each number above 0 is a cell, which the number is the id of.

    Raises
    ------
    DataError
        If the file is damaged, is no image of one band of integers, or has no cells.
    """
    labels = _labels(path)
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise DataError(f"{path}: is no label image: one has two dimensions of integers, but this has the shape "
                        f"{labels.shape} of {labels.dtype}")  # fmt: skip
    size = labels.shape[1], labels.shape[0]
    if labels.min(initial=0) < 0:
        raise DataError(f"{path}: has the label {labels.min()}: labels are 0 between cells, and numbers above 0")
    most = int(labels.max(initial=0))
    if not most:
        raise DataError(f"{path}: has no cells")
    if most > labels.size:
        raise DataError(f"{path}: has the label {most:,}, but {labels.size:,} pixels: these are no labels of cells")
    ids, xy, area = _places(labels, most)
    outlines = _outlines(labels, ids)
    return Found("label image", outlines, xy, None, [str(k) for k in ids], size, area)


def _labels(path: Path) -> np.ndarray:
    with open(path, "rb") as file:
        head = file.read(8)
    try:
        if head.startswith(NUMPY):
            return np.lib.format.open_memmap(path, mode="r")
        try:
            return tifffile.memmap(path, mode="r")
        except ValueError:  # it is compressed, or in tiles
            return tifffile.imread(path)
    except Exception as error:
        if "Python objects" in str(error):  # which would be run as code
            raise DataError(f"{path}: is a dictionary, as Cellpose's _seg.npy is; save its masks: by np.save, the "
                            "dictionary's 'masks' alone") from None  # fmt: skip
        raise unreadable(path, error, f"is damaged or cut off ({one_line(error)})") from None


def _places(labels: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the labels that there are (n), their centres (n x 2: x, y) and their pixels (n), row by row."""
    pixels, sums = np.zeros(most + 1), np.zeros((2, most + 1))
    for top in range(0, len(labels), ROWS):
        part = np.asarray(labels[top : top + ROWS])
        y, x = np.nonzero(part)
        label = part[y, x].astype(np.int64)
        pixels += np.bincount(label, minlength=most + 1)
        for total, places in zip(sums, (x, y + top)):
            total += np.bincount(label, places + 0.5, most + 1)  # the middle of a pixel
    ids = np.flatnonzero(pixels)
    return ids, (sums[:, ids] / pixels[ids]).T, pixels[ids]


def _outlines(labels: np.ndarray, ids: np.ndarray) -> Outlines:
    """Return the outline of each label's largest part, halfway between its pixels and those around."""
    find_contours = needs("skimage.measure").find_contours
    boxes, outlines = find_objects(labels), Outlines()
    for k in ids.tolist():
        rows, columns = boxes[k - 1]
        mask = np.pad(labels[rows, columns] == k, 1).astype(np.uint8)
        ring = max(find_contours(mask, 0.5), key=len)
        outlines.add([[(ring[:, ::-1] + (columns.start - 0.5, rows.start - 0.5)).tolist()]])
    return outlines
