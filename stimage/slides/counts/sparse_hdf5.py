"""Count files in sparse HDF5: 10x Genomics' .h5, by columns that are spots, and AnnData's .h5ad, by rows.

Both keep the counts of spots one after another, in compressed chunks. Spots are read in the order of the image, which
differs from the order of the file. So each chunk is decoded once, when it is first needed, into a nameless file.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache

import h5py
import numpy as np
import pyarrow as pa

from stimage.core.access import OPEN, Access
from stimage.core.errors import DataError
from stimage.core.storage import file_state, unnamed_array
from stimage.core.tables import csv_text
from stimage.slides.counts.by_rows import by_rows
from stimage.slides.counts.hdf5_layout import MATRIX, Layout, opened, read_indptr, read_layout, texts_of
from stimage.slides.counts.rows import CountRows, RowIndex, narrow, places_of

STEP = 1 << 16  # counts that are decoded together, or a chunk if it is larger
BLOCK_COUNTS = 1 << 20  # counts of rows that are read in order


def header_line(url: str, access: Access = OPEN) -> bytes:
    """Return the gene names as the first line of a CSV; see `count_file.header_line`."""
    with opened(url, access) as file:
        return csv_text([["", *read_layout(file, url).names]]).encode()


def index_rows(path: str) -> RowIndex:
    """Return every spot's id, and where its counts begin and end among all counts."""
    with opened(by_rows(path)) as file:
        layout = read_layout(file, path)
        indptr = narrow(read_indptr(file, layout, path))
        ids = [texts_of(file[layout.ids][at : at + STEP]) for at in range(0, layout.n, STEP)]
    return RowIndex(pa.chunked_array(ids, pa.string()), indptr[:-1], indptr[1:])


def read_counts(path: str) -> Iterator[CountRows]:
    """Yield all rows in the file's order; see `count_file.read_counts`."""
    with opened(by_rows(path)) as file:
        layout = read_layout(file, path)
        for some, rows in stored_rows(file, layout, path):
            ids = texts_of(file[layout.ids][some.start : some.stop]).to_pylist()
            _check_values(rows, layout.names, path, ids.__getitem__)
            yield replace(rows, ids=ids)


def stored_rows(
    file: h5py.File, layout: Layout, path: str, wanted: np.ndarray | None = None
) -> Iterator[tuple[slice, CountRows]]:
    """Yield rows of genes in the order of the file, block by block, and their numbers in the file.

    Parameters
    ----------
    wanted
        The rows to yield (bool, n). None yields all.

    Raises
    ------
    DataError
        If the matrix contradicts itself. Its values are not checked.
    """
    indptr, matrix = read_indptr(file, layout, path), file[layout.matrix]
    block = np.append(indptr[1:] // BLOCK_COUNTS, -1)
    first = 0
    for last in np.flatnonzero(np.diff(block)).tolist():
        some, first = slice(first, last + 1), last + 1
        kept = np.flatnonzero(wanted[some]) if wanted is not None else np.arange(last + 1 - some.start)
        if not len(kept):
            continue
        begin, end = indptr[some.start], indptr[some.stop]
        indices, data = (matrix[name][begin:end] for name in ("indices", "data"))
        rows = _rows(indptr[some.start : some.stop + 1] - begin, indices, data, layout, path)
        yield some, rows if len(kept) == len(rows) else rows.of(kept)


def rows_at(path: str, genes: list[str], start: np.ndarray, end: np.ndarray) -> CountRows:
    """Return the rows that lie at these places, without their ids; see `count_file.rows_at`.

    Raises
    ------
    DataError
        If the file has no rows at these places, since it has changed.
    """
    actual = by_rows(path)
    matrix = _matrix(actual, *file_state(actual))
    row = matrix.indptr.searchsorted(start.astype(matrix.indptr.dtype), "right") - 1
    row = np.minimum(row, len(matrix.indptr) - 2)
    if ((end > start) & ((matrix.indptr[row] != start) | (matrix.indptr[row + 1] != end))).any():
        raise DataError(f"{path}: changed while it was read; start again")
    indptr, at = places_of(start, end)
    with matrix.whole(actual, start, end):
        columns, values = matrix.indices[at], matrix.data[at]
    rows = _rows(indptr, columns, values, matrix.layout, path)
    _check_values(rows, genes, path, lambda k: _id_of(path, int(row[k])))
    return rows


class _Decoded:
    """A matrix of a file whose counts are decoded when they are first needed, into files that have no name.

    The system frees these files with their last user. Processes that were forked share them, and decode the same
    values to the same places.
    """

    def __init__(self, path: str, *stamp: int):
        self.stamp = stamp
        with self._opened(path) as file:
            self.layout = read_layout(file, path)
            self.indptr = narrow(read_indptr(file, self.layout, path))
            data, indices = (file[self.layout.matrix][name] for name in MATRIX[:2])
            chunk = max((one.chunks or (1,))[0] for one in (data, indices))
            self.step = -(-STEP // chunk) * chunk
            self.data, self.indices = unnamed_array(len(data), data.dtype), unnamed_array(len(indices), indices.dtype)
        self.decoded = np.zeros(-(-len(self.data) // self.step), bool)

    @contextmanager
    def _opened(self, path: str) -> Iterator[h5py.File]:
        """Open the file, if it is still the one of the stamp: another one may have taken its place."""
        with opened(path) as file:
            stat = os.fstat(file.id.get_vfd_handle())
            if (stat.st_size, stat.st_mtime_ns) != self.stamp:
                raise DataError(f"{path}: changed while it was read; start again")
            yield file

    @contextmanager
    def whole(self, path: str, start: np.ndarray, end: np.ndarray) -> Iterator[None]:
        """Decode what is missing of these ranges of counts."""
        first, last = start // self.step, -(-end // self.step)
        wanted = np.zeros(len(self.decoded) + 1, np.int64)
        np.add.at(wanted, first, 1)
        np.add.at(wanted, np.maximum(last, first), -1)
        missing = np.flatnonzero((np.cumsum(wanted)[:-1] > 0) & ~self.decoded)
        if len(missing):
            with self._opened(path) as file:
                for k in missing.tolist():
                    part = slice(k * self.step, min((k + 1) * self.step, len(self.data)))
                    for name, into in (("data", self.data), ("indices", self.indices)):
                        file[self.layout.matrix][name].read_direct(into, part, part)
            self.decoded[missing] = True
        yield


@lru_cache(maxsize=8)
def _matrix(path: str, *stamp: int) -> _Decoded:
    return _Decoded(path, *stamp[:2])


def _rows(indptr: np.ndarray, indices: np.ndarray, data: np.ndarray, layout: Layout, path: str) -> CountRows:
    """Return rows of genes alone, in canonical form."""
    if len(indices) and not (int(indices.min()) >= 0 and int(indices.max()) < len(layout.places)):
        bad = indices[(indices < 0) | (indices >= len(layout.places))][0]
        raise DataError(f"{path}: has a count of gene {bad}, but there are {len(layout.places)}; get the file again")
    columns, values = layout.places.take(indices), data.astype(np.float64)
    kept = (columns >= 0) & (values != 0)
    if not kept.all():
        columns, values, indptr = columns[kept], values[kept], np.append(0, np.cumsum(kept))[indptr]
    rows = CountRows(indptr, columns.astype(np.int32), values)
    if ((np.diff(columns) <= 0) & (np.diff(rows.spot) == 0)).any():  # in no order, or a gene twice
        key, at = np.unique(rows.spot * len(layout.names) + columns, return_inverse=True)
        spot, columns = np.divmod(key, len(layout.names))
        indptr = spot.searchsorted(np.arange(len(indptr)))
        return CountRows(indptr, columns.astype(np.int32), np.bincount(at, values))
    return rows


def _check_values(rows: CountRows, genes: Sequence[str], path: str, called: Callable[[int], str]) -> None:
    """Refuse what is no count, with the spot, as ``called`` by its number among the rows, and the gene."""
    if not (good := np.isfinite(rows.values) & (rows.values >= 0)).all():
        bad = int(good.argmin())
        spot, value, gene = called(int(rows.spot[bad])), rows.values[bad], genes[rows.columns[bad]]
        raise DataError(f"{path}: spot {spot!r} has {value:g} of gene {gene!r}, which is no number of 0 or more")


def _id_of(path: str, row: int) -> str:
    with opened(by_rows(path)) as file:
        return texts_of(file[read_layout(file, path).ids][row : row + 1])[0].as_py()
