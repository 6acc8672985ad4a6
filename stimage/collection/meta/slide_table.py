"""The curator's table of slides, for facts that a slide's name does not contain."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from stimage.core.errors import DataError
from stimage.core.tables import read_table
from stimage.slides.catalog import TECHS
from stimage.slides.names import fold_name

PATTERNS = {"gse": r"GSE\d+", "gsm": r"GSM\d+", "tech": "|".join(TECHS)}
SLIDE_TABLE_COLUMNS = ("slide", "gse", "gsm", "pmid", "tech", "species", "tissue", "title", "abstract", "keywords")


@dataclass(frozen=True)
class SlideEntry:
    """A slide's entry; empty fields are not known. Without a table, accessions come from the slide's name."""

    slide: str
    gse: str = ""
    gsm: str = ""
    pmids: tuple[str, ...] = ()
    tech: str = ""
    species: str = ""
    tissue: str = ""
    title: str = ""
    abstract: str = ""
    keywords: str = ""
    source: str = "the slide's name"

    @classmethod
    def of_name(cls, slide: str) -> "SlideEntry":
        """Take a series and a sample from a name such as GSE144239_GSM4284316."""
        gse, gsm = (re.search(rf"(?<![A-Za-z0-9]){PATTERNS[kind]}(?![A-Za-z0-9])", slide) for kind in ("gse", "gsm"))
        return cls(slide, gse[0] if gse else "", gsm[0] if gsm else "")


def read_slide_table(path: str | Path) -> dict[str, SlideEntry]:
    """Read a CSV or TSV table with the column slide and others of `SLIDE_TABLE_COLUMNS`, by lower-case slide name.

    Several pmids of a slide are separated by a comma, a semicolon or a space. If the cell of an accession is empty, the
    accession is taken from the slide's name.

    Raises
    ------
    DataError
        If a slide occurs twice, or a cell is no accession, pmid or technology; the error names the lines.
    """
    entries = {}
    for row in read_table(path, ("slide",), SLIDE_TABLE_COLUMNS, by_hand=True)[1]:
        name = row.told("slide")
        if not name:
            raise DataError(f"{row.source}: names no slide; write its name, or remove the line")
        if old := entries.get(fold_name(name)):
            raise DataError(f"{row.source}: slide {name!r} is also in {old.source}; remove one")
        cells = {column: row.told(column) for column in SLIDE_TABLE_COLUMNS[4:]}
        pmids = re.findall(r"[^,;\s]+", row.told("pmid"))
        told = SlideEntry.of_name(name)
        entry = SlideEntry(name, row.told("gse") or told.gse, row.told("gsm") or told.gsm, tuple(pmids), **cells,
                           source=row.source)  # fmt: skip
        _check(entry)
        entries[fold_name(name)] = entry
    return entries


def _check(entry: SlideEntry) -> None:
    for column, pattern in PATTERNS.items():
        value = getattr(entry, column)
        if value and not re.fullmatch(pattern, value):
            raise DataError(f"{entry.source}: {column} is {value!r}; expected {pattern.replace('|', ', ')}")
    _check_pmids(entry.pmids, entry.source)


def _check_pmids(pmids: Iterable[str], source: str) -> None:
    if wrong := next((pmid for pmid in pmids if not pmid.isdecimal()), None):
        raise DataError(f"{source}: pmid is {wrong!r}; expected numbers")
