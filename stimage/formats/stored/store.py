"""Open a SpatialData store: find the table of the slide, and check that the store is complete."""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata

from stimage.core.errors import DataError, shown
from stimage.core.extras import needs
from stimage.formats.imported import reading

MARKS = ("zarr.json", ".zgroup", ".zattrs")
ATTRS = "spatialdata_attrs"
TABLES = ("tables", "table")  # the latter of spatialdata before 0.1
PARTS = ("images", "labels", "shapes", "points", *TABLES)
AGAIN = "copy or write the store again"
CELLS = {"codex", "cosmx", "iss", "macsima", "mcmicro", "merscope", "seqfish", "steinbock", "xenium"}  # readers


@dataclass(frozen=True)
class Annotated:
    """A table of a store and one of the elements that its rows annotate: what a slide may be."""

    table: str
    region: str
    folder: str = "tables"

    def __str__(self) -> str:
        return f"{self.region} ({self.table})"


def is_store(path: Path) -> bool:
    """Return whether a path is a folder of Zarr, or should be one by its name."""
    return path.is_dir() and (path.suffix == ".zarr" or any((path / name).exists() for name in MARKS))


def open_store(path: Path) -> Any:
    """Open a store's ``zarr.Group``, after a look whether it is one of SpatialData, of spots.

    Raises
    ------
    DataError
        If it is a store of something else.
    """
    needs("spatialdata")
    _check_files(path)
    if not any((path / name).exists() for name in MARKS):
        raise DataError(f"{path}: is no Zarr store: it has none of {', '.join(MARKS)}; {AGAIN}")
    with reading(path, "a Zarr store"):
        store = needs("zarr").open_group(path, mode="r")
        attrs, names = dict(store.attrs), sorted(store)
    if attrs.get("encoding-type") == "anndata" or {"obs", "var"} <= {*names}:
        raise DataError(f"{path}: is an AnnData in Zarr; write it as .h5ad: anndata.read_zarr(…).write_h5ad(…)")
    if "multiscales" in attrs or "multiscales" in attrs.get("ome", {}):
        raise DataError(
            f"{path}: is an image alone (OME-Zarr); name the slide's counts, and write it as TIFF for image= (--image)"
        )
    if ATTRS not in attrs and not {*names} & {*PARTS}:
        raise DataError(f"{path}: is a Zarr store, but none of SpatialData: it has {shown(names) or 'nothing'}")
    if (reader := attrs.get("spatialdata_io_reader")) in CELLS:
        raise DataError(f"{path}: is of {reader}, by spatialdata-io's reader: of cells or molecules, not of spots")
    return store


def _check_files(path: Path) -> None:
    """Refuse what is neither a file nor a folder: Zarr would wait for a pipe, and read a link to nothing as 0."""
    for folder, _, names in os.walk(path):
        for name in names:
            if not os.path.isfile(one := os.path.join(folder, name)):
                raise DataError(f"{one}: is no file that can be read; {AGAIN}")


def read_elements(path: Path) -> Any:
    """Return the store as a ``SpatialData`` without points and tables; its images are not yet read."""
    with reading(path, "a SpatialData store"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of older ways of writing, which are read all the same
        return needs("spatialdata").read_zarr(path, selection=("images", "labels", "shapes"))


def chosen_table(path: Path, store: Any, library: str | None) -> Annotated:
    """Return the table, and the element that it annotates, that ``library`` names, by either's name or by both.

    Raises
    ------
    DataError
        If there is none, or if there are several and none is named.
    """
    with reading(path, "a SpatialData store"):
        tables = {name: (folder, dict(store[f"{folder}/{name}"].attrs))
                  for folder in TABLES if folder in store for name in sorted(store[folder])}  # fmt: skip
    found = [Annotated(name, region, folder) for name, (folder, attrs) in tables.items() for region in _regions(attrs)]
    if not found:
        has = f"tables that annotate nothing: {shown(sorted(tables))}" if tables else "no table of counts"
        raise DataError(f"{path}: has {has}, but {_contents(store)}; a slide needs a table that annotates its spots")
    named = [one for one in found if library in (None, one.region, one.table, str(one), f"{one.table}/{one.region}")]
    if len(named) == 1:
        return named[0]
    what = f"no slide {library!r}, but" if not named else f"{len(named)} slides, by what its tables annotate:"
    both = {one.region for one in found if sum(one.region == other.region for other in found) > 1}
    names = [f"{one.table}/{one.region}" if one.region in both else one.region for one in named or found]
    raise DataError(f"{path}: has {what} {shown(names)}; name the one to take as library= (--library)")


def read_table(path: Path, store: Any, one: Annotated) -> anndata.AnnData:
    """Read a table, after a look whether all of its matrices is there: what Zarr lacks, it reads as 0."""
    folder = path / one.folder / one.table
    with reading(folder, "a table of a SpatialData store"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, array in _arrays(store[f"{one.folder}/{one.table}"]).items():
            if lost := missing_chunks(array):
                raise DataError(f"{folder / name}: lacks {lost:,} of {array.nchunks:,} chunks; {AGAIN}")
        return anndata.read_zarr(folder)


def missing_chunks(array: Any) -> int:
    """Return how many chunks of a Zarr array are not there."""
    return int(array.nchunks - array.nchunks_initialized) if array.size else 0


def _arrays(table: Any) -> dict[str, Any]:
    """Return a table's arrays of which no chunk may be 0 alone: of matrices and of names."""
    wanted = ("data", "indices", "indptr", "_index", "X")
    names = [name for name, _ in table.members(max_depth=4) if name.rpartition("/")[2] in wanted]
    return {name: table[name] for name in names if hasattr(table[name], "nchunks")}


def _regions(attrs: Mapping[str, Any]) -> list[str]:
    regions = attrs.get("region") or []
    return [regions] if isinstance(regions, str) else list(map(str, regions))


def _contents(store: Any) -> str:
    parts = {part: sorted(store[part]) for part in PARTS[:4] if part in store}
    return "; ".join(f"{part} {shown(names)}" for part, names in parts.items() if names) or "nothing"
