"""The coord file of a slide: the positions of its spots, read and checked."""

import csv
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pacsv

from stimage.core.errors import DataError, one_line
from stimage.core.tables import number_of, other_form

COORD_COLUMNS = ("xaxis", "yaxis", "r")


@dataclass(frozen=True)
class Coordinates:
    """Spots in the file's order: ids (n strings), and centres and radii (float64, n each) in pixels of the image."""

    ids: pa.ChunkedArray
    x: np.ndarray
    y: np.ndarray
    r: np.ndarray

    def __len__(self) -> int:
        return len(self.x)

    def filter(self, kept: np.ndarray) -> "Coordinates":
        """Return the spots that are kept (bool, n)."""
        return Coordinates(self.ids.filter(pa.array(kept)), self.x[kept], self.y[kept], self.r[kept])


def read_coordinates(path: str) -> Coordinates:
    """Read a coord file: spot ids in the first column, then ``yaxis``, ``xaxis`` and ``r`` in any order.

    In a .h5ad file of HEST, the spots in tissue are read.

    Raises
    ------
    DataError
        If the file is empty, lacks a column or has it twice, or has a spot without an id, a coordinate that is not a
        finite number, or an ``r`` of 0 or less. The error names the line.
    """
    if path.lower().endswith(".h5ad"):
        from stimage.slides.hest.annotated import read_spots  # here, since few roots need it

        ids, xy, r = read_spots(path)
        _refuse(path, ids, ~np.isfinite(xy).all(1), lambda i: "has no place in obsm['spatial']")
        return Coordinates(ids, xy[:, 0], xy[:, 1], np.full(len(ids), r))
    names = _header(path)
    if missing := [column for column in COORD_COLUMNS if column not in names]:
        raise DataError(f"{path}: has no column {missing[0]!r}; its columns are {', '.join(map(repr, names))}")
    if twice := [column for column in COORD_COLUMNS if names.count(column) > 1]:
        raise DataError(f"{path}: has two columns {twice[0]!r}; remove one")
    unique = [name if names.index(name) == i else f"{name} {i}" for i, name in enumerate(names)]
    ids, columns = _read(path, unique, pa.float64())
    if not len(ids):
        raise DataError(f"{path}: lists no spot")
    _refuse(path, ids, pc.equal(ids, "").to_numpy(), lambda i: "has no id")
    numbers = {column: _numbers(path, column, ids, values) for column, values in columns.items()}
    _refuse(path, ids, numbers["r"] <= 0, lambda i: f"r is {numbers['r'][i]:g}; a radius is more than 0 pixels")
    r = numbers["r"]
    r = np.broadcast_to(r[0], len(r)) if (r == r[0]).all() else r  # one number, however many spots have it
    return Coordinates(ids, numbers["xaxis"], numbers["yaxis"], r)


def check_unique(path: str, ids: pa.ChunkedArray) -> None:
    """Refuse a file that lists a spot twice, naming the spot."""
    if pc.count_distinct(ids).as_py() < len(ids):
        counts = pc.value_counts(ids)
        twice = pc.filter(counts.field("values"), pc.greater(counts.field("counts"), 1))
        raise DataError(
            f"{path}: spot {twice[0].as_py()!r} occurs more than once ({len(twice)} spot ids do); keep one row of each "
            "spot"
        )


def _header(path: str) -> list[str]:
    with open(path, "rb") as file:
        line = file.readline()
    if not line.strip():
        raise DataError(f"{path}: is empty; expected a header ',yaxis,xaxis,r'")
    if told := other_form(path, line):
        raise DataError(f"{path}: {told}")
    try:
        names = [name.strip() for name in next(csv.reader([line.decode("utf-8-sig")]))]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: line 1 is no CSV header ',yaxis,xaxis,r' ({one_line(error)})") from None
    if not line.endswith(b"\n"):
        raise DataError(f"{path}: lists no spot")
    return names


def _read(path: str, names: list[str], numbers: pa.DataType) -> tuple[pa.ChunkedArray, dict[str, np.ndarray]]:
    """Read the ids and the coordinates: as numbers, or as text if some are no finite number.

    A block of the file at a time: read at once, a file takes three times the memory of what it says.
    """
    types = {names[0]: pa.string(), **dict.fromkeys(COORD_COLUMNS, numbers)}
    text = numbers == pa.string()
    ids: list[pa.Array] = []
    columns: dict[str, Any] = {column: [] if text else array("d") for column in COORD_COLUMNS}
    try:
        reader = pacsv.open_csv(
            path,
            read_options=pacsv.ReadOptions(column_names=names, skip_rows=1, use_threads=False),
            convert_options=pacsv.ConvertOptions(column_types=types, include_columns=list(types)),
        )
        for batch in reader:
            ids.append(_own(batch.column(0)))
            for column, values in columns.items():
                more = batch[column].to_numpy(zero_copy_only=False)
                values.extend(more) if text else values.frombytes(more.view(np.uint8))
    except pa.ArrowInvalid as error:
        if not text:
            return _read(path, names, pa.string())
        raise DataError(f"{path}: is no CSV table of {len(names)} columns ({str(error)[:200]})") from None
    found = {column: np.array(values, object) if text else np.frombuffer(values) for column, values in columns.items()}
    if not text and not all(np.isfinite(values).all() for values in found.values()):
        return _read(path, names, pa.string())
    return pa.chunked_array(ids, pa.string()), found


def _own(texts: pa.Array) -> pa.Array:
    """Copy texts into memory of their own: those that a reader gives keep other memory of its from being freed."""
    return pa.concat_arrays([texts, texts[:0]])


def _numbers(path: str, column: str, ids: pa.ChunkedArray, values: np.ndarray) -> np.ndarray:
    """Return one column, numbers or text, as float64."""
    if values.dtype == np.float64:
        return values
    numbers = np.array([number_of(value) for value in values])
    _refuse(path, ids, ~np.isfinite(numbers), lambda i: f"{column} is {values[i]!r}, no finite number")
    return numbers


def line_of(path: str, row: int) -> int:
    """Return the line, counted from 1, of a row, counted from 0 behind the header; blank lines are no rows.

    Of a file that is no text, it is the number of the spot.
    """
    if path.lower().endswith(".h5ad"):
        return row + 1
    with open(path, "rb") as file:
        return next(islice((n for n, line in enumerate(file, 1) if n > 1 and line.strip(b"\r\n")), row, None))


def _refuse(path: str, ids: pa.ChunkedArray, bad: np.ndarray, why: Callable[[int], str]) -> None:
    """Raise for the first bad spot, if there is one."""
    if bad.any():
        i = int(bad.argmax())
        more = f" ({bad.sum()} such spots)" if bad.sum() > 1 else ""
        raise DataError(f"{path}: spot {ids[i].as_py()!r} (line {line_of(path, i)}): {why(i)}{more}")
