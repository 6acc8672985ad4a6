"""Text files as curators have them: plain or gzip, UTF-8 or Windows-1252, commas or tabs, with line numbers."""

import csv
import gzip
import logging
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stimage.core.errors import DataError

GZIP = b"\x1f\x8b"
LONGEST = 1 << 26  # bytes of a line
UTF16 = (b"\xff\xfe", b"\xfe\xff")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """One row of a table: its cells by lower-case column name, and the file and line where it begins."""

    cells: dict[str, str]
    where: str

    def get(self, *columns: str) -> str:
        """Return the first of these cells that is not empty, without blanks around it."""
        return next((text for column in columns if (text := self.cells.get(column, "").strip())), "")


def read_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Yield a text file's lines, counted from 1, without their ends.

    Gzip is known by its first bytes, whatever the name. A file that is not UTF-8 (a byte order mark is taken off) is
    read as Windows-1252, which Latin-1 text mostly is, with a warning that names the first such line.

    Raises
    ------
    DataError
        If the file is missing, empty, a web page, no text, or a gzip file that is damaged or cut off.
    """
    text, number, warned = "", 0, False
    try:
        with open(path, "rb") as file:
            zipped = file.read(2) == GZIP
        with gzip.open(path) if zipped else open(path, "rb") as file:
            for number, line in enumerate(iter(partial(file.readline, LONGEST), b""), 1):
                if len(line) == LONGEST:  # such as a bomb of few zipped bytes
                    raise DataError(f"{path}: line {number} is longer than {LONGEST >> 20} MB, so the file is no table")
                text, known = _decode(line, f"{path}: line {number}", first=number == 1)
                if not known and not warned:
                    log.warning("%s: line %d is not UTF-8; read as Windows-1252 (Latin-1)", path, number)
                    warned = True
                yield number, text
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: line {number + 1} can't be unzipped ({error}); was the download cut off?") from None
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror})") from None
    if number == 0:
        raise DataError(f"{path}: is empty")


def _decode(line: bytes, where: str, first: bool) -> tuple[str, bool]:
    """Return a line's text, and whether it is UTF-8."""
    if first and line[:2] in UTF16:
        raise DataError(f"{where}: is UTF-16; save the file as UTF-8")
    if b"\0" in line:
        raise DataError(f"{where}: has a zero byte, so the file is no text; expected text, plain or gzip")
    line = line.rstrip(b"\r\n")
    if first and line.lstrip(b"\xef\xbb\xbf \t").startswith(b"<"):
        raise DataError(f"{where}: the file is a web page, perhaps an error message; download it again")
    try:
        return line.decode("utf-8-sig" if first else "utf-8"), True
    except UnicodeDecodeError:
        pass
    try:
        return line.decode("cp1252"), False
    except UnicodeDecodeError as error:
        bad = line[error.start]
        raise DataError(f"{where}: byte {bad:#x} is neither UTF-8 nor Latin-1; save the file as UTF-8") from None


def read_rows(path: str | Path, needed: Sequence[str], known: Sequence[str] | None = None) -> list[Row]:
    """Read a table with a header; tab-separated where the header has a tab, else comma-separated.

    Parameters
    ----------
    path
        The file.
    needed
        Columns, in lower case, that must be there.
    known
        All columns that may be there; by default, others are allowed.

    Raises
    ------
    DataError
        If a column is missing, unknown or there twice, or a row has not as many cells as the header, naming the line.
    """
    lines = read_lines(path)
    head_line, head = next(((number, text) for number, text in lines if text.strip()), (1, ""))
    separator = "\t" if "\t" in head else ","
    columns = [name.strip().lower() for name in next(csv.reader([head], delimiter=separator), [])]
    _check_columns(f"{path}: line {head_line}", columns, needed, known)
    number, rows = head_line + 1, []
    reader = csv.reader(_numbered(lines, last := [head_line]), delimiter=separator, strict=True)
    try:
        for cells in reader:
            where, number = f"{path}: line {number}", last[0] + 1
            if not any(cells):
                continue
            if len(cells) != len(columns):
                raise DataError(f"{where} has {len(cells)} cells for {len(columns)} columns; is a quote missing?")
            rows.append(Row(dict(zip(columns, cells)), where))
    except csv.Error as error:
        raise DataError(f"{path}: line {number} begins a row that is no CSV ({error})") from None
    return rows


def _numbered(lines: Iterator[tuple[int, str]], last: list[int]) -> Iterator[str]:
    for last[0], text in lines:
        yield text + "\n"


def _check_columns(where: str, columns: list[str], needed: Sequence[str], known: Sequence[str] | None) -> None:
    found = ", ".join(columns[:12])
    if missing := [name for name in needed if name not in columns]:
        raise DataError(f"{where}: has no column {missing[0]!r}, but {found}")
    if twice := [name for name in columns if columns.count(name) > 1]:
        raise DataError(f"{where}: column {twice[0]!r} occurs twice; rename one")
    if known is not None and (strange := [name for name in columns if name not in known]):
        raise DataError(f"{where}: unknown column {strange[0]!r}; the columns may be {', '.join(known)}")
