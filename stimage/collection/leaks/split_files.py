"""Files of splits: our own, HEST's folds, or lists side by side."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stimage.core.errors import DataError
from stimage.core.tables import Row, read_table

NAMES = ("slide", "sample_id", "slide_id", "sample")  # columns that name a slide
PARTS = ("train", "val", "valid", "validation", "dev", "test")
FOLD = re.compile(rf"({'|'.join(PARTS)})_(\d+)\.csv")


@dataclass(frozen=True)
class Fold:
    """One way to split: which part each slide is in, as the file spells both; ``name`` is "" of the only one."""

    name: str
    part_of: Mapping[str, str]


def read_folds(path: str | os.PathLike) -> list[Fold]:
    """Read a split file, or a folder of folds.

    Parameters
    ----------
    path
        A CSV with the columns slide (or sample_id) and split, or with one column of slide names for each of train, val
        and test. Or a folder of files train_0.csv, test_0.csv, train_1.csv … with the column sample_id, as in
        HEST-Benchmark and STFlow. The files may also be in a folder "splits" within it.

    Raises
    ------
    DataError
        If the path is none of these, or a slide is in two parts of a fold.
    """
    path = Path(path)
    if path.is_dir():
        return _of_folder(path / "splits" if (path / "splits").is_dir() else path)
    if FOLD.fullmatch(path.name):
        raise DataError(f"{path}: is one part of a fold: pass the folder that it is in")
    columns, rows = read_table(path)
    named = next((column for column in NAMES if column in columns), None)
    if named and "split" in columns:
        pairs = [(row[named], row["split"]) for row in rows]
    elif parts := [column for column in columns if column in PARTS]:
        pairs = [(row[part], part) for part in parts for row in rows]
    else:
        raise DataError(f"{path}: is no split: it needs the columns slide and split, or train and test, but has "
                        f"{', '.join(columns)}")  # fmt: skip
    return [Fold("", _placed(str(path), pairs))]


def _of_folder(folder: Path) -> list[Fold]:
    """Read the folds of a folder, in order."""
    found: dict[int, list[tuple[str, str]]] = {}
    for file in sorted(folder.iterdir()):
        if match := FOLD.fullmatch(file.name):
            found.setdefault(int(match[2]), []).extend((name, match[1]) for name in _names_in(file))
    if not found:
        raise DataError(f"{folder}: has no folds: files called train_0.csv and test_0.csv, train_1.csv and test_1.csv")
    return [Fold(f"fold {k}", _placed(f"{folder}: fold {k}", found[k])) for k in sorted(found)]


def _names_in(file: Path) -> list[str]:
    columns, rows = read_table(file)
    named = next((column for column in NAMES if column in columns), None)
    if named is None:
        raise DataError(f"{file}: has none of the columns {', '.join(NAMES)}, but {', '.join(columns)}")
    return [_cell(row, named) for row in rows]


def _cell(row: Row, column: str) -> str:
    return row.get(column, "").strip()


def _placed(source: str, pairs: list[tuple[str, str]]) -> dict[str, str]:
    part_of: dict[str, str] = {}
    for name, part in ((name.strip(), part.strip()) for name, part in pairs):
        if name and part_of.setdefault(name, part) != part:
            raise DataError(f"{source}: slide {name!r} is in {part_of[name]} and in {part}")
    if len(set(part_of.values())) < 2:
        raise DataError(f"{source}: all slides are in one part, so that nothing can leak")
    return part_of
