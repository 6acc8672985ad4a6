"""The curator's maps: Latin to common names of species, GEO's to our names of tissues, and tissues of whole studies.

They are CSV files: a curator edits them as a table, and each error has a line. (YAML forgets one of two equal keys.)
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from stimage.core.errors import DataError
from stimage.core.tables import Row, read_table

SHIPPED = Path(__file__).parent / "maps"
SPECIES, TISSUES, STUDIES = "species.csv", "tissues.csv", "tissue_of_study.csv"
ALWAYS, IF_NONE, ORGAN = "", "if none", "organ"


@dataclass(frozen=True)
class StudyTissue:
    """The tissue of a study's samples, by one of three rules.

    Always ``tissue``; or ``tissue`` if a sample names "none"; or no ``tissue`` but what the field "organ" names.
    """

    tissue: str = ""
    rule: str = IF_NONE


@dataclass(frozen=True)
class Maps:
    """The content of a maps folder.

    ``species`` and ``tissues`` map a written name, in lower case, to the meta file's word, which is also mapped to
    itself. ``studies`` maps an accession, GSE or GSM, to its tissue.
    """

    folder: Path
    species: dict[str, str]
    tissues: dict[str, str]
    studies: dict[str, StudyTissue]

    def species_of(self, written: Iterable[str]) -> str:
        """Return the common name of one or more species, as "human & mouse"; a text may name several, joined by & or ;.

        Raises
        ------
        KeyError
            With the first name that the map lacks.
        """
        return " & ".join(sorted({self.species[_plain(name)] for text in written for name in re.split("[&;]", text)}))

    def tissue_of(self, written: str) -> str:
        """Return the meta file's word for a tissue; raises KeyError as `species_of` does."""
        return self.tissues[_plain(written)]


def read_maps(folder: str | Path = SHIPPED) -> Maps:
    """Read species.csv (written, species), tissues.csv (written, tissue) and tissue_of_study.csv (accession, tissue).

    Parameters
    ----------
    folder
        The folder with the three files; by default the project's own. The third file may also have the columns rule
        ("if none", "organ" or empty, see `StudyTissue`) and why.

    Raises
    ------
    DataError
        If a file is missing, a cell is empty, a name is mapped twice, a rule is unknown, or the tissue of a study is
        not in tissues.csv.
    """
    folder = Path(folder)
    tissues = _read(folder / TISSUES, "written", "tissue")
    return Maps(
        folder,
        _with_words(_read(folder / SPECIES, "written", "species")),
        _with_words(tissues),
        _read_studies(folder, {word for word, _ in tissues.values()}),
    )


def note_on_species(species: str) -> str:
    """Say what will not work for a slide of this species, as the shipped map lacks it or has another word for it.

    Returns
    -------
    str
        "" for a word of the map, several of them joined by & or ;, and for no species at all.
    """
    known = read_maps().species
    for name in filter(None, map(str.strip, re.split("[&;]", species))):
        word = known.get(_plain(name))
        if word is None:
            near = difflib.get_close_matches(_plain(name), known, 1, 0.7)
            hint = f"did you mean {known[near[0]]!r}? Otherwise " if near else ""
            return (f"species= (--species): {name!r} is no word of {SPECIES}; {hint}the names of its genes are not "
                    "checked, and filters and gene tables must call it exactly so")  # fmt: skip
        if word != name:
            return (f"species= (--species): {name!r} is called {word!r} in the data set; pass that, or the filter "
                    f"species={word} (--species {word}) leaves this slide out")  # fmt: skip
    return ""


def _read_studies(folder: Path, tissues: set[str]) -> dict[str, StudyTissue]:
    """Return the tissue of each accession."""
    studies = {}
    for accession, row in _rows(folder / STUDIES, "accession", "tissue", ("rule", "why")).items():
        tissue, rule = row.told("tissue"), _plain(row.told("rule"))
        if not re.fullmatch(r"gs[em]\d+", accession):
            raise DataError(f"{row.source}: {accession!r} is no accession; expected GSE… or GSM…")
        if rule not in (ALWAYS, IF_NONE, ORGAN):
            raise DataError(f"{row.source}: rule is {rule!r}; write {IF_NONE!r}, {ORGAN!r} or nothing")
        if rule == ORGAN and tissue:
            raise DataError(f"{row.source}: the rule {ORGAN!r} takes no tissue, but {tissue!r} is given; remove one")
        if rule != ORGAN and tissue not in tissues:
            raise DataError(f"{row.source}: tissue {tissue!r} is none of {folder / TISSUES}; add it there")
        studies[accession.upper()] = StudyTissue(tissue, rule)
    return studies


def _read(path: Path, key: str, word: str) -> dict[str, tuple[str, str]]:
    """Return the word for each written name, and the line that maps it."""
    found = {}
    for name, row in _rows(path, key, word).items():
        if not (value := row.told(word)):
            raise DataError(f"{row.source}: {word} is empty; write it, or remove the line")
        found[name] = value, row.source
    return found


def _rows(path: Path, key: str, word: str, more: tuple[str, ...] = ()) -> dict[str, Row]:
    """Return the row of each name in the column ``key``."""
    found = {}
    for row in read_table(path, (key, word), (key, word, *more), by_hand=True)[1]:
        name = _plain(row.told(key))
        if not name:
            raise DataError(f"{row.source}: {key} is empty; write it, or remove the line")
        if name in found:
            raise DataError(f"{row.source}: {name!r} is also in {found[name].source}; remove one")
        found[name] = row
    return found


def _with_words(found: dict[str, tuple[str, str]]) -> dict[str, str]:
    """Map each word to itself; a word may not be mapped to another."""
    mapped = {name: word for name, (word, _) in found.items()}
    for word, source in found.values():
        if mapped.setdefault(_plain(word), word) != word:
            raise DataError(f"{source}: {word!r} is itself mapped to {mapped[_plain(word)]!r}; map to that")
    return mapped


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
