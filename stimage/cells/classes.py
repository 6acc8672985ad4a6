"""Names of classes of cells: one name per class, for every program and training set."""

import csv
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from stimage.core.errors import DataError, shown
from stimage.core.tables import read_table

SHIPPED = Path(__file__).with_name("classes.csv")
KEEP = "keep"
COLUMNS = ["source", "class"]
HOW = ("pass as classes= (--classes) a CSV with the columns source and class, or keep, which leaves names unchanged, "
       "or the segmenter's training set: pannuke, consep or monusac")  # fmt: skip


@cache
def shipped_maps() -> dict[str, dict[str, str]]:
    """Return name of a map → what a segmenter calls a class, in small letters → the class; "" is no class."""
    maps: dict[str, dict[str, str]] = {}
    with SHIPPED.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            maps.setdefault(row["map"], {})[row["source"]] = row["class"]
    return maps


def named_classes(
    found: Sequence[str | None], where: object, classes: str | os.PathLike | Mapping[str, str] | None = None
) -> list[str | None]:
    """Return cells' classes by the names that the project has for them.

    Parameters
    ----------
    found
        What the file calls the class of each cell, None where it has none.
    where
        The file, for errors.
    classes
        A shipped map's name ("pannuke", "consep", "monusac"), "keep", which leaves names as they are, a CSV with the
        columns ``source`` and ``class``, or what the file calls a class → the class, "" for none. By default, names
        are looked for in all shipped maps; numbers need a map to be named.

    Raises
    ------
    DataError
        If a class is in no map; naming it, with how to map it.
    ValueError
        If ``classes`` is none of these.
    """
    if classes == KEEP:
        return [one or None for one in found]
    known, counts = _map_of(classes), Counter(one for one in found if one)
    if unknown := [name for name in counts if name.strip().lower() not in known]:
        numbers = classes is None and all(name.isdecimal() for name in unknown)
        what = "are numbers, and their meaning depends on the segmenter's training set" if numbers else "are in no map"
        many = sum(counts[name] for name in unknown)
        raise DataError(f"{where}: the classes {shown(sorted(unknown))} ({many:,} cells) {what}; {HOW}")
    names = {name: known[name.strip().lower()] or None for name in counts}
    return [names[one] if one else None for one in found]


def _map_of(classes: str | os.PathLike | Mapping[str, str] | None) -> Mapping[str, str]:
    maps = shipped_maps()
    if classes is None:
        return {name: to for one in maps.values() for name, to in one.items() if not name.isdecimal()}
    if isinstance(classes, Mapping):
        return {str(name).strip().lower(): str(to) for name, to in classes.items()}
    if not isinstance(classes, str | os.PathLike):
        raise ValueError(f"classes={classes!r}: pass a map's name, a CSV, or a dict")
    if classes in maps:
        return maps[str(classes)]
    if not os.path.exists(classes):
        raise ValueError(f"classes= (--classes): {classes} is neither a file nor one of {', '.join(maps)}, {KEEP}")
    return _map_file(str(classes))


def own_map(types: str | os.PathLike | Mapping[str, str]) -> dict[str, str]:
    """Return a user's map from a CSV (columns ``source`` and ``class``) or from a dict; sources stay as they are."""
    if isinstance(types, Mapping):
        return {str(name): str(to) for name, to in types.items()}
    if not isinstance(types, str | os.PathLike):
        raise ValueError(f"types={types!r}: pass a CSV with the columns source and class, or a dict")
    _, rows = read_table(types, COLUMNS, by_hand=True)
    return {row.told("source"): row.told("class") for row in rows}


def _map_file(path: str) -> dict[str, str]:
    _, rows = read_table(path, COLUMNS, by_hand=True)
    return {row.told("source").lower(): row.told("class") for row in rows}
