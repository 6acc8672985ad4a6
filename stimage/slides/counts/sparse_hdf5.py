"""Count files in sparse HDF5: 10x Genomics' .h5, by columns that are spots, and AnnData's .h5ad, by rows.

Both keep the counts of one spot after those of another, in chunks that are compressed. Spots are read in the image's
order, which is not the file's. So each chunk is decoded once, where it is first needed, into a file without a name.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache

import h5py
import numpy as np
import pyarrow as pa

from stimage.core.access import OPEN, Access, is_local
from stimage.core.errors import DataError, one_line, shown
from stimage.core.storage import cache_folder, check_readable, local_copy
from stimage.core.tables import csv_text
from stimage.slides.counts.features import are_genes
from stimage.slides.counts.numbered_ids import as_texts
from stimage.slides.counts.rows import CountRows, RowIndex, narrow, places_of

STEP = 1 << 16  # counts that are decoded together, or a chunk if it is larger
BLOCK_COUNTS = 1 << 20  # counts of rows that are read in order
MATRIX = "data", "indices", "indptr"


@dataclass(frozen=True)
class Layout:
    """Where an HDF5 file has what: the group of the matrix, the data set of the n spots' ids, and its features.

    ``places`` numbers the features that are genes, and is -1 for the others; ``names`` are these genes' names.
    """

    matrix: str
    ids: str
    n: int
    names: list[str]
    places: np.ndarray


def header_line(url: str, access: Access = OPEN) -> bytes:
    """Return the gene names as the first line of a CSV; see `count_file.header_line`."""
    with opened(url, access) as file:
        return csv_text([["", *_layout(file, url).names]]).encode()


def index_rows(path: str) -> RowIndex:
    """Return every spot's id, and where its counts begin and end among all counts."""
    with opened(path) as file:
        layout = _layout(file, path)
        indptr = narrow(_indptr(file, layout, path))
        ids = [_texts(file[layout.ids][at : at + STEP]) for at in range(0, layout.n, STEP)]
    return RowIndex(pa.chunked_array(ids, pa.string()), indptr[:-1], indptr[1:])


def read_counts(path: str) -> Iterator[CountRows]:
    """Yield all rows in the file's order; see `count_file.read_counts`."""
    with opened(path) as file:
        layout = _layout(file, path)
        for some, rows in stored_rows(file, layout, path):
            ids = _texts(file[layout.ids][some.start : some.stop]).to_pylist()
            _check_values(rows, layout.names, path, ids.__getitem__)
            yield replace(rows, ids=ids)


def stored_rows(
    file: h5py.File, layout: Layout, path: str, wanted: np.ndarray | None = None
) -> Iterator[tuple[slice, CountRows]]:
    """Yield the rows of genes, in the file's order, some at a time, and which rows of the file they are of.

    Parameters
    ----------
    wanted
        Which rows to yield (bool, n); all without it.

    Raises
    ------
    DataError
        If the matrix contradicts itself; what its values are is not looked at.
    """
    indptr, matrix = _indptr(file, layout, path), file[layout.matrix]
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
    check_readable(path)
    matrix = _matrix(path, (stat := os.stat(path)).st_size, stat.st_mtime_ns)
    row = matrix.indptr.searchsorted(start.astype(matrix.indptr.dtype), "right") - 1
    row = np.minimum(row, len(matrix.indptr) - 2)
    if ((end > start) & ((matrix.indptr[row] != start) | (matrix.indptr[row + 1] != end))).any():
        raise DataError(f"{path}: changed while it was read; start again")
    indptr, at = places_of(start, end)
    with matrix.whole(path, start, end):
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
            self.layout = _layout(file, path)
            self.indptr = narrow(_indptr(file, self.layout, path))
            data, indices = (file[self.layout.matrix][name] for name in MATRIX[:2])
            chunk = max((one.chunks or (1,))[0] for one in (data, indices))
            self.step = -(-STEP // chunk) * chunk
            self.data, self.indices = _unnamed(data), _unnamed(indices)
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


def _unnamed(values: h5py.Dataset) -> np.ndarray:
    """Return an array for values, in a file of the cache's disk that has no name."""
    if not len(values):
        return np.empty(0, values.dtype)
    folder = cache_folder() / "decoded"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.truncate(len(values) * values.dtype.itemsize)
        return np.memmap(file, values.dtype, "r+", shape=len(values))


@lru_cache(maxsize=8)
def _matrix(path: str, *stamp: int) -> _Decoded:
    return _Decoded(path, *stamp)


@contextmanager
def opened(url: str, access: Access = OPEN) -> Iterator[h5py.File]:
    """Open an HDF5 file, which may be remote; whatever HDF5 raises while it is read is a `DataError`."""
    if not is_local(url):
        with access.asking(url, "read"):
            fs, path = access.open(url)
            with fs.open(path, "rb", block_size=1 << 18) as remote:
                if remote.size is not None:  # the server gives parts of a file
                    with h5py.File(remote) as file:
                        yield file
                    return
    path = local_copy(url, access)
    try:
        with h5py.File(path) as file:
            yield file
    except DataError:
        raise
    except Exception as error:  # HDF5's, of many classes
        raise DataError(f"{url}: cannot be read as counts in HDF5 ({one_line(error)})") from None


def _layout(file: h5py.File, path: str) -> Layout:
    found = _of_anndata(file, path) if {"obs", "var"} <= file.keys() else _of_tenx(file, path)
    if missing := [name for name in MATRIX if name not in file[found.matrix]]:
        raise DataError(f"{path}: its {found.matrix} has no {missing[0]}; get the file again")
    if not found.names:
        raise DataError(f"{path}: has no gene")
    return found


def _of_tenx(file: h5py.File, path: str) -> Layout:
    groups = [name for name, group in file.items() if isinstance(group, h5py.Group) and "barcodes" in group]
    if len(groups) != 1 or "features" not in (group := file[groups[0]]):
        found = f"groups {shown(groups)}" if groups else shown(list(file)) or "nothing"
        raise DataError(f"{path}: is no matrix of 10x Genomics' version 3 or later, but has {found}; "
                        "add the slide with stimage add-slide, which reads the others")  # fmt: skip
    features = group["features"]
    ids, names = (_texts(features[name][:]).to_pylist() for name in ("id", "name"))
    kinds = _texts(features["feature_type"][:]).to_pylist() if "feature_type" in features else []
    n, said = len(group["barcodes"]), group["shape"][:].tolist()
    if said != [len(ids), n] or len(names) != len(ids) or len(kinds) not in (0, len(ids)):
        raise DataError(f"{path}: says {said} features and barcodes, but has {len(ids)} and {n}; get the file again")
    return _numbered(groups[0], f"{groups[0]}/barcodes", n, [name or one for name, one in zip(names, ids)], kinds)


def _of_anndata(file: h5py.File, path: str) -> Layout:
    kind = file["X"].attrs.get("encoding-type", "null") if "X" in file else "null"
    if kind != "csr_matrix":
        problem = "it has no X" if kind == "null" else f"its X is {kind}, not csr_matrix"
        raise DataError(f"{path}: {problem}; write it with counts by rows: X = scipy.sparse.csr_matrix(X)")
    from anndata.io import read_elem

    obs, var = file["obs"], read_elem(file["var"])
    ids = f"obs/{obs.attrs['_index']}"
    n, said = len(file[ids]), file["X"].attrs["shape"].tolist()
    if said != [n, len(var)]:
        raise DataError(f"{path}: X is {said[0]} x {said[1]}, but there are {n} spots and {len(var)} genes")
    kinds = next((var[name].astype(str).tolist() for name in ("feature_types", "feature_type") if name in var), [])
    return _numbered("X", ids, n, var.index.astype(str).tolist(), kinds)


def _numbered(matrix: str, ids: str, n: int, names: list[str], kinds: list[str]) -> Layout:
    kept = are_genes(kinds) if kinds else np.ones(len(names), bool)
    places = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)
    return Layout(matrix, ids, n, [name for name, gene in zip(names, kept) if gene], places)


def _indptr(file: h5py.File, layout: Layout, path: str) -> np.ndarray:
    data, indices, indptr = (file[layout.matrix][name] for name in MATRIX)
    if data.dtype.kind not in "buif" or indices.dtype.kind not in "iu" or indptr.dtype.kind not in "iu":
        raise DataError(f"{path}: its {layout.matrix} has {data.dtype}, {indices.dtype} and {indptr.dtype}, "
                        "not numbers; get the file again")  # fmt: skip
    if {data.ndim, indices.ndim, indptr.ndim} != {1}:
        raise DataError(f"{path}: its {layout.matrix} has data {data.shape}, indices {indices.shape} and indptr "
                        f"{indptr.shape}, not one value after the other; get the file again")  # fmt: skip
    indptr = indptr[:].astype(np.int64, copy=False)
    sound = len(indptr) == layout.n + 1 and indptr[0] == 0 and (indptr[1:] >= indptr[:-1]).all()
    if not sound or not indptr[-1] == len(data) == len(indices):
        raise DataError(f"{path}: its {layout.matrix} contradicts itself: data {len(data)}, indices {len(indices)}, "
                        f"indptr {len(indptr)} for {layout.n} spots; get the file again")  # fmt: skip
    return indptr


def _texts(values: np.ndarray) -> pa.Array:
    """Return texts of fixed or of any length."""
    if values.dtype.kind == "S":
        letters = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), values.dtype.itemsize)
        if len(values) and letters[:, -1].all():  # all are as long as they may be, as barcodes are: nothing is copied
            return as_texts(letters)
        return pa.array(values).cast(pa.string())
    return pa.array([one.decode() if isinstance(one, bytes) else str(one) for one in values.tolist()], pa.string())


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
    with opened(path) as file:
        return _texts(file[_layout(file, path).ids][row : row + 1])[0].as_py()
