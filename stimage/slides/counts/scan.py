"""Parsing the text of a dense, wide CSV into sparse rows, with NumPy alone.

In such a text almost every cell is the two bytes ``0,``.  So only the cells that are *not* a plain ``0`` are located,
and a cell's column follows from where it starts: each cell takes two bytes, plus one for every further character of
the cells before it in its row.

A scan of a large file needs some megabytes of arrays a thousand times a second. Where the C library gives freed memory
back to the system at once (see ``MALLOC_TRIM_THRESHOLD_``), fetching that memory again takes five times as long as the
scan. So each thread keeps the arrays that only the scan needs, and the others come from Arrow's pool.
"""

import re
import threading
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from stimage.slides.counts.rows import CountRows

COMMA, ZERO, QUOTE, RETURN = b',0"\r'
QUOTED_ID = re.compile(rb'"((?:[^"\n]|"")*)",')
NUMBER_BYTES = b"0123456789+-.eE"
NOT_POINT_ZERO = (b"..", b"e.", b"E.", b"+.", b"-.")  # what 1.5.0, 1e3.0 and +.0 have when their digits are out
MAX_DIGITS = 18  # what int64 holds; longer cells are read one by one
Text = bytes | bytearray
STEP, FEW = 1 << 15, 6000  # pairs, and longer cells, looked at together: what is found takes less than 64 kB


class Refused(Exception):
    """The fast scan met something other than numbers in rows of one length."""


class Work(threading.local):
    """Arrays that a thread keeps, by name, and uses for block after block."""

    def __init__(self) -> None:
        self.kept: dict[str, np.ndarray] = {}
        self.line = bytearray()

    def __call__(self, name: str, n: int, dtype: type) -> np.ndarray:
        kept = self.kept.get(name)
        if kept is None or len(kept) < n:
            kept = self.kept[name] = np.empty(n + n // 4, dtype)
        return kept[:n]

    def text(self, n: int) -> bytearray:
        """Return room for n bytes, or more."""
        if len(self.line) < n:
            self.line = bytearray(n + n // 4)
        return self.line


work = Work()


def pooled(n: int, dtype: type) -> np.ndarray:
    """Return an empty array, like `numpy.empty`, in memory of Arrow's pool."""
    return np.frombuffer(pa.allocate_buffer(n * np.dtype(dtype).itemsize), dtype)


def parse_rows(text: Text, size: int, n_genes: int) -> CountRows:
    """Parse the first ``size`` bytes of a text, which are whole lines, the last one's end included."""
    if text.find(b"\r", 0, size) >= 0:
        text = bytes(text[:size]).replace(b"\r\n", b"\n")
        size = len(text)
        if b"\r" in text:  # other readers end the line there
            raise Refused
    ids, start, last, first = locate(text, size)
    in_ids = "".join(ids).count(".")
    if text.find(b".", 0, size) >= 0 and text.count(b".", 0, size) > in_ids and text.find(b",.", 0, size) < 0:
        ends = [*start[1:].tolist(), size]  # 1.0 is read as 1, at no cost to other decimals
        parts = zip(start.tolist(), first.tolist(), ends)
        text = b"".join(text[a:b] + _without_point_zero(text[b:c]) for a, b, c in parts)
        size = len(text)
        ids, start, last, first = locate(text, size)
    indptr, columns, values, which, begins, ends = _scan(np.frombuffer(text, np.uint8, size), first, last, n_genes)
    if len(which):
        values[which] = numbers([text[a:b] for a, b in zip(begins.tolist(), ends.tolist())])
    if not (kept := values != 0).all():  # 00, 0.0, 0e0
        indptr = np.append(0, np.cumsum(kept))[indptr]
        columns, values = columns[kept], values[kept]
    return CountRows(indptr, columns, values, ids)


def locate(text: Text, size: int) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Return each row's id, where its line starts and ends, and where its first count starts."""
    ids, bounds, start = [], [], 0
    while start < size:
        end = text.find(b"\n", start, size) % (size + 1)  # the last line may lack its end
        stop = end - 1 if end and text[end - 1] == RETURN else end
        if stop > start:  # not a blank line
            row_id, first = read_id(text, start, stop)
            ids.append(row_id)
            bounds.append((start, stop, first))
        start = end + 1
    return ids, *np.array(bounds, np.int64).reshape(-1, 3).T


def read_id(text: Text, start: int, stop: int) -> tuple[str, int]:
    """Return the id of the line between two places, and the place of its first count."""
    quoted = text[start] == QUOTE and QUOTED_ID.match(text, start, stop)
    comma = quoted.end() - 1 if quoted else text.find(b",", start, stop) % (stop + 1)  # stop if none
    row_id = quoted[1].replace(b'""', b'"') if quoted else text[start:comma]
    return row_id.decode(errors="backslashreplace"), min(comma + 1, stop)


def _without_point_zero(cells: Text) -> Text:
    """Write 1.0 as 1, unless a cell ends in .0 that is no such number."""
    plain = cells.replace(b".0,", b",").replace(b".0\n", b"\n")
    if b"." in plain or any(sign in cells for sign in (b"e", b"E", b"+", b"-")):
        rest = cells.translate(None, b"0123456789")
        if any(doubt in rest for doubt in NOT_POINT_ZERO):
            return cells
    return plain


def _scan(a: np.ndarray, first: np.ndarray, last: np.ndarray, n_genes: int) -> tuple[np.ndarray, ...]:
    """Return indptr, columns and values (float64), then the cells that are no plain integer: which, start, end."""
    sep = np.equal(a, COMMA, out=work("sep", len(a), bool))
    sep[last] = True
    starts = _starts(a, sep, first, last)
    n = len(starts)
    digits = a.take(starts, out=work("digits", n, np.uint8), mode="clip")  # "raise" would make a copy
    digits -= np.uint8(ZERO)
    other = np.greater(digits, 9, out=work("other", n, bool))
    if sep.take(starts[other]).any():
        raise Refused  # an empty cell
    values, extra = work("values", n, np.int64), work("extra", n + 1, np.int64)
    values[:] = digits
    extra[:] = 0  # characters beyond the first, one place to the right
    ended = sep[1:].take(starts, out=work("ended", n, bool), mode="clip")
    longer = np.logical_not(ended, out=ended)
    step = n * FEW // max(int(np.count_nonzero(longer)), FEW) + 1
    for at in range(0, n, step):
        _read_longer(a, sep, starts, np.flatnonzero(longer[at : at + step]) + at, values, extra, other)
    shift = np.cumsum(extra, out=work("shift", n + 1, np.int64))
    indptr = np.append(starts.searchsorted(first), n)
    if (last + 1 - first - np.diff(shift[indptr]) != 2 * n_genes).any():
        raise Refused  # a row of the wrong length
    which = np.flatnonzero(other)
    cells = which, starts[which], starts[which] + extra[which + 1] + 1
    np.add.at(extra, indptr[:-1], np.diff(first - shift[indptr[:-1]], prepend=0))  # from here, and where a row begins
    places = np.subtract(starts, np.cumsum(extra, out=shift)[:-1], out=starts)
    columns, counts = pooled(n, np.int32), pooled(n, np.float64)
    np.right_shift(places, 1, out=columns, casting="same_kind")
    counts[:] = values
    return indptr, columns, counts, *cells


def _read_longer(
    a: np.ndarray, sep: np.ndarray, starts: np.ndarray, open_: np.ndarray,
    values: np.ndarray, extra: np.ndarray, other: np.ndarray,
) -> None:  # fmt: skip
    """Complete ``values``, ``extra`` and ``other`` of the cells ``open_``, which have more than one character."""
    length = 1
    while open_.size:
        at = starts[open_] + length
        digits = a.take(at) - np.uint8(ZERO)
        values[open_] = values[open_] * 10 + digits
        other[open_] |= (digits > 9) | (length >= MAX_DIGITS)
        closed = sep.take(at + 1)
        extra[open_[closed] + 1] = length
        open_, length = open_[~closed], length + 1


def _starts(a: np.ndarray, sep: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Return where each cell starts that is not a plain 0."""
    zero = np.equal(a, ZERO, out=work("zero", len(a), bool))
    zero[:-1] &= sep[1:]
    begins = work("begins", len(a) + len(a) % 2, bool)  # does a cell other than a plain 0 start here?
    begins[:1] = begins[-1:] = False
    np.greater(sep[:-1], zero[1:], out=begins[1 : len(a)])
    for start, end in zip([0, *last + 1], [*first, len(a)]):
        begins[start:end] = False  # ids and blank lines
    return _true_places(begins)


def _true_places(mask: np.ndarray) -> np.ndarray:
    """Do as `numpy.flatnonzero`, four times as fast: only empty cells start within two bytes, so pairs are tested."""
    pairs = mask.view("<u2")
    filled = np.not_equal(pairs, 0, out=work("filled", len(pairs), bool))
    found, n = work("starts", len(pairs), np.int64), 0
    for at in range(0, len(filled), STEP):
        some = np.flatnonzero(filled[at : at + STEP])
        np.add(some, at, out=found[n : n + len(some)])
        n += len(some)
    found = found[:n]
    pair = pairs.take(found, out=work("pair", n, np.uint16), mode="clip")  # 0x001, 0x100, or 0x101: two cells start
    if pair.max(initial=0) == 0x101:
        raise Refused
    pair >>= 8
    found <<= 1
    found += pair
    return found


def numbers(cells: Sequence[Text]) -> np.ndarray:
    """Read counts that are no plain integers, such as ``1.5``, ``3e-05`` or very long integers."""
    if b"".join(cells).translate(None, NUMBER_BYTES):  # float also takes nan, 1_0 and spaces
        raise Refused
    try:
        values = np.array(list(map(float, cells)))
    except ValueError:
        raise Refused from None
    if not ((values >= 0) & (values < np.inf)).all():
        raise Refused
    return values


def explain(text: bytes, genes: list[str]) -> tuple[int, str]:
    """Find the first wrong row of a text that the fast way refused: its place, and what is wrong."""
    ids, *bounds = locate(text, len(text))
    for row_id, start, end, first in zip(ids, *(b.tolist() for b in bounds)):
        cells = text[first:end].split(b",")
        for column, (gene, cell) in enumerate(zip(genes, cells), 2):
            try:
                numbers([cell])
            except Refused:
                shown = cell[:40].decode(errors="backslashreplace")
                return start, f"(spot {row_id!r}), column {column} (gene {gene!r}): {shown!r} is no count of 0 or more"
        if len(cells) != len(genes):
            cut = "; was the file cut off?" if len(cells) < len(genes) else ""
            return start, f"(spot {row_id!r}) has {len(cells)} counts for {len(genes)} genes{cut}"
        if b"\r" in text[start:end]:
            return start, f"(spot {row_id!r}) has a carriage return that ends no line"
    raise AssertionError("the fast scan refused rows in which nothing is wrong")
