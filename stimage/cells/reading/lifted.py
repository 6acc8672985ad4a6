"""Places of cells lifted out of a JSON file before it is parsed: lists of millions of numbers are read as a table.

What is left of the file is parsed as any JSON, with the number of a list in the list's place. A file whose lists are
not written as regularly as segmenters write them is not lifted, and read list by list.
"""

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from pyarrow import csv

KEYS = re.compile(rb'"(coordinates|contour|centroid)"\s*:\s*')
BLANKS = b" \t\r\n"
NUMERALS = bytes.maketrans(b"123456789.eE+-\t\r\n", b"00000000000000   ")  # and other blanks
BLOCK = 1 << 24  # bytes of a table that are parsed at a time
NUMBERS = {"x": pa.float64(), "y": pa.float64(), "after": pa.int8()}


class Irregular(Exception):
    """The lists of a file can't be lifted."""


@dataclass(frozen=True, eq=False)
class Lifted:
    """The n lists of one key: points, lists of points, and so on, ``depth`` deep.

    Attributes
    ----------
    xy
        All points (m x 2).
    after
        How many lists end behind each point (m): 1 of a point itself, ``depth`` of the whole.
    depth
        Of these lists.
    """

    xy: np.ndarray
    after: np.ndarray
    depth: int

    @cached_property
    def list_of(self) -> np.ndarray:
        """Which list each point is in (m), counted from 0."""
        ends = self.after >= self.depth
        return np.cumsum(ends) - ends

    def parts(self) -> np.ndarray:
        """Return how many cells each list has: points of lists of points, polygons of deeper ones."""
        ends = np.ones(len(self.after), bool) if self.depth <= 2 else self.after >= 3
        return np.bincount(self.list_of[ends])

    def take(self, lists: np.ndarray) -> "Lifted":
        """Return some of the lists, by their numbers, in the file's order."""
        if (np.diff(lists) <= 0).any():
            raise Irregular
        if len(lists) == self.list_of[-1] + 1:
            return self
        kept = np.zeros(self.list_of[-1] + 1, bool)
        kept[lists] = True
        points = kept[self.list_of]
        return Lifted(self.xy[points], self.after[points], self.depth)


def lift(text: bytes) -> tuple[bytes, dict[str, Lifted]]:
    """Return a file's text with numbers in place of its lists of places, and these lists by their key.

    Raises
    ------
    Irregular
        If there is no list, if a key has something else, or if lists of one key are not all equally deep, or have
        anything but pairs of numbers.
    """
    parts, lists, at = [], {}, 0
    for match in KEYS.finditer(text):
        begin = match.end()
        if text[begin : begin + 1] != b"[":
            raise Irregular
        end = text.rfind(b"]", begin, min(_find(text, b'"', begin), _find(text, b"}", begin))) + 1
        own = lists.setdefault(match[1].decode(), [])
        parts += [text[at:begin], b"%d" % len(own)]
        own.append(text[begin:end])
        at = end
    if not lists:
        raise Irregular
    return b"".join([*parts, text[at:]]), {key: _read(lists.pop(key)) for key in [*lists]}


def _find(text: bytes, what: bytes, begin: int) -> int:
    found = text.find(what, begin)
    return found if found >= 0 else len(text)


def _read(lists: list[bytes]) -> Lifted:
    """Read lists as a table whose third column says how many lists end behind a point."""
    head = lists[0].translate(None, BLANKS) if len(lists[0]) < 99 else lists[0][:99].translate(None, BLANKS)
    depth = len(head) - len(head.lstrip(b"["))
    text = b",".join(lists)
    lists.clear()
    _check_blanks(text)
    text = text.translate(None, BLANKS)
    if not text.startswith(b"[" * depth) or not text.endswith(b"]" * depth):
        raise Irregular
    text = text[depth:-depth]
    for deep in range(depth, 0, -1):
        text = text.replace(b"]" * deep + b"," + b"[" * deep, b",%d\n" % deep)
    reading = csv.ReadOptions(column_names=list(NUMBERS), block_size=BLOCK, use_threads=False)
    converting = csv.ConvertOptions(column_types=NUMBERS, null_values=[], strings_can_be_null=False)
    parsing = csv.ParseOptions(quote_char=False, ignore_empty_lines=False)
    try:
        table = csv.read_csv(pa.py_buffer(text + b",%d\n" % depth), reading, parsing, converting)
    except pa.ArrowInvalid:
        raise Irregular from None
    xy = np.stack([table[name].to_numpy() for name in ("x", "y")], 1)
    if not np.isfinite(xy).all():
        raise Irregular
    return Lifted(xy, table["after"].to_numpy(), depth)


def _check_blanks(text: bytes) -> None:
    """Raise Irregular if there is a blank within a number: without it, another number would be read."""
    alike = text.translate(NUMERALS)
    while b"  " in alike:
        alike = alike.replace(b"  ", b" ")
    if b"0 0" in alike:
        raise Irregular
