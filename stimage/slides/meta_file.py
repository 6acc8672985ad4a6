"""The meta file of a root: the choice among several, and its rows."""

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime

from stimage.core.access import OPEN, Access
from stimage.core.errors import DataError
from stimage.core.storage import list_folder
from stimage.core.tables import read_table
from stimage.slides.names import by_slide, check_name
from stimage.slides.scale.given import read_um_per_px

META_FILE = "meta_all_gene.csv"  # how it is called without a date
DATED = re.compile(r"meta_all_gene(\d*)\.csv")
NEEDED = ("slide", "species", "tissue", "pmid", "involve_cancer")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MetaRow:
    """A row of the meta file; the fields are its columns, in order, as text."""

    slide: str
    species: str = ""
    tissue: str = ""
    pmid: str = ""
    title: str = ""
    abstract: str = ""
    keywords: str = ""
    involve_cancer: str = ""
    tech: str = ""
    spot_num: str = ""
    gene_num: str = ""
    um_per_px: str = ""
    um_per_px_source: str = ""
    tissue_raw: str = ""


RAW_COLUMN = "tissue_raw"  # what the sources call the tissue; only a file that is asked for it has the column
META_COLUMNS = tuple(f.name for f in fields(MetaRow) if f.name != RAW_COLUMN)
SCALE_COLUMNS = META_COLUMNS[-2:]  # which only files with a scale have


def newest_meta(names: Iterable[str], source: str) -> str | None:
    """Return the newest of the meta files among these names of files, or None.

    The data set's authors put the date behind the name, as MMDDYYYY (``meta_all_gene02122025.csv``). A file without a
    date is older than any with one.

    Raises
    ------
    DataError
        If the number in a name is not a date.
    """
    dated = {name: _date(name, found[1], source) for name in names if (found := DATED.fullmatch(name))}
    return max(dated, key=dated.__getitem__, default=None)


def find_meta(root: str, access: Access = OPEN) -> tuple[str, str] | None:
    """Return the path below the root, and the path or URL, of the meta file to read, or None."""
    files = list_folder(root, "meta", access)
    name = newest_meta(files, f"{root}/meta")
    for other in files:
        if other.lower().startswith("meta_all_gene") and not DATED.fullmatch(other):
            log.warning(
                "%s/meta/%s: is not read; a meta file is called %s or meta_all_geneMMDDYYYY.csv", root, other, META_FILE
            )
    return (f"meta/{name}", files[name]["url"]) if name else None


def read_meta(url: str, access: Access = OPEN) -> dict[str, Mapping[str, str]]:
    """Return the rows of a meta file by folded slide name.

    Raises
    ------
    DataError
        If a column is missing, a name is not allowed or occurs twice, involve_cancer is neither True nor False, or
        um_per_px is not a number above 0.
    """
    _, table = read_table(url, NEEDED, access=access)
    for number, row in enumerate(table, 1):
        place = f"{url}: row {number}"
        check_name(row["slide"], place)
        if row["involve_cancer"] not in ("True", "False", ""):
            raise DataError(f"{place}: involve_cancer is {row['involve_cancer']!r}; write True, False or nothing")
        read_um_per_px(row.get("um_per_px", ""), place)
    return by_slide(table, url)


def read_collection(meta: str) -> list[tuple[str, str, str, int]]:
    """Return technology, species, tissue and number of spots of each slide in a meta file, by technology.

    Raises
    ------
    DataError
        If the file lacks these columns, or a number of spots is not a number.
    """
    _, rows = read_table(meta, ["species", "tech", "tissue", "spot_num"])
    for number, row in enumerate(rows, 1):
        if not row["spot_num"].isdecimal():
            raise DataError(f"{meta}: row {number}: spot_num is {row['spot_num']!r}; write the number of spots")
    slides = [(row["tech"], row["species"], row["tissue"], int(row["spot_num"])) for row in rows]
    return sorted(slides, key=lambda slide: slide[0])  # ST, Visium, VisiumHD


def _date(name: str, digits: str, source: str) -> date:
    try:
        if len(digits) not in (0, 8):
            raise ValueError
        return datetime.strptime(digits, "%m%d%Y").date() if digits else date.min
    except ValueError:
        raise DataError(
            f"{source}/{name}: its number is no date MMDDYYYY, so the newest meta file cannot be told; rename it"
        ) from None
