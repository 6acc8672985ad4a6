"""Sparse rows from a dense, wide count CSV, with NumPy alone.

In such a file almost every cell is the two bytes ``0,``.  So only the cells that are *not* a plain ``0`` are located,
and a cell's column follows from where it starts: each cell takes two bytes, plus one for every further character of
the cells before it in its row.
"""

import csv
import os
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import add
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from stimage.errors import DataError
from stimage.slides.storage import check_readable

COMMA, ZERO, QUOTE, NEWLINE = b',0"\n'
QUOTED_ID = re.compile(rb'"((?:[^"\n]|"")*)",')
NUMBER_BYTES = b"0123456789+-.eE"
NOT_POINT_ZERO = (b"..", b"e.", b"E.", b"+.", b"-.")  # what 1.5.0, 1e3.0 and +.0 have when their digits are out
MAX_DIGITS = 18  # what int64 holds; longer cells are read one by one
BLOCK = 1 << 19  # bytes parsed at once: small enough for the processor's cache
ID_BYTES = 512  # longer ids are read in a second try

np.empty(1 << 24, np.uint8)  # freeing it makes glibc keep the work arrays' memory between blocks: 3 x the speed


class Rows(NamedTuple):
    """Consecutive rows in CSR form: ``columns`` (int32) counts genes from 0, ``values`` (float64) has no zero."""

    ids: list[str]
    indptr: np.ndarray
    columns: np.ndarray
    values: np.ndarray


class RowIndex(NamedTuple):
    """Where each row of a count file lies: its spot id, and the bytes from ``start`` (included) to ``end``."""

    ids: pa.ChunkedArray
    start: np.ndarray
    end: np.ndarray


class _Refused(Exception):
    """The fast scan met something other than numbers in rows of one length."""


def read_header(path: str) -> tuple[list[str], int]:
    """Return the gene names, made unique, and the byte at which the first row starts."""
    with open(path, "rb") as file:
        line = file.readline()
    return parse_header(line, path), len(line)


def parse_header(line: bytes, path: str) -> list[str]:
    """Read the gene names out of a count file's first line; the file's name is for the error."""
    if not line.strip():
        raise DataError(f"{path}: is empty; a count file begins with a header of gene names")
    try:
        names = next(csv.reader([line.decode("utf-8-sig").rstrip("\r\n")], strict=True))[1:]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: line 1 is no CSV header of gene names ({error})") from None
    if not names:
        raise DataError(f"{path}: line 1 names no gene; expected a comma-separated header ',GENE,GENE,…'")
    return make_unique(names)


def make_unique(names: list[str]) -> list[str]:
    """Give each repeated name the first free of the suffixes -1, -2, …, as AnnData's ``var_names_make_unique`` does."""
    if len(taken := set(names)) == len(names):
        return names
    unique, met, nth = [], set(), {}
    for name in names:
        if name in met:
            k = nth.get(name, 1)
            while f"{name}-{k}" in taken:
                k += 1
            nth[name], name = k + 1, f"{name}-{k}"
            taken.add(name)
        met.add(name)
        unique.append(name)
    return unique


def read_rows(path: str) -> Iterator[Rows]:
    """Yield all rows of a dense count CSV in the file's order, half a megabyte of text at a time.

    Raises
    ------
    DataError
        Naming file, line, spot and gene, for a cell that is no number of 0 or more and for a row of the wrong length.
    """
    genes, at = read_header(path)
    for text in _whole_lines(path, at):
        yield _parse(text, genes, path, partial(add, at))
        at += len(text)


def index_rows(path: str) -> RowIndex:
    """Find every row of a count file in one pass that looks for line ends only."""
    buffer = bytearray(1 << 20)
    at = read_header(path)[1]
    breaks = array("q", [at - 1])
    with open(path, "rb", buffering=0) as file:
        file.seek(at)
        while size := file.readinto(buffer):
            found = buffer.find(NEWLINE, 0, size)
            while found >= 0:
                breaks.append(at + found)
                found = buffer.find(NEWLINE, found + 1, size)
            at += size
        if breaks[-1] != at - 1:  # the last line lacks its end
            breaks.append(at)
        lines = np.frombuffer(breaks, np.int64)
        start, end = lines[:-1] + 1, lines[1:]
        short = np.flatnonzero(end - start < 2)  # blank, if it is nothing or half of a CRLF
        blank = [k for k in short.tolist() if os.pread(file.fileno(), int(end[k] - start[k]), int(start[k])) in b"\r"]
        if blank:
            start, end = np.delete(start, blank), np.delete(end, blank)
        ids = [_ids_at(file.fileno(), start[k : k + 4096], end[k : k + 4096]) for k in range(0, len(start), 4096)]
    return RowIndex(pa.chunked_array(ids, pa.string()), start, end)


def _ids_at(fd: int, start: np.ndarray, end: np.ndarray) -> pa.Array:
    """Read the ids of rows of which only the places are known."""
    ids = []
    for a, b in zip(start.tolist(), end.tolist()):
        text = os.pread(fd, min(b - a, ID_BYTES), a)
        ids.append(_row_id(text if b"," in text and text[0] != QUOTE else os.pread(fd, b - a, a), 0, b - a)[0])
    return pa.array(ids, pa.string())


def rows_at(path: str, genes: list[str], start: np.ndarray, end: np.ndarray) -> Rows:
    """Read the rows that lie at these bytes, in the order given; raises as `read_rows` does."""
    check_readable(path)  # it was there when its rows were indexed
    with open(path, "rb", buffering=0) as file:
        text = b"".join(os.pread(file.fileno(), b - a, a) + b"\n" for a, b in zip(start.tolist(), end.tolist()))
    places = np.append(0, np.cumsum(end - start + 1))
    return _parse(text, genes, path, lambda place: int(start[places.searchsorted(place, "right") - 1]))


def _whole_lines(path: str, start: int) -> Iterator[bytes]:
    """Yield the lines from a byte on, many at a time."""
    tail = []
    with open(path, "rb", buffering=0) as file:
        file.seek(start)
        while chunk := file.read(BLOCK):
            if cut := chunk.rfind(b"\n") + 1:
                yield b"".join([*tail, chunk[:cut]])
                tail = [chunk[cut:]]
            else:
                tail.append(chunk)
    if rest := b"".join(tail):
        yield rest


def _locate(text: bytes) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Return each row's id, where its line starts and ends, and where its first count starts."""
    ids, bounds, start = [], [], 0
    while start < len(text):
        end = text.find(b"\n", start) % (len(text) + 1)  # the last line may lack its end
        stop = end - 1 if text[end - 1 : end] == b"\r" else end
        if stop > start:  # not a blank line
            row_id, first = _row_id(text, start, stop)
            ids.append(row_id)
            bounds.append((start, stop, first))
        start = end + 1
    return ids, *np.array(bounds, np.int64).reshape(-1, 3).T


def _row_id(text: bytes, start: int, stop: int) -> tuple[str, int]:
    """Return the id of the line between two places, and the place of its first count."""
    quoted = text[start] == QUOTE and QUOTED_ID.match(text, start, stop)
    comma = quoted.end() - 1 if quoted else text.find(b",", start, stop) % (stop + 1)  # stop if none
    row_id = quoted[1].replace(b'""', b'"') if quoted else text[start:comma]
    return row_id.decode(errors="backslashreplace"), min(comma + 1, stop)


def _parse(text: bytes, genes: list[str], path: str, offset: Callable[[int], int]) -> Rows:
    """Parse whole lines; ``offset`` tells which byte of the file a row's place in the text is, for the error."""
    try:
        return _parse_fast(text if text.endswith(b"\n") else text + b"\n", len(genes))
    except _Refused:
        place, message = _explain(text, genes)
        raise DataError(f"{path}: line {_line_at(path, offset(place))} {message}") from None


def _parse_fast(text: bytes, n_genes: int) -> Rows:
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n")
        if b"\r" in text:  # other readers end the line there
            raise _Refused
    ids, start, last, first = _locate(text)
    if b"." in text and text.count(b".") > sum(row_id.count(".") for row_id in ids) and b",." not in text:
        ends = [*start[1:].tolist(), len(text)]  # 1.0 is read as 1, at no cost to other decimals
        parts = zip(start.tolist(), first.tolist(), ends)
        text = b"".join(text[a:b] + _without_point_zero(text[b:c]) for a, b, c in parts)
        ids, start, last, first = _locate(text)
    indptr, columns, values, which, begins, ends = _scan(np.frombuffer(text, np.uint8), first, last, n_genes)
    values = values.astype(np.float64)
    if len(which):
        values[which] = _numbers([text[a:b] for a, b in zip(begins.tolist(), ends.tolist())])
    if not (kept := values != 0).all():  # 00, 0.0, 0e0
        indptr = np.append(0, np.cumsum(kept))[indptr]
        columns, values = columns[kept], values[kept]
    return Rows(ids, indptr, columns, values)


def _without_point_zero(cells: bytes) -> bytes:
    """Write 1.0 as 1, unless a cell ends in .0 that is no such number."""
    plain = cells.replace(b".0,", b",").replace(b".0\n", b"\n")
    if b"." in plain or any(sign in cells for sign in (b"e", b"E", b"+", b"-")):
        rest = cells.translate(None, b"0123456789")
        if any(doubt in rest for doubt in NOT_POINT_ZERO):
            return cells
    return plain


def _scan(a: np.ndarray, first: np.ndarray, last: np.ndarray, n_genes: int) -> tuple[np.ndarray, ...]:
    """Return indptr, columns and int64 values, then the cells that are no plain integer: which, start, end."""
    sep = a == COMMA
    sep[last] = True
    zero = a == ZERO
    zero[:-1] &= sep[1:]
    begins = np.zeros(len(a) + len(a) % 2, bool)  # does a cell other than a plain 0 start here?
    np.greater(sep[:-1], zero[1:], out=begins[1 : len(a)])
    for start, end in zip([0, *last + 1], [*first, len(a)]):
        begins[start:end] = False  # ids and blank lines
    starts = _true_places(begins, sep)
    digits = a.take(starts) - np.uint8(ZERO)
    other = digits > 9
    if sep.take(starts[other]).any():
        raise _Refused  # an empty cell
    values = digits.astype(np.int64)
    extra = np.zeros(len(starts) + 1, np.int64)  # characters beyond the first, one place to the right
    open_, length = np.flatnonzero(~sep.take(starts + 1)), 1
    while open_.size:
        at = starts[open_] + length
        digits = a.take(at) - np.uint8(ZERO)
        values[open_] = values[open_] * 10 + digits
        other[open_] |= (digits > 9) | (length >= MAX_DIGITS)
        closed = sep.take(at + 1)
        extra[open_[closed] + 1] = length
        open_, length = open_[~closed], length + 1
    shift = np.cumsum(extra)
    indptr = np.append(starts.searchsorted(first), len(starts))
    if (last + 1 - first - np.diff(shift[indptr]) != 2 * n_genes).any():
        raise _Refused  # a row of the wrong length
    columns = starts - shift[:-1] - np.repeat(first - shift[indptr[:-1]], np.diff(indptr)) >> 1
    which = np.flatnonzero(other)
    return indptr, columns.astype(np.int32), values, which, starts[which], starts[which] + extra[which + 1] + 1


def _true_places(mask: np.ndarray, sep: np.ndarray) -> np.ndarray:
    """Do as `numpy.flatnonzero`, four times as fast: only empty cells start within two bytes, so look at pairs."""
    pairs = mask.view("<u2")
    found = np.flatnonzero(pairs != 0)
    pair = pairs.take(found)  # 0x001, 0x100, or 0x101 where two cells start
    if pair.max(initial=0) == 0x101:
        raise _Refused
    return (found << 1) + (pair >> 8)


def _numbers(cells: Sequence[bytes]) -> np.ndarray:
    """Read counts that are no plain integers, such as ``1.5``, ``3e-05`` or very long integers."""
    if b"".join(cells).translate(None, NUMBER_BYTES):  # float also takes nan, 1_0 and spaces
        raise _Refused
    try:
        numbers = np.array(list(map(float, cells)))
    except ValueError:
        raise _Refused from None
    if not ((numbers >= 0) & (numbers < np.inf)).all():
        raise _Refused
    return numbers


def _explain(text: bytes, genes: list[str]) -> tuple[int, str]:
    """Find the first wrong row of a text that the fast way refused: its place, and what is wrong."""
    ids, *bounds = _locate(text)
    for row_id, start, end, first in zip(ids, *(b.tolist() for b in bounds)):
        cells = text[first:end].split(b",")
        for column, (gene, cell) in enumerate(zip(genes, cells), 2):
            try:
                _numbers([cell])
            except _Refused:
                shown = cell[:40].decode(errors="backslashreplace")
                return start, f"(spot {row_id!r}), column {column} (gene {gene!r}): {shown!r} is no count of 0 or more"
        if len(cells) != len(genes):
            cut = "; was the file cut off?" if len(cells) < len(genes) else ""
            return start, f"(spot {row_id!r}) has {len(cells)} counts for {len(genes)} genes{cut}"
        if b"\r" in text[start:end]:
            return start, f"(spot {row_id!r}) has a carriage return that ends no line"
    raise AssertionError("the fast scan refused rows in which nothing is wrong")


def _line_at(path: str, offset: int) -> int:
    """Return the line, counted from 1, in which a byte of a file lies."""
    line = 1
    with open(path, "rb") as file:
        while offset > 0 and (chunk := file.read(min(1 << 20, offset))):
            line, offset = line + chunk.count(b"\n"), offset - len(chunk)
    return line
