"""Where the spots of legacy ST are: the spot detector's table, one of ids and pixels, or a 3 x 3 alignment matrix."""

import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from stimage.core.errors import DataError, shown
from stimage.core.tables import number_of, read_cells, read_lines

NUMBER = r"(\d+(?:\.\d+)?)"
SPOT = re.compile(rf"(?P<begin>(?:.*[_ -]|\d+x)?)X?{NUMBER}x{NUMBER}(?P<end>(?:[_-].*)?)")  # 10x13, X10x13, A1_10x13
BARE = re.compile(rf"(?P<begin>)X?{NUMBER}[_:-]{NUMBER}(?P<end>)")  # 10_13
DETECTOR = ["x", "y", "new_x", "new_y", "pixel_x", "pixel_y", "selected"]  # the spot detector's columns
ADJUSTED = (("new_x", "new_y"), ("adj_x", "adj_y"), ("adjusted_x", "adjusted_y"))
SELECTED = ("selected", "selection")
YES_OR_NO = {"1": True, "true": True, "0": False, "false": False}
SAME, NEAR = 0.02, 0.5  # array coordinates: the spot detector rounds to 0.01; a spot's neighbour is 1 away


@dataclass(frozen=True, eq=False)
class Places:
    """Places of n spots, x and y in pixels: their array coordinates (n x 2 each, several ways to say them)."""

    path: Path
    array: list[np.ndarray]
    xy: np.ndarray
    selected: np.ndarray | None = None

    def rows(self, spots: np.ndarray) -> np.ndarray:
        """Return the row of each spot by its array coordinates (n x 2), -1 where it has none.

        A spot is called by the places of the array's design, or by where the spot detector saw it; the latter may have
        been rounded.
        """
        for within in (SAME, NEAR):
            near = [cKDTree(known).query(spots, distance_upper_bound=within) for known in self.array]
            off, row = max(near, key=lambda found: np.isfinite(found[0]).sum())
            if np.isfinite(off).any():
                row = np.where(np.isfinite(off), row, -1)
                self._refuse_twice(spots, row)
                return row
        return np.full(len(spots), -1)

    def _refuse_twice(self, spots: np.ndarray, row: np.ndarray) -> None:
        taken = row[row >= 0]
        if len(np.unique(taken)) < len(taken):
            twice = spots[row == np.argmax(np.bincount(taken))]
            names = " and ".join("{:g}x{:g}".format(*one) for one in twice[:2])
            raise DataError(
                f"{self.path}: has one place for the two spots {names}; take counts and places from the same slide"
            )


@dataclass(frozen=True, eq=False)
class Alignment:
    """A matrix that array coordinates are multiplied by, to come to pixels."""

    path: Path
    matrix: np.ndarray

    def xy(self, spots: np.ndarray) -> np.ndarray:
        """Return x and y in pixels (n x 2)."""
        return np.column_stack([spots, np.ones(len(spots))]) @ self.matrix[:, :2]


def spot_of(name: str) -> tuple[float, float, str] | None:
    """Return array coordinates that a spot is named by, and what stands around them; None if it is named otherwise."""
    found = SPOT.fullmatch(name.strip()) or BARE.fullmatch(name.strip())
    return (float(found[2]), float(found[3]), f"{found['begin']}…{found['end']}") if found else None


def kind_of(path: Path) -> str:
    """Tell what a table is by its first two rows: "counts", "places", "alignment" or "".

    Raises
    ------
    DataError
        If it can't be read.
    """
    if _matrix_of(path) is not None:
        return "alignment"
    rows = [cells for _, cells in islice(read_cells(path), 2)]
    if _header_of(rows):
        return "places"
    spots = [rows[0][-1], rows[-1][0]] if rows else []
    return "counts" if len(rows) == 2 and any(map(spot_of, spots)) else ""


def read_places(path: Path) -> Places | Alignment:
    """Read a table of places, with a header or without one, or an alignment matrix.

    Raises
    ------
    DataError
        If it is none, or a place is no number; naming the line.
    """
    if (matrix := _matrix_of(path)) is not None:
        return Alignment(path, matrix)
    rows = list(read_cells(path))
    names = _header_of([cells for _, cells in rows[:2]])
    if not names:
        raise DataError(
            f"{path}: is no table of places: it has {shown(rows[0][1], 8)}; its columns must be {', '.join(DETECTOR)}, "
            "as the spot detector writes them, or a spot's name, X and Y in pixels"
        )
    if not _is_row(rows[0][1]):
        rows = rows[1:]
    if wrong := next((line for line, cells in rows if len(cells) != len(names)), None):
        raise DataError(f"{path}: line {wrong} has not {len(names)} cells, as its columns; was it cut off?")
    columns = {name: [cells[k] for _, cells in rows] for k, name in enumerate(names)}
    pixels = ("pixel_x", "pixel_y") if "pixel_x" in names else ("x", "y")
    array = [_named(path, columns[""])] if "" in names and pixels == ("x", "y") else []
    for pair in (("x", "y"), *ADJUSTED):
        if set(pair) <= columns.keys() and pair != pixels:
            array.append(_numbers(path, rows, columns, pair))
    selected = next((columns[name] for name in SELECTED if name in columns), None)
    return Places(path, array, _numbers(path, rows, columns, pixels), _chosen(path, rows, selected))


def _header_of(rows: list[list[str]]) -> list[str]:
    """Return the columns' names, in lower case, of a table of places, by its first two rows; [] if it is none."""
    if not rows:
        return []
    if _is_row(rows[0]):
        n = len(rows[0])
        return DETECTOR[:n] if n in (6, 7) and not spot_of(rows[0][0]) else ["", "x", "y"] if n == 3 else []
    names = [name.strip().lower() for name in rows[0]]
    names = ["", *names] if len(rows) == 2 and len(rows[1]) == len(names) + 1 else names  # R names no row names
    if {"pixel_x", "pixel_y"} <= set(names) and {"x", "y"} <= set(names):
        return names
    named = len(rows) == 2 and names[1:3] == ["x", "y"] and spot_of(rows[1][0])
    return ["", *names[1:]] if named else []


def _is_row(cells: list[str]) -> bool:
    """Tell whether cells are those of a spot, not a header's: numbers, but that the first may be a spot's name."""
    numbers = [np.isfinite(number_of(cell)) for cell in cells]
    return len(cells) > 2 and all(numbers[1:]) and bool(numbers[0] or spot_of(cells[0]))


def _named(path: Path, names: list[str]) -> np.ndarray:
    spots = [spot_of(name) for name in names]
    if None in spots:
        raise DataError(f"{path}: {names[spots.index(None)]!r} is no spot's name by array coordinates, such as 10x13")
    return np.array([spot[:2] for spot in spots if spot])


def _numbers(
    path: Path, rows: list[tuple[int, list[str]]], columns: dict[str, list[str]], pair: tuple[str, str]
) -> np.ndarray:
    values = np.array([[number_of(cell) for cell in columns[name]] for name in pair]).T
    if (bad := ~np.isfinite(values)).any():
        row, column = np.argwhere(bad)[0]
        cell = columns[pair[column]][row]
        raise DataError(f"{path}: line {rows[row][0]}: {pair[column]} is {cell!r}, no number such as 12.5")
    return values


def _chosen(path: Path, rows: list[tuple[int, list[str]]], cells: list[str] | None) -> np.ndarray | None:
    """Return which spots are selected, those that lie under the tissue."""
    if cells is None:
        return None
    told = [YES_OR_NO.get(cell.strip().lower().removesuffix(".0")) for cell in cells]
    if None in told:
        k = told.index(None)
        raise DataError(f"{path}: line {rows[k][0]}: selected is {cells[k]!r}; write 1 or 0")
    return np.array(told, bool)


def _matrix_of(path: Path) -> np.ndarray | None:
    """Return an alignment matrix that row vectors are multiplied by, if a file has one.

    ST's tools write nine numbers in a line, the shift being the seventh and the eighth; numpy, in three lines, has the
    shift at the end of the first and the second.
    """
    texts = [text for _, text in islice(read_lines(path), 4)]
    cells = [cell for text in texts for cell in re.split(r"[\s,;]+", text.strip()) if cell]
    numbers = np.array([number_of(cell) for cell in cells[:10]])
    if len(cells) != 9 or not np.isfinite(numbers).all():
        return None
    matrix = numbers.reshape(3, 3)
    by_row = next((one for one in (matrix, matrix.T) if np.allclose(one[:, 2], [0, 0, 1])), None)
    if by_row is None or abs(np.linalg.det(by_row)) < 1e-9:
        raise DataError(f"{path}: its nine numbers are no alignment of array coordinates to pixels; get it again")
    return by_row
