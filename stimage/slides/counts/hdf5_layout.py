"""The layout of HDF5 files of counts: 10x Genomics' .h5, or AnnData's .h5ad."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import h5py
import numpy as np
import pyarrow as pa

from stimage.core.access import OPEN, Access, is_local
from stimage.core.errors import DataError, let_go, one_line, shown
from stimage.core.storage import local_copy
from stimage.slides.counts.features import are_genes
from stimage.slides.counts.numbered_ids import as_texts

REFERENCE = np.dtype([("length", "<u4"), ("heap", "<u8"), ("number", "<u4")])  # to a text of any length, in the file
MATRIX = "data", "indices", "indptr"
KINDS = "csr_matrix", "csc_matrix", "array"  # of AnnData's X; of the latter two, `by_rows` makes the first


@dataclass(frozen=True)
class Layout:
    """The layout of an HDF5 file: the group of the matrix, the data set of the n spot ids, and the features.

    ``places`` numbers the features that are genes, and is -1 for others. ``names`` are the names of these genes.
    """

    matrix: str
    ids: str
    n: int
    names: list[str]
    places: np.ndarray


@contextmanager
def opened(url: str, access: Access = OPEN) -> Iterator[h5py.File]:
    """Open an HDF5 file, which may be remote; any error of HDF5 during the block becomes a `DataError`."""
    try:
        with _file(url, access) as file:
            yield file
    except DataError as error:
        let_go(error)
        raise
    except Exception as error:  # HDF5's, of many classes
        let_go(error)
        raise DataError(f"{url}: cannot be read as counts in HDF5 ({one_line(error)})") from None


@contextmanager
def _file(url: str, access: Access) -> Iterator[h5py.File]:
    if not is_local(url):
        with access.asking(url, "read"):
            fs, path = access.open(url)
            with fs.open(path, "rb", block_size=1 << 18) as remote:
                if remote.size is not None:  # the server gives parts of a file
                    with h5py.File(remote) as file:
                        yield file
                    return
    with h5py.File(local_copy(url, access)) as file:
        yield file


def read_layout(file: h5py.File, path: str) -> Layout:
    """Return where a file has what; raises `DataError` if it is none of either kind, or contradicts itself."""
    found = _of_anndata(file, path) if {"obs", "var"} <= file.keys() else _of_tenx(file, path)
    matrix = file[found.matrix]
    if missing := [name for name in MATRIX if isinstance(matrix, h5py.Group) and name not in matrix]:
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
    check_lengths(group, path)
    features = group["features"]
    ids, names = (texts_of(features[name][:]).to_pylist() for name in ("id", "name"))
    kinds = texts_of(features["feature_type"][:]).to_pylist() if "feature_type" in features else []
    n, said = len(group["barcodes"]), group["shape"][:].tolist()
    if said != [len(ids), n] or len(names) != len(ids) or len(kinds) not in (0, len(ids)):
        raise DataError(f"{path}: says {said} features and barcodes, but has {len(ids)} and {n}; get the file again")
    return _numbered(groups[0], f"{groups[0]}/barcodes", n, [name or one for name, one in zip(names, ids)], kinds)


def _of_anndata(file: h5py.File, path: str) -> Layout:
    x = file.get("X")
    kind = "array" if isinstance(x, h5py.Dataset) else "null" if x is None else x.attrs.get("encoding-type", "null")
    if kind not in KINDS:
        problem = "it has no X" if kind == "null" else f"its X is {kind}, not csr_matrix"
        raise DataError(f"{path}: {problem}; write it with counts by rows: X = scipy.sparse.csr_matrix(X)")
    from anndata.io import read_elem

    check_lengths(file["var"], path)
    obs, var = file["obs"], read_elem(file["var"])
    ids = f"obs/{obs.attrs['_index']}"
    check_lengths(file[ids], path)
    n, said = len(file[ids]), list(x.shape if kind == "array" else x.attrs["shape"].tolist())
    if said != [n, len(var)]:
        raise DataError(f"{path}: X is {said[0]} x {said[1]}, but there are {n} spots and {len(var)} genes")
    kinds = next((var[name].astype(str).tolist() for name in ("feature_types", "feature_type") if name in var), [])
    return _numbered("X", ids, n, var.index.astype(str).tolist(), kinds)


def _numbered(matrix: str, ids: str, n: int, names: list[str], kinds: list[str]) -> Layout:
    kept = are_genes(kinds) if kinds else np.ones(len(names), bool)
    places = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)
    return Layout(matrix, ids, n, [name for name, gene in zip(names, kept) if gene], places)


def read_indptr(file: h5py.File, layout: Layout, path: str) -> np.ndarray:
    """Return where the counts of each spot begin (n + 1, int64); raises `DataError` if the matrix can't be read so."""
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


def check_lengths(part: h5py.Group | h5py.Dataset, path: str) -> None:
    """Refuse texts that are longer than their file: HDF5 takes as much memory before it finds the damage."""
    if not os.path.isfile(name := part.file.filename):  # it is remote
        return
    found = [part]
    if isinstance(part, h5py.Group):
        part.visititems(lambda _, one: found.append(one))
    for one in found:
        for at, stored in _references(one) if isinstance(one, h5py.Dataset) else ():
            longest = np.fromfile(name, REFERENCE, stored // REFERENCE.itemsize, offset=at)["length"].max()
            if longest > os.path.getsize(name):
                raise DataError(f"{path}: {one.name} says that a text has {longest:,} bytes, more than the file; "
                                "get the file again")  # fmt: skip


def _references(texts: h5py.Dataset) -> Iterator[tuple[int, int]]:
    """Yield where references to texts of any length are stored, and their bytes; compressed ones have a checksum."""
    kind = h5py.check_string_dtype(texts.dtype)
    if kind is None or kind.length is not None or texts.id.get_create_plist().get_nfilters():
        return
    if texts.chunks is None:
        pieces = [(texts.id.get_offset(), texts.id.get_storage_size())]
    else:
        chunks = (texts.id.get_chunk_info(k) for k in range(texts.id.get_num_chunks()))
        pieces = [(chunk.byte_offset, chunk.size) for chunk in chunks]
    yield from ((at, stored) for at, stored in pieces if at is not None and stored)


def texts_of(values: np.ndarray) -> pa.Array:
    """Return texts of fixed or of any length."""
    if values.dtype.kind == "S":
        letters = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), values.dtype.itemsize)
        if len(values) and letters[:, -1].all():  # all are as long as they may be, as barcodes are: nothing is copied
            return as_texts(letters)
        return pa.array(values).cast(pa.string())
    return pa.array([one.decode() if isinstance(one, bytes) else str(one) for one in values.tolist()], pa.string())
