"""Arguments of jobs: a value that is no path, number or folder is refused at once, by name."""

import os
import re
from collections.abc import Iterable
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

PATTERN = re.compile(r"[*?\[\]$]|::")  # datasets takes these in a path for a pattern, a variable or a chain of URLs


def path_of(value: Any, name: str) -> Path:
    """Return a value as a path; `ValueError` if it is not one."""
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise ValueError(f"{name}={value!r}: pass a path")
    return Path(value)


def loadable_folder(value: Any, name: str) -> Path:
    """Return the absolute path of a folder that `datasets.load_dataset` can read; `ValueError` if it can't."""
    path = path_of(value, name).absolute()
    if found := PATTERN.search(str(path)):
        raise ValueError(
            f"{path}: load_dataset reads {found[0]!r} in a folder's name as a pattern, so it could not load this "
            "folder; pass a folder with another name"
        )
    return path


def check_whole(value: Any, name: str, least: int = 0, of: str = "") -> None:
    """Refuse a value that is no whole number of ``least`` or more, with a `ValueError`; ``of`` names what it counts."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={value!r}: pass a whole number{of and f' of {of}'}, {least} or more")


def check_above_0(value: Any, name: str, of: str) -> None:
    """Refuse a value that is not a number above 0, with a `ValueError`; ``of`` names what it measures."""
    if not isinstance(value, int | float | np.number) or isinstance(value, bool) or not 0 < value < float("inf"):
        raise ValueError(f"{name}={value!r}: pass {of}, a number above 0")


def check_one_of(value: Any, name: str, values: Iterable[Any]) -> None:
    """Refuse a value that is none of ``values``, with a `ValueError` that lists these."""
    known = list(values)
    if value not in known:
        raise ValueError(f"{name}={value!r}: pass one of {', '.join(map(str, known))}")
