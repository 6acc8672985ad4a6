"""µm per pixel as they are given: a number for all slides, or by slide, and as a cell of a table."""

import os
from collections.abc import Iterable, Mapping
from numbers import Real

import numpy as np

from stimage.errors import DataError
from stimage.slides.names import fold
from stimage.slides.storage import read_table

OPTION = "the user (option um_per_px)"  # who gives what is passed beside a root
COLUMNS = ("slide", "um_per_px")


def read_um_per_px(text: str, where: str) -> float | None:
    """Return µm per pixel out of a table's cell, None if it is empty.

    Raises
    ------
    DataError
        If it is no number above 0, naming where.
    """
    if not text.strip():
        return None
    if not 0 < _float(text) < np.inf:
        raise DataError(f"{where}: um_per_px is {text!r}; write µm per pixel, a number above 0 such as 0.5, or nothing")
    return _float(text)


def given_scales(um_per_px: object, all_names: Iterable[str]) -> dict[str, float]:
    """Read what a user passes: a number for all slides, or by slide a mapping or the path of a CSV slide, um_per_px.

    Returns
    -------
    dict
        Folded slide name → µm per pixel; ``all_names`` are those that a number is for, folded.

    Raises
    ------
    ValueError
        If a number is not above 0, a name comes twice, or it is none of these.
    DataError
        If the CSV can't be read, or a cell is no number above 0.
    """
    if um_per_px is None:
        return {}
    if isinstance(um_per_px, str | os.PathLike):
        number = _float(os.fspath(um_per_px))
        um_per_px = _read_scales(os.fspath(um_per_px)) if np.isnan(number) else number
    if not isinstance(um_per_px, Mapping):
        return dict.fromkeys(all_names, _number(um_per_px, "um_per_px"))
    scales = {fold(str(name)): _number(value, f"um_per_px of {name!r}") for name, value in um_per_px.items()}
    if len(scales) < len(um_per_px):
        raise ValueError("um_per_px: a slide occurs twice (upper and lower case do not count); keep one")
    return scales


def _float(text: str) -> float:
    try:
        return float(text) if text.isascii() and "_" not in text else np.nan  # float also takes 1_0
    except ValueError:
        return np.nan


def _number(value: object, what: str) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real) or not 0 < float(value) < np.inf:
        raise ValueError(
            f"{what}: {value!r} is no µm per pixel; pass a number above 0, or by slide a mapping or a CSV of the "
            "columns slide and um_per_px"
        )
    return float(value)


def _read_scales(path: str) -> dict[str, float]:
    columns, rows = read_table(path)
    if missing := [column for column in COLUMNS if column not in columns]:
        found = ", ".join(columns)[:200] or "nothing"
        raise DataError(f"{path}: has no column {missing[0]!r}, but {found}; it must have slide and um_per_px")
    scales = {}
    for number, row in enumerate(rows, 1):
        where = f"{path}: row {number}"
        if row["slide"] in scales:
            raise DataError(f"{where}: slide {row['slide']!r} occurs twice; keep one")
        if (um := read_um_per_px(row["um_per_px"], where)) is not None:
            scales[row["slide"]] = um
    return scales
