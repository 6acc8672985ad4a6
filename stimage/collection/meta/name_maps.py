"""The curator's maps: Latin to common names of species, GEO's to our names of tissues, and tissues of whole studies.

They are CSV files: a curator edits them as a table, and each error has a line (of two same keys YAML forgets one).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from stimage.core.errors import DataError
from stimage.core.tables import read_table

SHIPPED = Path(__file__).parent / "maps"
SPECIES, TISSUES, STUDIES = "species.csv", "tissues.csv", "tissue_of_study.csv"


@dataclass(frozen=True)
class Maps:
    """What the files of a maps folder say.

    ``species`` and ``tissues`` map what is written, in lower case, to the meta file's word, which is also mapped to
    itself; ``studies`` maps an accession, GSE or GSM, to a tissue.
    """

    folder: Path
    species: dict[str, str]
    tissues: dict[str, str]
    studies: dict[str, str]

    def species_of(self, written: Iterable[str]) -> str:
        """Return the common name of one or more species, as "human & mouse".

        Raises
        ------
        KeyError
            With the first name that the map lacks.
        """
        return " & ".join(sorted({self.species[_plain(name)] for text in written for name in text.split("&")}))

    def tissue_of(self, written: str) -> str:
        """Return the meta file's word for a tissue; raises KeyError as `species_of` does."""
        return self.tissues[_plain(written)]


def read_maps(folder: str | Path = SHIPPED) -> Maps:
    """Read species.csv (written, species), tissues.csv (written, tissue), tissue_of_study.csv (accession, tissue).

    Parameters
    ----------
    folder
        The folder that has the three files; the project's own by default.

    Raises
    ------
    DataError
        If a file is missing, a cell is empty, a name is mapped twice, or a study's tissue is none of tissues.csv.
    """
    folder = Path(folder)
    tissues = _read(folder / TISSUES, "written", "tissue")
    studies = _read(folder / STUDIES, "accession", "tissue", ("why",))
    for accession, (tissue, source) in studies.items():
        if not re.fullmatch(r"gs[em]\d+", accession):
            raise DataError(f"{source}: {accession!r} is no accession; expected GSE… or GSM…")
        if tissue not in {word for word, _ in tissues.values()}:
            raise DataError(f"{source}: tissue {tissue!r} is none of {folder / TISSUES}; add it there")
    return Maps(
        folder,
        _with_words(_read(folder / SPECIES, "written", "species")),
        _with_words(tissues),
        {accession.upper(): tissue for accession, (tissue, _) in studies.items()},
    )


def _read(path: Path, key: str, word: str, more: tuple[str, ...] = ()) -> dict[str, tuple[str, str]]:
    """Return the word for each written name, and the line that maps it."""
    found = {}
    for row in read_table(path, (key, word), (key, word, *more), by_hand=True)[1]:
        name, value = _plain(row.told(key)), row.told(word)
        if not name or not value:
            raise DataError(f"{row.source}: {key} or {word} is empty; write both, or remove the line")
        if name in found:
            raise DataError(f"{row.source}: {name!r} is also in {found[name][1]}; remove one")
        found[name] = value, row.source
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
