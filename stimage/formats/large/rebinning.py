"""Sum bins of Visium HD into larger ones: 16 bins of 2 µm become one of 8 µm."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stimage.core.arguments import check_whole
from stimage.core.errors import DataError
from stimage.formats.imported import ImportedSlide
from stimage.formats.large.file_counts import AddedCounts

BIN = r"^s_(?P<um>\d{3})um_(?P<row>\d{5})_(?P<column>\d{5})(?:-\d+)?$"
OFF = 0.1  # bins: how far a small bin may lie from its lattice


def rebinned(found: ImportedSlide, um: int) -> ImportedSlide:
    """Return the slide in larger bins, numbered and named as Space Ranger does; their counts are sums.

    Parameters
    ----------
    um
        Side of a large bin in µm: a multiple of the side of the small ones, which their barcodes tell.

    Raises
    ------
    DataError
        If the slide's spots are no bins of Visium HD, do not lie on a lattice, or ``um`` is no multiple of their side.
    """
    check_whole(um, "rebin", 1, "µm")
    small, row, column = _places(found)
    if um % small or um <= small:
        raise DataError(f"{found.where}: has bins of {small} µm: rebin= (--rebin) takes multiples of them, as "
                        f"{2 * small}, {4 * small} and {8 * small}, not {um}")  # fmt: skip
    k = um // small
    corner, large = np.unique(np.stack([row // k, column // k]), axis=1, return_inverse=True)
    last = np.zeros(corner[0].max() + 1, np.int64)  # the last small bin of each row of large ones
    np.maximum.at(last, row // k, np.arange(len(row)))
    order = np.lexsort((corner[1], last[corner[0]]))
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    rows, columns = corner[:, order]
    band = np.unique(last[rows], return_inverse=True)[1]
    x, y = (_on_lattice(found, values, row, column, rows * k + (k - 1) / 2, columns * k + (k - 1) / 2)
            for values in (found.x, found.y))  # fmt: skip
    barcodes = [f"s_{um:03d}um_{a:05d}_{b:05d}-1" for a, b in zip(rows.tolist(), columns.tolist())]
    return replace(found, barcodes=barcodes, counts=AddedCounts(found.counts, number[large.ravel()], band), x=x, y=y,
                   r=found.r * k, labels={}, counts_file=None)  # fmt: skip


def _places(found: ImportedSlide) -> tuple[int, np.ndarray, np.ndarray]:
    """Return the bins' side in µm, and each one's row and column in the array, as its barcode says."""
    told = pc.extract_regex(pa.array(found.barcodes, pa.string()), BIN)
    if told.null_count:
        spot = found.barcodes[pc.index(told.is_null(), True).as_py()]
        raise DataError(f"{found.where}: has spot {spot!r}, which is no bin of Visium HD: leave out rebin= (--rebin)")
    sides, row, column = (told.field(name).cast(pa.int32()).to_numpy() for name in ("um", "row", "column"))
    if sides.min() != sides.max():
        raise DataError(f"{found.where}: has bins of {sides.min()} and of {sides.max()} µm; keep those of one size")
    return int(sides[0]), row, column


def _on_lattice(
    found: ImportedSlide, values: np.ndarray, row: np.ndarray, column: np.ndarray, at: np.ndarray, by: np.ndarray
) -> np.ndarray:
    """Return where bins at other places of the array lie, of x or y: a linear function of row and column."""
    told = np.stack([row, column, np.ones(len(row))], 1)
    fit = np.linalg.lstsq(told, values, rcond=None)[0]
    if np.abs(told @ fit - values).max() > OFF * 2 * found.r:
        raise DataError(
            f"{found.where}: its bins do not lie where their barcodes say; take counts and positions from one slide"
        )
    return np.stack([at, by, np.ones(len(at))], 1) @ fit
