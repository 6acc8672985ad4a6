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
STOP, ZERO, DIGIT, DOT, POWER, MINUS, PLUS, BLANK, OTHER = range(9)  # kinds of bytes; brackets and commas are stops
KINDS = {b"[],": STOP, b"0": ZERO, b"123456789": DIGIT, b".": DOT, b"eE": POWER, b"-": MINUS, b"+": PLUS, BLANKS: BLANK}
OF_BYTE = bytes(next((kind for some, kind in KINDS.items() if byte in some), OTHER) for byte in range(256))
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
    text, n = b",".join(lists), len(lists)
    lists.clear()
    _check_numbers(text)
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
    after = table["after"].to_numpy()
    if not np.isfinite(xy).all() or (after >= depth).sum() != n:
        raise Irregular
    return Lifted(xy, after, depth)


def _check_numbers(text: bytes) -> None:
    """Raise Irregular if a number is not as JSON has it: the reader of tables takes 01, 1., .5 and +1, too."""
    kinds = text.translate(OF_BYTE) + bytes([STOP])  # or the last pair had no third
    for sign in (MINUS, PLUS):  # of a power
        kinds = kinds.replace(bytes([POWER, sign]), bytes([POWER]))
    while bytes([BLANK, BLANK]) in kinds:
        kinds = kinds.replace(bytes([BLANK, BLANK]), bytes([BLANK]))
    pairs, third = _forbidden()
    for at in range(0, len(kinds), BLOCK):
        block = kinds[at : at + BLOCK + 2]
        some = np.frombuffer(block, np.uint8)
        two = np.frombuffer((some[:-2] * np.uint8(9) + some[1:-1]).tobytes().translate(pairs), np.uint8)
        if (two & np.frombuffer(block[2:].translate(third), np.uint8)).any():
            raise Irregular


def _forbidden() -> tuple[bytes, bytes]:
    """Return what JSON's lists of numbers never have in a row, as flags of two bytes (9 * kind + kind) and of a third.

    Two bytes and a third that share a flag are wrong: 1, whatever the third is; 2, a zero in front of a digit; 4, a
    blank in a number.
    """
    digits, ends, number = [ZERO, DIGIT], [STOP, BLANK], [ZERO, DIGIT, DOT, POWER, MINUS]
    pairs, third = np.zeros((9, 9), np.uint8), np.ones(9, np.uint8)
    for kind in (DOT, POWER):  # between digits
        pairs[kind] = pairs[:, kind] = 1
        pairs[kind, digits] = pairs[digits, kind] = 0
    pairs[:, MINUS] = pairs[MINUS] = 1
    pairs[ends, MINUS] = pairs[MINUS, digits] = 0
    pairs[[PLUS, OTHER]] = pairs[:, [PLUS, OTHER]] = 1
    pairs[[*ends, MINUS], ZERO] |= 2
    pairs[number, BLANK] |= 4
    third[digits] |= 2
    third[number] |= 4
    return pairs.tobytes().ljust(256), third.tobytes().ljust(256)
