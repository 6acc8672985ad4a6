"""Names of slides: their comparison, the allowed names, and lists of them."""

import os
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from stimage.core.errors import DataError
from stimage.core.tables import read_names


def fold_name(name: str) -> str:
    """Fold a name for comparison: neither case counts, nor the way in which Unicode writes accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def check_name(name: object, source: str) -> None:
    """Refuse a slide's name that leads out of a folder or makes a hidden file, since files are named after slides."""
    if not isinstance(name, str) or not name or name[0] == "." or ".." in name or any(c in name for c in "/\\\0"):
        raise DataError(
            f"{source}: {name!r} is no slide name; it may not be empty, begin with '.', or have '..', '/' or '\\' in it"
        )


def slide_names(slides: str | os.PathLike | Iterable[str]) -> list[str]:
    """Return the names in the filter ``slides``, which may be a file of names."""
    if isinstance(slides, str | os.PathLike) and str(slides).endswith((".csv", ".txt")):
        return read_names(slides)
    return texts_of(slides)


def texts_of(values: Any) -> list[str]:
    """Return a value, or a list of values, as a list of texts; `ValueError` for other objects."""
    if isinstance(values, str | int | np.generic):
        return [str(values)]
    if not isinstance(values, Iterable):
        raise ValueError(f"{values!r} is no value to choose slides by: pass a text, a whole number, or a list of such")
    return [str(value) for value in values]


def by_slide(rows: Iterable[Mapping[str, str]], source: str) -> dict[str, Mapping[str, str]]:
    """Return the rows of a table by the folded name in the column ``slide``.

    Raises
    ------
    DataError
        If a name occurs twice.
    """
    found: dict[str, Mapping[str, str]] = {}
    for number, row in enumerate(rows, 1):
        if found.setdefault(fold_name(row["slide"]), row) is not row:
            raise DataError(f"{source}: row {number}: slide {row['slide']!r} occurs twice (upper and lower case do not "
                            "count); keep one")  # fmt: skip
    return found
