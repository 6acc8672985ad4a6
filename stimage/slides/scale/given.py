"""µm per pixel as users give it: one number for all slides, one for each slide, or a cell of a table."""

import os
from collections.abc import Iterable, Mapping
from numbers import Real

import numpy as np

from stimage.core.errors import DataError
from stimage.core.tables import number_of, read_table
from stimage.slides.names import by_slide, fold_name

OPTION = "the user (option um_per_px)"  # who gives what is passed beside a root


def read_um_per_px(text: str, source: str) -> float | None:
    """Return the µm per pixel in a table's cell, or None if it is empty.

    Raises
    ------
    DataError
        If the cell is not a number above 0; the error names the place.
    """
    if not text.strip():
        return None
    if not 0 < (number := number_of(text)) < np.inf:
        raise DataError(
            f"{source}: um_per_px is {text!r}; write µm per pixel, a number above 0 such as 0.5, or nothing"
        )
    return number


def given_scales(um_per_px: object, all_names: Iterable[str]) -> dict[str, float]:
    """Read the scales that a user gives: one number for all slides, or one for each slide.

    Numbers by slide are a mapping, or the path of a CSV file with the columns slide and um_per_px.

    Returns
    -------
    dict
        Folded slide name → µm per pixel. One number is given to all of ``all_names``, which are folded.

    Raises
    ------
    ValueError
        If a number is not above 0, a name comes twice, or the value is of another kind.
    DataError
        If the CSV can't be read, or a cell is not a number above 0.
    """
    if um_per_px is None:
        return {}
    if isinstance(um_per_px, str | os.PathLike):
        number = number_of(os.fspath(um_per_px))
        um_per_px = _read_scales(os.fspath(um_per_px)) if np.isnan(number) else number
    if not isinstance(um_per_px, Mapping):
        return dict.fromkeys(all_names, _number(um_per_px, "um_per_px"))
    scales = {fold_name(str(name)): _number(value, f"um_per_px of {name!r}") for name, value in um_per_px.items()}
    if len(scales) < len(um_per_px):
        raise ValueError("um_per_px: a slide occurs twice (upper and lower case do not count); keep one")
    return scales


def _number(value: object, what: str) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real) or not 0 < float(value) < np.inf:
        raise ValueError(
            f"{what}: {value!r} is no µm per pixel; pass a number above 0, or by slide a mapping or a CSV of the "
            "columns slide and um_per_px"
        )
    return float(value)


def _read_scales(path: str) -> dict[str, float]:
    rows = by_slide(read_table(path, ["slide", "um_per_px"])[1], path)
    read = {name: read_um_per_px(row["um_per_px"], f"{path}: row {k}") for k, (name, row) in enumerate(rows.items(), 1)}
    return {name: um for name, um in read.items() if um is not None}
