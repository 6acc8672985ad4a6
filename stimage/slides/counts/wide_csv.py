"""The wide CSV: its genes, its rows in any order, and the place of each row; see `stimage.slides.counts.scan`."""

import csv
import os
import re
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from io import FileIO
from operator import add

import numpy as np
import pyarrow as pa

from stimage.core.access import OPEN, Access
from stimage.core.errors import DataError, one_line
from stimage.core.storage import check_readable, first_line
from stimage.core.tables import other_form, rewriting
from stimage.slides.counts.rows import CountRows, RowIndex
from stimage.slides.counts.scan import QUOTE, Refused, explain, parse_rows, pooled, read_id, work

SPOT = re.compile(r"(?:.*_)?(?:\d+(?:\.\d+)?x\d+(?:\.\d+)?|[ACGTN]{12,}(?:-\d+)?|s_\d{3}um_\d+_\d+(?:-\d+)?)")
NEWLINE = ord("\n")
BLOCK_BYTES = 1 << 20  # bytes parsed at once: small enough for the processor's cache
ID_BYTES = 512  # longer ids are read in a second try


def header_line(url: str, access: Access = OPEN) -> bytes:
    """Return the first line; of a remote file, only its beginning is fetched."""
    line = first_line(url, access)
    if line.strip():
        _check_form(line, url)
    return line


def _check_form(line: bytes, path: str) -> None:
    """Refuse what is no comma-separated UTF-8, and what has spots for genes, saying how it becomes what it is to be."""
    if told := other_form(path, line):
        raise DataError(f"{path}: {told}")
    names, slide = line[:4096].decode(errors="replace").replace('"', "").split(",")[1:-1], os.path.basename(path)
    slide = slide.partition("_count.")[0] + "_"
    if names and all(name.startswith(slide) or SPOT.fullmatch(name) for name in names[:5]):
        raise DataError(
            f"{path}: has genes as rows and spots as columns, as {names[0]!r}; transpose it: {rewriting(path, '.T')}"
        )


def read_header(path: str) -> tuple[list[str], int]:
    """Return the gene names, made unique, and the byte at which the first row starts."""
    with open(path, "rb") as file:
        line = file.readline()
    return parse_header(line, path), len(line)


def parse_header(line: bytes, path: str) -> list[str]:
    """Return the gene names in the first line of a count file, made unique; ``path`` is for the error."""
    return make_unique(parse_names(line, path))


def parse_names(line: bytes, path: str) -> list[str]:
    """Read the gene names out of a count file's first line as they are there."""
    if not line.strip():
        raise DataError(f"{path}: is empty; a count file begins with a header of gene names")
    _check_form(line, path)
    try:
        text = line.decode("utf-8-sig").rstrip("\r\n")
        plain = '"' not in text and "\r" not in text  # then a third of the time
        names = (text.split(",") if plain else next(csv.reader([text], strict=True)))[1:]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: line 1 is no CSV header of gene names ({one_line(error)})") from None
    if not names:
        raise DataError(f"{path}: line 1 names no gene; expected a comma-separated header ',GENE,GENE,…'")
    return names


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


def read_counts(path: str) -> Iterator[CountRows]:
    """Yield all rows of a dense count CSV in the file's order, half a megabyte of text at a time.

    Raises
    ------
    DataError
        Naming file, line, spot and gene, for a cell that is no number of 0 or more and for a row of the wrong length.
    """
    genes, at = read_header(path)
    for text, size in _whole_lines(path, at):
        yield _parse(text, size, genes, path, partial(add, at))
        at += size


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
        blank = [k for k in short.tolist() if _read_at(file, int(start[k]), int(end[k] - start[k])) in b"\r"]
        if blank:
            start, end = np.delete(start, blank), np.delete(end, blank)
        ids = [_ids_at(file, start[k : k + 4096], end[k : k + 4096]) for k in range(0, len(start), 4096)]
    return RowIndex(pa.chunked_array(ids, pa.string()), start, end)


def _ids_at(file: FileIO, start: np.ndarray, end: np.ndarray) -> pa.Array:
    """Read the ids of rows of which only the places are known."""
    ids = []
    for a, b in zip(start.tolist(), end.tolist()):
        text = _read_at(file, a, min(b - a, ID_BYTES))
        ids.append(read_id(text if b"," in text and text[0] != QUOTE else _read_at(file, a, b - a), 0, b - a)[0])
    return pa.array(ids, pa.string())


def _read_at(file: FileIO, start: int, size: int) -> bytes:
    file.seek(start)
    return file.read(size)


def rows_at(path: str, genes: list[str], start: np.ndarray, end: np.ndarray) -> CountRows:
    """Read the rows that lie at these bytes, in the order given; raises as `read_counts` does."""
    check_readable(path)  # it was there when its rows were indexed
    block = np.cumsum(end - start + 1) // BLOCK_BYTES
    with open(path, "rb", buffering=0) as file:
        parts = [
            _parse(*_lines_at(file, start[some], end[some]), genes, path, partial(_row_at, start[some], end[some]))
            for some in np.split(np.arange(len(start)), np.flatnonzero(np.diff(block)) + 1)
        ]
    return parts[0] if len(parts) == 1 else _joined(parts)


def _lines_at(file: FileIO, start: np.ndarray, end: np.ndarray) -> tuple[bytearray, int]:
    """Read lines into a reused text, each with a line end; return the text and the length that is filled."""
    text, size = work.text(int((end - start + 1).sum())), 0
    for a, b in zip(start.tolist(), end.tolist()):
        file.seek(a)
        size += file.readinto(memoryview(text)[size : size + b - a])
        text[size] = NEWLINE
        size += 1
    return text, size


def _row_at(start: np.ndarray, end: np.ndarray, place: int) -> int:
    """Return the place in the file of the row that `_lines_at` put at this place of its text."""
    return int(start[np.append(0, np.cumsum(end - start + 1)).searchsorted(place, "right") - 1])


def _joined(parts: list[CountRows]) -> CountRows:
    """Join many `CountRows` into one."""
    n = [len(part.columns) for part in parts]
    indptr = [part.indptr[:-1] + before for part, before in zip(parts, np.cumsum([0, *n]))]
    return CountRows(
        np.concatenate([*indptr, [sum(n)]]),
        np.concatenate([part.columns for part in parts], out=pooled(sum(n), np.int32)),
        np.concatenate([part.values for part in parts], out=pooled(sum(n), np.float64)),
        [row_id for part in parts for row_id in part.ids],
    )


def _whole_lines(path: str, start: int) -> Iterator[tuple[bytearray, int]]:
    """Yield many lines at a time, from a byte on: a reused text, and the length that is filled.

    The last line is given an end if it lacks one.
    """
    text, filled = bytearray(2 * BLOCK_BYTES), 0
    with open(path, "rb", buffering=0) as file:
        file.seek(start)
        while size := file.readinto(memoryview(text)[filled : filled + BLOCK_BYTES]):
            filled += size
            if cut := text.rfind(b"\n", filled - size, filled) + 1:
                yield text, cut
                filled -= cut
                text[:filled] = text[cut : cut + filled]
            if filled + BLOCK_BYTES >= len(text):
                text += bytes(len(text))
    if filled:
        text[filled] = NEWLINE
        yield text, filled + 1


def _parse(text: bytearray, size: int, genes: list[str], path: str, offset: Callable[[int], int]) -> CountRows:
    """Parse whole lines; ``offset`` tells which byte of the file a row's place in the text is, for the error."""
    try:
        return parse_rows(text, size, len(genes))
    except Refused:
        place, message = explain(bytes(text[:size]), genes)
        raise DataError(f"{path}: line {_line_at(path, offset(place))} {message}") from None


def _line_at(path: str, offset: int) -> int:
    """Return the line, counted from 1, in which a byte of a file lies."""
    line = 1
    with open(path, "rb") as file:
        while offset > 0 and (chunk := file.read(min(1 << 20, offset))):
            line, offset = line + chunk.count(b"\n"), offset - len(chunk)
    return line
