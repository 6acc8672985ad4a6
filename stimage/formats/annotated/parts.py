"""The parts of an AnnData that a slide is made of, in memory or in a .h5ad file of any age; the rest is not read."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem

from stimage.core.errors import DataError, let_go, one_line, shown, unreadable
from stimage.core.tables import check_unzipped
from stimage.formats.imported import reading
from stimage.slides.counts.hdf5_layout import check_lengths
from stimage.slides.hest.places import holds_places


@dataclass(frozen=True, eq=False)
class Parts:
    """An AnnData's tables, and its matrices, which are read when they are called for.

    ``matrices`` has "X", the layers and "raw", each n spots x genes; ``raw_var`` are the genes of "raw". ``where`` is
    what errors call it; ``path`` is its file, if it is of one.
    """

    where: str
    path: Path | None
    obs: pd.DataFrame
    var: pd.DataFrame
    raw_var: pd.DataFrame | None
    obsm: Mapping[str, Any]
    uns: Mapping[str, Any]
    matrices: Mapping[str, Callable[[], Any]]


def parts_in_memory(data: anndata.AnnData, where: str) -> Parts:
    """Return the parts of an AnnData, whose matrices may be on disk."""
    layers = {name: lambda name=name: data.layers[name] for name in data.layers}
    raw = {} if data.raw is None else {"raw": lambda: data.raw.X}
    x = {} if data.X is None else {"X": lambda: data.X}
    return Parts(where, None, data.obs, data.var, None if data.raw is None else data.raw.var, data.obsm, data.uns,
                 {**raw, **x, **layers})  # fmt: skip


@contextmanager
def parts_of_file(path: Path) -> Iterator[Parts]:
    """Open a .h5ad file and give its parts; it is closed thereafter.

    Raises
    ------
    DataError
        If the file is no .h5ad, or one of the parts cannot be read.
    """
    with _opened(path) as file:
        with reading(path, ".h5ad"):  # what is there may be a link to nothing
            parts = _parts(path, file)
        yield parts


def _parts(path: Path, file: h5py.File) -> Parts:
    read = lambda name: _element(path, file, name)  # noqa: E731
    names = [*(file["layers"] if isinstance(file.get("layers"), h5py.Group) else ())]
    matrices = {name: lambda name=name: read(f"layers/{name}") for name in names}
    raw = next((name for name in ("raw/X", "raw.X") if name in file), None)  # with a dot: anndata 0.6
    if raw:
        matrices = {"raw": lambda: read(raw), **matrices}
    if "X" in file and file["X"].attrs.get("encoding-type") != "null":
        matrices = {"X": lambda: read("X"), **matrices}
    raw_var = _table(path, file, raw.replace("X", "var")) if raw else None
    return Parts(str(path), path, _table(path, file, "obs"), _table(path, file, "var"), raw_var,
                 _group(path, file, "obsm"), _uns(path, file), matrices)  # fmt: skip


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise OSError("it is no file")
        check_unzipped(path)
        with path.open("rb") as file:
            begins = file.read(8)
        if begins != b"\x89HDF\r\n\x1a\n":
            raise DataError(f"{path}: is no .h5ad: it does not begin as HDF5 files do")
        file = h5py.File(path, "r")
    except OSError as error:
        raise unreadable(path, error, f"cannot be read as .h5ad ({one_line(error)}); get it again") from None
    with file:
        with reading(path, ".h5ad"):
            _check(path, file)
        yield file


def _check(path: Path, file: h5py.File) -> None:
    if "mod" in file:
        raise DataError(f"{path}: is a MuData file of {shown(list(file['mod']))}; write the AnnData of its genes "
                    "into a file of its own (.h5ad)")  # fmt: skip
    if "obs" not in file or "var" not in file:
        raise DataError(f"{path}: is no .h5ad, which has obs and var, but HDF5 of {shown(list(file)) or 'nothing'}")


def _element(path: Path, file: h5py.File, name: str) -> Any:
    try:
        with warnings.catch_warnings():
            check_lengths(file[name], str(path))
            warnings.simplefilter("ignore")  # of old ways of writing, which are read all the same
            return file[name] if _is_dense(file[name]) else read_elem(file[name])
    except DataError:
        raise
    except Exception as error:  # HDF5's, numpy's and anndata's own, of whatever the file has there
        let_go(error)
        why = f"its {name} cannot be read ({one_line(error)}); get it again, or write it again with anndata"
        raise unreadable(path, error, why) from None


def _is_dense(element: Any) -> bool:
    """Return if it is a matrix of numbers, which `as_csr` reads by blocks."""
    return isinstance(element, h5py.Dataset) and element.ndim == 2 and element.dtype.kind in "buif"


def _group(path: Path, file: h5py.File, name: str) -> dict[str, Any]:
    """Return the arrays and tables of a group that may have the spots' places, by name."""
    names = [one for one in (file[name] if isinstance(file.get(name), h5py.Group) else ()) if holds_places(one)]
    if isinstance(old := file.get(name), h5py.Dataset) and old.dtype.names:  # anndata 0.6
        return {one: old[one] for one in old.dtype.names}
    read = {one: _element(path, file, f"{name}/{one}") for one in names}
    return {one: part[()] if isinstance(part, h5py.Dataset) else part for one, part in read.items()}


def _uns(path: Path, file: h5py.File) -> dict[str, Any]:
    """Return what uns says of the slide: ``spatial``, and the texts and numbers that stand alone."""
    uns = file["uns"] if isinstance(file.get("uns"), h5py.Group) else {}
    names = [name for name in uns if name == "spatial" or getattr(uns[name], "shape", None) == ()]
    return {name: _element(path, file, f"uns/{name}") for name in names}


def _table(path: Path, file: h5py.File, name: str) -> pd.DataFrame:
    """Return obs or var, also as anndata wrote them before 0.7, and as programs do that leave attributes out."""
    read = _element(path, file, name)
    try:
        if isinstance(read, np.ndarray):  # a record a row; the codes of categories, which are in uns
            table = pd.DataFrame({column: _texts(read[column]) for column in read.dtype.names})
            table = table.set_index(table.columns[0])
            coded = {str(column): f"uns/{column}_categories" for column in table if f"uns/{column}_categories" in file}
            return table.assign(**{column: _decoded(table[column], file[at][()]) for column, at in coded.items()})
        if isinstance(read, Mapping):
            return _assembled(read, file[name])
        return _native(_named(read))
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise DataError(f"{path}: its {name} is no table ({one_line(error)}); write it again with anndata") from None


def _assembled(columns: Mapping[str, Any], group: h5py.Group) -> pd.DataFrame:
    """Return a table of a group of columns, with categories in a group of their own."""
    index = group.attrs.get("_index", "_index" if "_index" in columns else "index")
    index = index.decode() if isinstance(index, bytes) else str(index)
    categories = columns.get("__categories", {})
    named = _texts(np.asarray(columns[index]))
    found = {name: _decoded(values, categories[name]) if name in categories else _texts(np.asarray(values))
             for name, values in columns.items()
             if name not in (index, "__categories") and np.shape(values) == named.shape}  # fmt: skip
    return pd.DataFrame(found, index=named)


def _named(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table under its rows' names: Seurat's converter leaves numbers, and the names in ``_index``."""
    numbered = [str(name) for name in table.index] == [str(k) for k in range(len(table))]
    return table.set_index("_index") if numbered and "_index" in table else table


def _native(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with numbers in this machine's order of bytes, and bytes as texts: pandas knows no others."""
    columns: dict[Any, Any] = {}
    for name, column in table.items():
        columns[name] = column
        if isinstance(column.dtype, np.dtype):
            values = _texts(column.to_numpy())
            columns[name] = values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))
    index = pd.Index(_texts(table.index.to_numpy()), name=table.index.name)
    return pd.DataFrame(columns, index=index) if table.columns.is_unique else table.set_axis(index)


def _texts(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "S" or (values.dtype == object and len(values) and isinstance(values[0], bytes)):
        return np.array([value.decode() for value in values], object)
    return values


def _decoded(codes: Any, categories: Any) -> np.ndarray:
    """Return the categories that codes stand for; None for those below 0."""
    names = [*_texts(np.asarray(categories)), None]
    if np.ndim(categories) != 1 or len(set(names)) != len(names):
        raise ValueError(f"its categories are not a text each: {shown([str(name) for name in names[:-1]], 3)}")
    return np.array([names[max(int(code), -1)] for code in codes], object)
