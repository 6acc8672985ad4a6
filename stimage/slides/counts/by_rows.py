"""Counts of AnnData that are dense or stored by columns (CSC): a copy by rows is kept in the cache."""

import hashlib
import os
from functools import lru_cache

import h5py
import numpy as np

from stimage.core.errors import DataError
from stimage.core.files import locked, replacing_hdf5
from stimage.core.storage import cache_folder, check_readable, file_state, unnamed_array
from stimage.slides.counts.hdf5_layout import MATRIX, opened
from stimage.slides.counts.writing import CHUNK, COMPRESSED

BLOCK = 1 << 22  # numbers that are held at once


def by_rows(path: str) -> str:
    """Return the path of a file whose counts are by rows: the file itself, or its copy in the cache.

    The copy is made once, in the memory of a block, and anew when the file changes.

    Raises
    ------
    DataError
        If the file can't be read, or its matrix contradicts itself.
    """
    check_readable(path)
    if not path.lower().endswith(".h5ad"):
        return path
    return _by_rows(os.path.abspath(path), *file_state(path))


def are_by_rows(path: str) -> bool:
    """Return whether the counts of a file are stored by rows, and neither dense nor by columns."""
    with opened(path) as file:
        x = file.get("X")
        return not isinstance(x, h5py.Dataset) and (x is None or x.attrs.get("encoding-type") != "csc_matrix")


@lru_cache(maxsize=1024)
def _by_rows(path: str, *stamp: int) -> str:
    if are_by_rows(path):
        return path
    key = hashlib.blake2b(f"{path} {stamp}".encode(), digest_size=16).hexdigest()
    copy = cache_folder() / "by_rows" / key / os.path.basename(path)
    if not copy.exists():
        with locked(copy.parent):
            if not copy.exists():
                with opened(path) as file, replacing_hdf5(copy) as new:
                    _convert(file, new, path)
    return str(copy)


def _convert(file: h5py.File, new: h5py.File, path: str) -> None:
    """Write obs and var as they are, and X by rows."""
    for name in ("obs", "var"):
        file.copy(name, new)
    x, group = file["X"], new.create_group("X")
    group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
    kind = x.dtype if isinstance(x, h5py.Dataset) else x["data"].dtype
    for name, dtype in (("data", kind), ("indices", np.int32)):
        group.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(CHUNK,), **COMPRESSED)
    if isinstance(x, h5py.Dataset):
        shape, indptr = _of_dense(x, group, path)
    else:
        shape, indptr = _of_columns(x, group, path)
    group.attrs["shape"] = np.array(shape, np.int64)
    group.create_dataset("indptr", data=indptr, **COMPRESSED)


def _of_dense(x: h5py.Dataset, group: h5py.Group, path: str) -> tuple[tuple[int, int], np.ndarray]:
    if x.ndim != 2:
        raise DataError(f"{path}: its X has the shape {x.shape}, not spots x genes")
    step = max(1, BLOCK // max(1, x.shape[1]))
    counted = [np.zeros(1, np.int64)]
    for at in range(0, x.shape[0], step):
        block = x[at : at + step]
        spot, gene = np.nonzero(block)
        _append(group, block[spot, gene], gene)
        counted.append(np.bincount(spot, minlength=len(block)))
    return x.shape, np.cumsum(np.concatenate(counted))


def _of_columns(x: h5py.Group, group: h5py.Group, path: str) -> tuple[tuple[int, int], np.ndarray]:
    """Put each count to its row: columns come in order, so that those of a row do, too."""
    if missing := [name for name in MATRIX if name not in x]:
        raise DataError(f"{path}: its X has no {missing[0]}; get the file again")
    (spots, genes), begin = x.attrs["shape"].tolist(), x["indptr"][:].astype(np.int64)
    rows, values = x["indices"], x["data"]
    sound = len(begin) == genes + 1 and begin[0] == 0 and (np.diff(begin) >= 0).all()
    if not sound or not begin[-1] == len(rows) == len(values):
        raise DataError(f"{path}: its X contradicts itself: data {len(values)}, indices {len(rows)}, indptr "
                        f"{len(begin)} for {genes} genes; get the file again")  # fmt: skip
    parts = [slice(at, min(at + BLOCK, len(rows))) for at in range(0, len(rows), BLOCK)]
    sizes = np.zeros(spots, np.int64)
    for part in parts:
        some = rows[part]
        if not (some.min() >= 0 and some.max() < spots):
            raise DataError(f"{path}: its X has a count of spot {some.max()} of {spots}; get the file again")
        sizes += np.bincount(some, minlength=spots)
    indptr = np.append(0, np.cumsum(sizes))
    at, kinds = indptr[:-1].copy(), (values.dtype, np.dtype(np.int32))
    by_row = [unnamed_array(len(rows), kind) for kind in kinds]
    for part in parts:
        order = np.argsort(some := rows[part], kind="stable")
        gene = np.searchsorted(begin, np.arange(part.start, part.stop), "right") - 1
        row = some[order].astype(np.int64)
        first = np.searchsorted(row, row)  # of the same row, in this part
        place = at[row] + np.arange(len(row)) - first
        by_row[0][place], by_row[1][place] = values[part][order], gene[order]
        at += np.bincount(row, minlength=spots)
    for part in parts:
        _append(group, by_row[0][part], by_row[1][part])
    return (spots, genes), indptr


def _append(group: h5py.Group, values: np.ndarray, genes: np.ndarray) -> None:
    for name, more in (("data", values), ("indices", genes)):
        into = group[name]
        into.resize(len(into) + len(more), axis=0)
        into[len(into) - len(more) :] = more
