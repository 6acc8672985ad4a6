"""Small comma-separated tables: their rows by column, lists of slides, numbers in cells."""

import csv
import os
from collections.abc import Sequence

import numpy as np

from stimage.core.errors import DataError


def read_table(path: str, needs: Sequence[str] = (), where: str = "") -> tuple[list[str], list[dict[str, str]]]:
    """Read a small comma-separated table: its columns, and its rows by column.

    Parameters
    ----------
    needs
        Columns that it must have.
    where
        What errors call it, if that is not its path.

    Raises
    ------
    DataError
        If it can't be read, lacks a column, or a row has not as many cells as the header, as where a file was cut off.
    """
    where = where or path
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            columns, rows = next(reader, []), []
            for cells in filter(None, reader):  # without blank lines
                if len(cells) != len(columns):
                    raise DataError(
                        f"{where}: line {reader.line_num} has {len(cells)} cells for {len(columns)} columns; was the "
                        "file cut off?"
                    )
                rows.append(dict(zip(columns, cells)))
    except OSError as error:
        raise DataError(f"{where}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{where}: is no comma-separated table ({error})") from None
    if missing := [column for column in needs if column not in columns]:
        found = ", ".join(columns)[:200] or "nothing"
        raise DataError(f"{where}: has no column {missing[0]!r}, but {found}; it must be comma-separated")
    return columns, rows


def read_names(path: str | os.PathLike) -> list[str]:
    """Read slide names: one a line; or the column ``slide`` of a CSV, but for those whose ``mark`` is "reject"."""
    columns, rows = read_table(str(path))
    if "slide" in columns:
        return [row["slide"] for row in rows if row.get("mark", "").strip().lower() != "reject"]
    if len(columns) != 1:
        raise DataError(f"{path}: is no list of slides: expected a name a line, or a CSV with the column 'slide'")
    return [name for name in (columns[0].strip(), *(row[columns[0]].strip() for row in rows)) if name]


def number_of(cell: str) -> float:
    """Return the number that a cell has; NaN if it has none."""
    try:
        return float(cell) if cell.isascii() and "_" not in cell else np.nan  # float also takes 1_0
    except ValueError:
        return np.nan
