"""Check an existing meta file against the maps and the rule for cancer."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from stimage.collection.meta.name_maps import SPECIES, TISSUES, Maps
from stimage.collection.meta.publications import TEXTS, involves_cancer
from stimage.core.errors import DataError
from stimage.core.tables import Row, read_table
from stimage.slides.catalog import TECHS
from stimage.slides.meta_file import META_COLUMNS, RAW_COLUMN, SCALE_COLUMNS
from stimage.slides.names import fold_name
from stimage.slides.scale.given import read_um_per_px


@dataclass(frozen=True)
class Difference:
    """A cell of a meta file that is not what it should be; ``source`` has file and line."""

    source: str
    slide: str
    column: str
    reason: str


@dataclass(frozen=True)
class MetaCheck:
    """The number of rows that were checked, and the differences."""

    rows: int
    differences: tuple[Difference, ...]


def check_meta(path: str | Path, maps: Maps) -> MetaCheck:
    """Check every row of a meta file.

    A slide may occur only once. Species and tissue must be words of the maps. involve_cancer must be the value that
    title, abstract and keywords give. tech, pmid, spot_num and gene_num must be of their kinds.

    Raises
    ------
    DataError
        If the file is not a table with exactly the data set's columns, and optionally those of a scale and tissue_raw.
    """
    rows = read_table(path, META_COLUMNS[: -len(SCALE_COLUMNS)], (*META_COLUMNS, RAW_COLUMN), by_hand=True)[1]
    differences, first = [], {}
    for row in rows:
        name = row.told("slide")
        faults = list(_faults(row, maps))
        if old := first.setdefault(fold_name(name), row.source) if name else "":
            faults += [("slide", f"is also in {old}")] if old != row.source else []
        differences += [Difference(row.source, name, column, reason) for column, reason in faults]
    return MetaCheck(len(rows), tuple(differences))


def _faults(row: Row, maps: Maps) -> Iterator[tuple[str, str]]:
    species, tissue, cancer, tech = map(row.told, ("species", "tissue", "involve_cancer", "tech"))
    if not row.told("slide"):
        yield "slide", "is empty"
    if not _is_word(lambda: maps.species_of([species]), species):
        yield "species", f"{species!r} is no word of {maps.folder / SPECIES}"
    if not _is_word(lambda: maps.tissue_of(tissue), tissue):
        yield "tissue", f"{tissue!r} is no word of {maps.folder / TISSUES}"
    if (found := str(involves_cancer(*map(row.told, TEXTS)))) != cancer:
        yield "involve_cancer", f"is {cancer!r}, but title, abstract and keywords give {found}"
    if tech not in TECHS:
        yield "tech", f"{tech!r} is none of {', '.join(TECHS)}"
    if (pmids := row.told("pmid")) and not all(pmid.isdecimal() for pmid in pmids.split(",")):
        yield "pmid", f"{pmids!r} is no list of numbers with commas"
    if fault := _scale_fault(row):
        yield fault
    for column in ("spot_num", "gene_num"):
        if not row.told(column).isdecimal() or not int(row.told(column)):
            yield column, f"{row.told(column)!r} is no number above 0"


def _scale_fault(row: Row) -> tuple[str, str] | None:
    try:
        given = read_um_per_px(row.told("um_per_px"), "")
    except DataError:
        return "um_per_px", f"{row.told('um_per_px')!r} is no number above 0"
    if row.told("um_per_px_source") and given is None:
        return "um_per_px_source", "names who gives a scale, but um_per_px is empty"
    return None


def _is_word(look_up: Callable[[], str], written: str) -> bool:
    try:
        return look_up() == written
    except KeyError:
        return False
