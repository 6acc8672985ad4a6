"""Where a slide's spots are: the coord file, read and checked."""

import csv
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pacsv

from stimage.errors import DataError

COLUMNS = ("xaxis", "yaxis", "r")


@dataclass(frozen=True)
class Coordinates:
    """Spots in the file's order: ids (n strings), and centres and radii (float64, n each) in pixels of the image."""

    ids: pa.ChunkedArray
    x: np.ndarray
    y: np.ndarray
    r: np.ndarray

    def __len__(self) -> int:
        return len(self.x)


def read_coordinates(path: str) -> Coordinates:
    """Read a coord file: spot ids in the first column, then ``yaxis``, ``xaxis`` and ``r`` in any order.

    Raises
    ------
    DataError
        For a file that is empty or lacks a column, a coordinate that is no finite number, an ``r`` of 0 or less, or a
        spot that occurs twice; with the line.
    """
    names = _header(path)
    if missing := [column for column in COLUMNS if column not in names]:
        raise DataError(f"{path}: has no column {missing[0]!r}; its columns are {', '.join(map(repr, names))}")
    unique = [name if names.index(name) == i else f"{name} {i}" for i, name in enumerate(names)]
    try:
        table = pacsv.read_csv(
            path,
            read_options=pacsv.ReadOptions(column_names=unique, skip_rows=1),
            convert_options=pacsv.ConvertOptions(
                column_types={unique[0]: pa.string(), **dict.fromkeys(COLUMNS, pa.string())},
                include_columns=[unique[0], *COLUMNS],
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise DataError(f"{path}: is no CSV table of {len(names)} columns ({str(error)[:200]})") from None
    if not len(table):
        raise DataError(f"{path}: lists no spot")
    ids = table.column(0)
    numbers = {column: _numbers(path, column, ids, table.column(column)) for column in COLUMNS}
    _refuse(path, ids, numbers["r"] <= 0, lambda i: f"r is {numbers['r'][i]:g}; a radius is more than 0 pixels")
    check_unique(path, ids)
    return Coordinates(ids, numbers["xaxis"], numbers["yaxis"], numbers["r"])


def check_unique(path: str, ids: pa.ChunkedArray) -> None:
    """Refuse a file that lists a spot twice, naming the spot."""
    if pc.count_distinct(ids).as_py() < len(ids):
        counts = pc.value_counts(ids)
        twice = pc.filter(counts.field("values"), pc.greater(counts.field("counts"), 1))
        raise DataError(
            f"{path}: spot {twice[0].as_py()!r} occurs more than once ({len(twice)} such); keep one row each"
        )


def _header(path: str) -> list[str]:
    with open(path, "rb") as file:
        line = file.readline()
    if not line.strip():
        raise DataError(f"{path}: is empty; expected a header ',yaxis,xaxis,r'")
    try:
        return [name.strip() for name in next(csv.reader([line.decode("utf-8-sig")]))]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: line 1 is no CSV header ',yaxis,xaxis,r' ({error})") from None


def _numbers(path: str, column: str, ids: pa.ChunkedArray, texts: pa.ChunkedArray) -> np.ndarray:
    """Read one column as finite float64 numbers."""
    try:
        numbers = pc.cast(texts, pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        numbers = np.array([_number(text) for text in texts.to_pylist()])
    bad = ~np.isfinite(numbers)
    _refuse(path, ids, bad, lambda i: f"{column} is {texts[i].as_py()!r}, no finite number")
    return numbers


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def _refuse(path: str, ids: pa.ChunkedArray, bad: np.ndarray, why) -> None:
    """Raise for the first bad spot, if there is one."""
    if bad.any():
        i = int(bad.argmax())
        more = f" ({bad.sum()} such spots)" if bad.sum() > 1 else ""
        raise DataError(f"{path}: spot {ids[i].as_py()!r} (line {i + 2}): {why(i)}{more}")
