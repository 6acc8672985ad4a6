"""Text tables and their lines: one reader for files that programs write, and for files that people write."""

import csv
import gzip
import io
import json
import logging
import os
import re
import shlex
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any, Literal

import numpy as np

from stimage.core.access import Access, is_local
from stimage.core.errors import DataError, one_line
from stimage.core.storage import local_copy

GZIP = b"\x1f\x8b"
LONGEST = 1 << 26  # bytes of a line
MOST_LINES = 10_000_000  # lines of a table
UTF16 = (b"\xff\xfe", b"\xfe\xff")
CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
MARKS = {"\t": "tabs", ";": "semicolons"}
Quoting = Literal[0, 1, 2, 3]
log = logging.getLogger(__name__)


class Row(dict[str, str]):
    """One row of a table: its cells by column, and the file and the line where it begins."""

    source: str

    def told(self, *columns: str) -> str:
        """Return the first cell of these columns that is not empty, without blanks around it; "" if there is none."""
        return next((text for column in columns if (text := self.get(column, "").strip())), "")


def read_table(
    path: str | os.PathLike,
    needs: Sequence[str] = (),
    known: Sequence[str] | None = None,
    *,
    source: str = "",
    access: Access | None = None,
    by_hand: bool = False,
) -> tuple[list[str], list[Row]]:
    """Read a small table with a header, plain or gzip: its columns, and its rows, without empty ones.

    Parameters
    ----------
    needs, known
        Columns that the table must have, and all columns that it may have. None allows any others.
    source
        The name of the table in errors. "" takes its path.
    access
        Access to the server of a URL. None reads a file on this machine, which may be a pipe.
    by_hand
        True reads a file that a person wrote: cells may be separated by tabs or semicolons, the text may be
        Windows-1252, and case and blanks do not count in column names, which are returned in lower case.

    Raises
    ------
    DataError
        If the file can't be read or is no text; if a column is missing, unknown or there twice; or if a row has another
        number of cells than the header, as where a file was cut off. The error names the line.
    """
    source, local = source or str(path), path if access is None else local_copy(os.fspath(path), access)
    cells = read_cells(local, source, by_hand=by_hand)
    line, columns = next(cells, (1, []))
    if by_hand:
        columns = [name.strip().lower() for name in columns]
    if missing := [name for name in needs if name not in columns]:
        found, remedy = ", ".join(columns)[:200] or "nothing", ""
        if not by_hand:
            remedy = f"; it {other_form(path, ','.join(columns).encode()) or 'must be comma-separated'}"
        raise DataError(f"{source}: has no column {missing[0]!r}, but {found}{remedy}")
    _check_columns(f"{source}: line {line}", columns, known)
    rows = []
    for line, row in cells:
        if len(row) != len(columns):
            raise DataError(
                f"{source}: line {line} has {len(row)} cells for {len(columns)} columns; was the file cut off, or is a "
                "quote missing?"
            )
        rows.append(Row(zip(reversed(columns), reversed(row))))  # of columns without a name, the first counts
        rows[-1].source = f"{source}: line {line}"
    return columns, rows


def _check_columns(source: str, columns: list[str], known: Sequence[str] | None) -> None:
    if twice := [name for name in columns if name and columns.count(name) > 1]:
        raise DataError(f"{source}: has two columns of one name, {twice[0]!r}; rename one")
    if known is not None and (strange := [name for name in columns if name not in known]):
        raise DataError(f"{source}: unknown column {strange[0]!r}; the columns may be {', '.join(known)}")


def read_cells(
    path: str | os.PathLike, source: str = "", *, by_hand: bool = True, comment: str | None = None
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a table that are not empty, each with the line where it begins; raises as `read_table` does.

    Parameters
    ----------
    by_hand
        True finds the separator: tabs if the first row has one, semicolons if it has no comma either. If the first row
        has none of these, as with R's only column name, the second row decides. The text may be Windows-1252.
    comment
        The beginning of lines that do not belong to the table.
    """
    source = source or str(path)
    lines = _table_lines(path, source, by_hand, comment)
    first = next(((number, text) for number, text in lines if text.strip()), (1, ""))
    second = list(islice(lines, 1)) if by_hand else []
    last, begins = [0], first[0]
    separator = _separator(first[1], "".join(text for _, text in second)) if by_hand else ","
    reader = csv.reader(_counted(chain([first], second, lines), last), delimiter=separator, strict=True)
    try:
        for cells in reader:
            if any(cells):
                yield begins, cells
            begins = last[0] + 1
    except csv.Error as error:
        raise DataError(f"{source}: line {begins} begins a row that is no CSV ({error})") from None


def _table_lines(path: str | os.PathLike, source: str, by_hand: bool, comment: str | None) -> Iterator[tuple[int, str]]:
    for number, text in _lines(path, source, by_hand):
        if number == MOST_LINES:
            raise DataError(f"{source}: has {MOST_LINES:,} lines or more, so it is no table to be read at once")
        if not comment or not text.startswith(comment):
            yield number, text


def _separator(first: str, second: str) -> str:
    told = next((mark for mark in "\t,;" if mark in first), "")
    return told or next((mark for mark in "\t;," if mark in re.sub('"[^"]*"', "", second)), ",")


def _counted(lines: Iterable[tuple[int, str]], last: list[int]) -> Iterator[str]:
    for last[0], text in lines:
        yield text


def read_lines(path: str | os.PathLike) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text file that a person wrote, counted from 1, without their ends.

    Gzip is recognised by its first bytes, under any name. A byte order mark is taken off. A file that is not UTF-8 is
    read as Windows-1252, which Latin-1 text mostly is, and a warning names the first such line.

    Raises
    ------
    DataError
        If the file is missing, empty, a web page, no text, or a gzip file that is damaged or cut off.
    """
    for number, text in _lines(path, str(path), True):
        yield number, text.rstrip("\r\n")


def _lines(path: str | os.PathLike, source: str, by_hand: bool) -> Iterator[tuple[int, str]]:
    number, warned = 0, False
    try:
        for number, line in enumerate(_byte_lines(path, source), 1):
            text, known = _decode(line, source, number, by_hand)
            if not known and not warned:
                log.warning("%s: line %d is not UTF-8; read as Windows-1252 (Latin-1)", source, number)
                warned = True
            yield number, text
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{source}: line {number + 1} can't be unzipped ({error}); was the download cut off?") from None
    except OSError as error:
        raise DataError(f"{source}: cannot be read ({one_line(error)})") from None
    if number == 0:
        raise DataError(f"{source}: is empty")


def _byte_lines(path: str | os.PathLike, source: str) -> Iterator[bytes]:
    """Yield lines with their ends, be these of Unix, Windows or an old Mac."""
    with open(path, "rb") as file:
        begins = file.peek(2)[:2]  # a pipe is not opened twice
        with gzip.open(file) if begins == GZIP else file as text:
            for number, line in enumerate(iter(partial(text.readline, LONGEST), b""), 1):
                if len(line) == LONGEST:  # such as a bomb of few zipped bytes
                    raise DataError(
                        f"{source}: line {number} is longer than {LONGEST >> 20} MB, so the file is no table"
                    )
                yield from line.splitlines(keepends=True)


def _decode(line: bytes, path: str, number: int, by_hand: bool) -> tuple[str, bool]:
    """Return a line's text, and whether it is UTF-8."""
    source, first = f"{path}: line {number}", number == 1
    if first and line[:2] in UTF16:
        as_utf8 = "save the file as UTF-8 (in Excel: CSV UTF-8)"
        raise DataError(f"{source}: is UTF-16; {as_utf8}" if by_hand else f"{path}: {other_form(path, line)}")
    if b"\0" in line:
        raise DataError(f"{source}: has a zero byte, so the file is no text; expected text, plain or gzip")
    if first and line.lstrip(b"\xef\xbb\xbf \t").startswith(b"<"):
        raise DataError(f"{source}: the file is a web page, perhaps an error message; download it again")
    try:
        return line.decode("utf-8-sig" if first else "utf-8"), True
    except UnicodeDecodeError as error:
        bad = line[error.start]
        if not by_hand:
            how = f"if it is Windows-1252, by {rewriting(path, encoding='cp1252')}"
            raise DataError(f"{source}: byte {bad:#x} is not UTF-8; save the file as UTF-8, {how}") from None
    try:
        return line.decode("cp1252"), False
    except UnicodeDecodeError as error:
        bad = line[error.start]
        raise DataError(f"{source}: byte {bad:#x} is neither UTF-8 nor Latin-1; save the file as UTF-8") from None


def check_unzipped(path: str | os.PathLike) -> None:
    """Refuse a gzip file, for a format that is read unpacked alone."""
    with open(path, "rb") as file:
        if file.read(2) == GZIP:
            raise DataError(f"{path}: is compressed by gzip; unpack it first (gunzip)")


def other_form(path: str | os.PathLike, line: bytes) -> str:
    """Return what a file is that is no comma-separated UTF-8 text, by its first line, and how to convert it; else "".

    The command that is named changes only the form of the file: no cell is read as a number, and no name is changed.
    """
    how: dict[str, Any] = {}
    then = ""
    if line[:2] == GZIP:
        return f"is gzip; call it {os.path.basename(path)}.gz"
    if line[:4] == b"PK\x03\x04":
        return "is a workbook of Excel, or a zip; save it as CSV UTF-8 (comma delimited)"
    what, encoding = next((("UTF-16", "utf-16") for mark in UTF16 if line.startswith(mark)), ("", "utf-8-sig"))
    try:
        text = line.decode(encoding, errors="ignore" if what else "strict")  # a line of UTF-16 may end in half a letter
    except UnicodeDecodeError:
        if not any(mark in line for mark in b",;\t") or CONTROL.search(line):
            return ""  # it is no table
        what, encoding = "not UTF-8, but perhaps Windows-1252", "cp1252"
        text = line.decode(encoding, errors="ignore")
    if encoding != "utf-8-sig":
        how["encoding"] = encoding
    if text.startswith("sep="):
        what, how["skiprows"], how["sep"] = "preceded by Excel's line sep=", 1, text[4:5]
    elif "," not in text and (mark := next((mark for mark in "\t;" if mark in text), "")):
        what, how["sep"] = " ".join(filter(None, [what, "separated by " + MARKS[mark]])), mark
    if how.get("sep") == ";":  # then decimals may have commas
        then = r""".replace(r"^(-?\d+),(\d+)$", r"\1.\2", regex=True)"""
    return f"is {what}; make it comma-separated UTF-8: {rewriting(path, then, **how)}" if how else ""


def rewriting(path: str | os.PathLike, then: str = "", **how: Any) -> str:
    """Return a command that reads a table as text, changes it, and writes it to the same place."""
    name = json.dumps(os.fspath(path) if is_local(os.fspath(path)) else os.path.basename(path), ensure_ascii=False)
    options = "".join(f", {key}={json.dumps(value)}" for key, value in how.items())
    code = f"pd.read_csv({name}{options}, header=None, dtype=str, keep_default_na=False){then}"
    code = f"import pandas as pd; {code}.to_csv({name}, header=False, index=False)"
    return f"python -c {shlex.quote(code)}"


def csv_text(rows: Iterable[Iterable], quoting: Quoting = csv.QUOTE_MINIMAL) -> str:
    """Return rows as the text of a comma-separated table, with Unix line ends."""
    rows, text = list(rows), io.StringIO(newline="")
    csv.writer(text, lineterminator="\n", quoting=quoting).writerows(rows)
    if "\r" in text.getvalue() and quoting != csv.QUOTE_ALL:  # before 3.13, Python does not quote it by itself
        return csv_text(rows, csv.QUOTE_ALL)
    return text.getvalue()


def read_names(path: str | os.PathLike) -> list[str]:
    """Read names of slides: one per line, or the column ``slide`` of a CSV, without rows whose ``mark`` is "reject"."""
    columns, rows = read_table(path)
    if "slide" in columns:
        return [row["slide"] for row in rows if row.get("mark", "").strip().lower() != "reject"]
    if len(columns) != 1:
        raise DataError(f"{path}: is no list of slides: expected a name a line, or a CSV with the column 'slide'")
    return [name for name in (columns[0].strip(), *(row[columns[0]].strip() for row in rows)) if name]


def number_of(cell: str) -> float:
    """Return the number in a cell; NaN if it has none."""
    try:
        return float(cell) if cell.isascii() and "_" not in cell else np.nan  # float also takes 1_0
    except ValueError:
        return np.nan
