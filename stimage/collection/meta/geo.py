"""GEO's facts about samples and series: series matrix files, SOFT family files, and tables exported from its browser.

The readers are our own. The kept library (GEOparse) reads SOFT alone, and builds a table of every platform and sample
on the way. Here, only the lines that describe a sample are read, in one pass.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from stimage.core.errors import DataError
from stimage.core.tables import Row, read_lines, read_table

ORGAN_FIELDS = ("tissue", "organ")  # of the characteristics
KINDS = "a series matrix (GSE…_series_matrix.txt), a SOFT family file (GSE…_family.soft) or an exported table"
ACCESSION = ("accession", "geo_accession", "gsm", "gse")


@dataclass(frozen=True)
class Sample:
    """A GEO sample: its series, Latin names of its organisms, and what its fields tissue and organ say."""

    gsm: str
    series: tuple[str, ...]
    organisms: tuple[str, ...]
    tissues: tuple[str, ...]
    organs: tuple[str, ...]
    source: str

    def told(self, first: str = "tissue") -> tuple[str, ...]:
        """Return what the field ``first`` says, or the other one of `ORGAN_FIELDS` where that says nothing."""
        return (self.organs or self.tissues) if first == "organ" else (self.tissues or self.organs)


@dataclass(frozen=True)
class Series:
    """A GEO series, which is a study: its title, and the pmids of its publications."""

    gse: str
    title: str
    pmids: tuple[str, ...]
    source: str


@dataclass
class Geo:
    """Samples by GSM and series by GSE."""

    samples: dict[str, Sample] = field(default_factory=dict)
    series: dict[str, Series] = field(default_factory=dict)

    def add(self, record: Sample | Series) -> None:
        """Add a record; one that is there already must say the same, but for the series that a sample is in."""
        if isinstance(record, Series):
            old = self.series.setdefault(record.gse, record)
            if (old.title, old.pmids) != (record.title, record.pmids):
                raise DataError(f"{record.source}: {record.gse} differs from {old.source}; pass one of the files")
            return
        old = self.samples.setdefault(record.gsm, record)
        if replace(record, series=old.series, source=old.source) != old:
            raise DataError(f"{record.source}: {record.gsm} differs from {old.source}; pass one of the files")
        self.samples[record.gsm] = replace(old, series=tuple(dict.fromkeys(old.series + record.series)))


Attributes = Mapping[str, list[str]]  # what follows "!Sample_" or "!Series_" → the values, in the file's order


def read_geo(paths: Iterable[str | Path]) -> Geo:
    """Read GEO files of any of the three kinds, plain or gzip.

    Parameters
    ----------
    paths
        ``GSE…_series_matrix.txt``, ``GSE…_family.soft``, or CSV or TSV tables with a column ``Accession`` (or
        ``geo_accession``, ``gsm``, ``gse``) and any of ``Taxonomy`` (``organism``, ``organism_ch1``), ``Series``
        (``series_id``), ``characteristics`` (``characteristics_ch1``), ``tissue``, ``organ``, ``Title``, ``PubMed ID``.

    Raises
    ------
    DataError
        If a file is of another kind or damaged, or contradicts another; the error names file and line.
    """
    geo = Geo()
    for path in paths:
        for record in _records(path):
            geo.add(record)
    return geo


def _records(path: str | Path) -> Iterator[Sample | Series]:
    lines = ((number, text) for number, text in read_lines(path) if text.strip())
    first = next(lines, (1, ""))
    if first[1].startswith("^"):
        records = list(_soft(path, chain([first], lines)))
    elif first[1].startswith(("!Series_", "!Sample_")):
        records = list(_matrix(path, chain([first], lines)))
    elif first[1].startswith(("#", "!")):
        raise DataError(f"{path}: line {first[0]} begins with {first[1][:30]!r}; expected {KINDS}")
    else:
        records = list(map(_from_row, read_table(path, by_hand=True)[1]))
    if not records:
        raise DataError(f"{path}: has no sample and no series in it (a platform's file?); expected {KINDS}")
    yield from records


def _soft(path: str | Path, lines: Iterable[tuple[int, str]]) -> Iterator[Sample | Series]:
    """Read SOFT: ``^SAMPLE = GSM1`` begins an entity, ``!Sample_title = …`` says something of it."""
    kind, name, source, attributes = "", "", "", {}
    for number, text in chain(lines, [(0, "^END = ")]):
        if text.startswith("^"):
            if kind in ("^SAMPLE", "^SERIES"):
                yield _record(name, attributes, source)
            kind, _, name = (part.strip() for part in text.partition("="))
            kind, source, attributes = kind.upper(), f"{path}: line {number}", {}
        elif text.startswith("!") and " = " in text:
            key, _, value = text.partition(" = ")
            attributes.setdefault(_key(key), []).append(value.strip())


def _matrix(path: str | Path, lines: Iterable[tuple[int, str]]) -> Iterator[Sample | Series]:
    """Read the head of a series matrix: a line an attribute, with a quoted cell for each sample."""
    series, samples, number = {}, [], 1
    for number, text in lines:
        if text.startswith("!series_matrix_table_begin"):
            break
        key, *cells = (_unquote(cell) for cell in text.split("\t"))
        if key.startswith("!Series_"):
            series.setdefault(_key(key), []).extend(cells)
        elif key.startswith("!Sample_"):
            samples = samples or [{} for _ in cells]
            if len(cells) != len(samples):
                raise DataError(f"{path}: line {number}: {key} has {len(cells)} cells for {len(samples)} samples")
            for sample, cell in zip(samples, cells):
                sample.setdefault(_key(key), []).append(cell)
    gse = series.get("geo_accession", [""])[0]
    yield _record(gse, series, f"{path}: line 1")
    if not any("geo_accession" in sample for sample in samples):
        raise DataError(f"{path}: line {number}: the file ends without !Sample_geo_accession; was it cut off?")
    for column, sample in enumerate(samples, 2):
        source = f"{path}: column {column}"
        yield _record(sample["geo_accession"][0], {"series_id": [gse]} | sample, source)


def _from_row(row: Row) -> Sample | Series:
    attributes = {
        "title": [row.told("title")],
        "pubmed_id": [row.told("pubmed id", "pubmed_id", "pmid")],
        "series_id": re.findall(r"GSE\d+", row.told("series", "series_id", "gse")),
        "organism_ch1": re.split(r"\s*[;,]\s*", row.told("taxonomy", "organism", "organism_ch1", "species")),
        "characteristics_ch1": [f"{key}: {row.told(key)}" for key in ORGAN_FIELDS if row.told(key)]
        # one cell has them all: "tissue: skin, left leg, age: 3"; a comma ends a value where a key follows
        or re.split(r"\s*[,;|\t]\s*(?=[^:,;|\t]+:)", row.told("characteristics", "characteristics_ch1")),
    }
    return _record(row.told(*ACCESSION), attributes, row.source)


def _record(accession: str, attributes: Attributes, source: str) -> Sample | Series:
    """Make a sample or a series, as the accession says, from its attributes."""
    if re.fullmatch(r"GSM\d+", accession):
        organisms = chain(*(attributes.get(f"organism_ch{channel}", ()) for channel in (1, 2)))
        series = tuple(attributes.get("series_id", ()))
        tissues, organs = (_of_field(attributes, name) for name in ORGAN_FIELDS)
        return Sample(accession, series, _distinct(organisms), tissues, organs, source)
    if re.fullmatch(r"GSE\d+", accession):
        pmids = " ".join(attributes.get("pubmed_id", ()))
        return Series(accession, attributes.get("title", [""])[0], _distinct(re.findall(r"\d+", pmids)), source)
    raise DataError(f"{source}: {accession!r} is no accession of a sample (GSM…) or a series (GSE…); expected {KINDS}")


def _of_field(attributes: Attributes, field: str) -> tuple[str, ...]:
    """Return the values of a field in the characteristics of both channels."""
    found = []
    for channel in (1, 2):
        for entry in attributes.get(f"characteristics_ch{channel}", ()):
            key, _, value = entry.partition(":")
            if key.strip().lower() == field:
                found.append(value.strip())
    return _distinct(found)


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))


def _key(text: str) -> str:
    return text.partition("_")[2].strip().lower()


def _unquote(cell: str) -> str:
    cell = cell.strip()
    return cell[1:-1].replace('""', '"') if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell
