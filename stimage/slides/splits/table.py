"""A table of slides and their splits: a root's splits.csv, or a file that the user names."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stimage.core.access import OPEN, Access
from stimage.core.errors import DataError
from stimage.core.storage import list_folder, normal_root
from stimage.core.tables import read_table
from stimage.slides.names import by_slide

SPLITS = ("train", "validation", "test")
SPLITS_FILE = "splits.csv"
NO_TABLE = "none"  # as ``splits``: a root's own is not looked at
GIVEN = "splits="  # what a table is called that is no file


@dataclass(frozen=True)
class SplitTable:
    """Split, group and written name by folded name; ``source`` is the table's name in errors.

    Without a column of groups, each slide is its own group.
    """

    source: str
    splits: Mapping[str, str]
    groups: Mapping[str, str]
    names: Mapping[str, str]


def find_table(
    root: str, splits: str | os.PathLike | Mapping[str, str] | None, access: Access = OPEN
) -> SplitTable | None:
    """Return the table in force: the one that the user names, else the root's own, else None.

    Parameters
    ----------
    splits
        A file, or slide name → split; "none" looks at no table; None looks for the root's own.

    Raises
    ------
    DataError
        As `read_splits` does.
    ValueError
        If ``splits`` is nothing of these.
    """
    if isinstance(splits, Mapping):
        return _checked(GIVEN, [{"slide": str(name), "split": str(split)} for name, split in splits.items()])
    if splits is not None:
        if not splits or not isinstance(splits, str | os.PathLike):
            raise ValueError(f"splits={splits!r}: pass a CSV file, a mapping of slide name to split, or {NO_TABLE!r}")
        return None if str(splits) == NO_TABLE else read_splits(splits)
    own = list_folder(normal_root(root), "", access).get(SPLITS_FILE)
    return read_splits(own["url"], access) if own else None


def read_splits(path: str | os.PathLike, access: Access = OPEN) -> SplitTable:
    """Read a CSV file with the columns slide and split, and optionally group.

    Raises
    ------
    DataError
        If the file is no such table, names a slide twice, or has another split than train, validation and test.
    """
    _, rows = read_table(path, ["slide", "split"], access=access)
    return _checked(str(path), rows)


def _checked(source: str, rows: Sequence[Mapping[str, str]]) -> SplitTable:
    found = by_slide(({column: cell.strip() for column, cell in row.items()} for row in rows), source)
    for row in found.values():
        if row["split"] not in SPLITS:
            raise DataError(
                f"{source}: slide {row['slide']!r} has the split {row['split']!r}; one of {', '.join(SPLITS)}"
            )
    names = {name: row["slide"] for name, row in found.items()}
    groups = {name: row.get("group") or row["slide"] for name, row in found.items()}
    return SplitTable(source, {name: row["split"] for name, row in found.items()}, groups, names)
