"""What jobs are called with: what is no path, number or folder to load from is refused at once, by name."""

import os
import re
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

PATTERN = re.compile(r"[*?\[\]$]|::")  # datasets takes these in a path for a pattern, a variable or a chain of URLs


def path_of(value: Any, name: str) -> Path:
    """Return a path; raises `ValueError` if it is none."""
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise ValueError(f"{name}={value!r}: pass a path")
    return Path(value)


def loadable_folder(value: Any, name: str) -> Path:
    """Return the absolute path of a folder that `datasets.load_dataset` is to read; `ValueError` if it cannot."""
    path = path_of(value, name).absolute()
    if found := PATTERN.search(str(path)):
        raise ValueError(
            f"{path}: load_dataset takes {found[0]!r} in a folder's name for a pattern, and could not load what is "
            "written there; pass another folder"
        )
    return path


def check_whole(value: Any, name: str, least: int = 0, of: str = "") -> None:
    """Refuse what is no whole number, or is too small, with a `ValueError`; ``of`` says of what it is one."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={value!r}: pass a whole number{of and f' of {of}'}, {least} or more")


def check_above_0(value: Any, name: str, of: str) -> None:
    """Refuse what is no number above 0, with a `ValueError`; ``of`` says what it is of."""
    if not isinstance(value, int | float | np.number) or isinstance(value, bool) or not 0 < value < float("inf"):
        raise ValueError(f"{name}={value!r}: pass {of}, a number above 0")
