"""Gene names across slides: symbols and Ensembl ids, by a table that the user names; none is shipped.

Such tables are 10x's ``features.tsv(.gz)``, or an export of Ensembl's BioMart (CSV or TSV with a header).
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from stimage.core.errors import DataError, shown
from stimage.core.storage import file_state
from stimage.core.tables import read_cells

# a gene's id, its version, and what scanpy's var_names_make_unique adds to the second of two
ENSEMBL = re.compile(r"(ENS[A-Z]*G\d{9,})(\.\d+)?(-\d+)?")
HEADS = {  # what columns are called, in lower case, without blanks and underscores
    "id": ("ensemblid", "genestableid", "ensemblgeneid", "geneid", "id"),
    "symbol": ("symbol", "genename", "hgncsymbol", "mgisymbol", "externalgenename", "name"),
    "species": ("species", "organism"),
}
NAME_KINDS = ("symbol", "ensembl")


def is_ensembl(name: str) -> bool:
    """Return whether a gene's name is an Ensembl id, of any species, with or without a version."""
    return ENSEMBL.fullmatch(name) is not None


@dataclass(frozen=True)
class GeneTable:
    """Ensembl id (without version) → symbol, of one species, and symbol → its ids in the table's order."""

    path: str
    symbols: dict[str, str]
    ids: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class GeneRenaming:
    """Where each gene of a slide goes: ``names`` are the new ones, ``target`` each gene's place in them, -1 if lost.

    The report: how many genes were ``mapped`` to another name, were so named already (``kept``), share a new name
    (``merged``: their counts are added), and which were ``lost``, as the table does not have them.
    """

    names: tuple[str, ...]
    target: np.ndarray
    mapped: int
    kept: int
    merged: dict[str, tuple[str, ...]]
    lost: tuple[str, ...]

    def rows(self, genes: Sequence[str]) -> Iterator[tuple[str, str, str]]:
        """Yield each gene, its new name, and what became of it."""
        for gene, place in zip(genes, self.target):
            name = self.names[place] if place >= 0 else ""
            merged = "merged" if name in self.merged else "kept" if name == gene else "mapped"
            yield gene, name, merged if name else "lost"

    def report(self) -> str:
        """Say in a line what became of the genes."""
        merged = sum(map(len, self.merged.values()))
        text = f"{self.mapped} mapped, {self.kept} kept, {merged} merged into {len(self.merged)}, {len(self.lost)} lost"
        return text + (f" ({shown(self.lost, 5)})" if self.lost else "")


def read_gene_table(path: str | Path, species: str | None = None) -> GeneTable:
    """Read a table of Ensembl ids and symbols, plain or gzip, comma- or tab-separated.

    Parameters
    ----------
    path
        A table with a header that names an id and a symbol column (and, for several species, one for the species); or a
        table without a header, as 10x's features.tsv: id, symbol.
    species
        The species whose rows are taken, if the table has a species column.

    Raises
    ------
    DataError
        If a column is missing, an id is malformed, one id has two symbols, no row is of the species, or one of several
        species must be named. The error names the line.
    """
    rows = list(read_cells(path, comment="#"))
    if not rows:
        raise DataError(f"{path}: has no row; expected Ensembl ids and symbols")
    at, rows = _columns(path, rows)
    symbols, ids, others = {}, {}, set()
    for number, cells in rows:
        source = f"{path}: line {number}"
        if len(cells) <= max(at.values()):
            raise DataError(f"{source}: has {len(cells)} cells; is the row cut off?")
        if "species" in at and (of := cells[at["species"]].strip()).lower() != (species or "").lower():
            others.add(of)
            continue
        gene, symbol = cells[at["id"]].strip(), cells[at["symbol"]].strip()
        if not (bare := _bare(gene)):
            raise DataError(f"{source}: {gene!r} is no Ensembl id of a gene")
        symbol = symbol if symbol and symbol != gene else bare
        if symbols.setdefault(bare, symbol) != symbol:
            raise DataError(f"{source}: {bare} is {symbol!r} here and {symbols[bare]!r} before; keep one")
        ids[symbol] = tuple(dict.fromkeys((*ids.get(symbol, ()), bare)))
    if not symbols:
        remedy = (
            f"if one of these is the same species, call it {species!r} in the table"
            if species
            else "add the slide's species to the meta file"
        )
        raise DataError(
            f"{path}: has no gene of the species {species!r}, only of {', '.join(sorted(others))}; {remedy}"
        )
    return GeneTable(str(path), symbols, ids)


def titles_of(genes: Sequence[str], gene_table: str | None, species: str | None) -> list[str]:
    """Return what genes are called in a picture: symbols, beside Ensembl ids that the table knows."""
    if not gene_table:
        return list(genes)
    symbols = kept_gene_table(gene_table, species).symbols
    named = [symbols.get(gene.partition(".")[0], gene) for gene in genes]
    return [gene if name == gene else f"{name} ({gene})" for name, gene in zip(named, genes)]


@dataclass(frozen=True)
class Naming:
    """The kind of names that genes get, "symbol" or "ensembl", by the table at ``path``."""

    path: str
    to: str

    def __post_init__(self) -> None:
        if self.to not in NAME_KINDS:
            raise ValueError(f"to={self.to!r}: pass one of {NAME_KINDS}")

    def rename(self, genes: Sequence[str], species: str | None, source: str) -> GeneRenaming:
        """Map a slide's genes by the table's rows for the slide's species; see `map_genes`."""
        return map_genes(genes, kept_gene_table(self.path, species), self.to, source)


def rename_genes(
    genes: Sequence[str], naming: Naming | None, species: str | None, source: str
) -> tuple[Sequence[str], np.ndarray]:
    """Return the new names of a slide's genes, each once, and the place of each gene among them, -1 if it is lost.

    ``source`` is the slide's count file, for the error.
    """
    if naming is None:
        return genes, np.arange(len(genes))
    found = naming.rename(genes, species, source)
    return found.names, found.target


def places_among(wanted: Sequence[str], names: Sequence[str], target: np.ndarray) -> np.ndarray:
    """Return the place (int64) of each of a slide's genes among the wanted names, or -1; see `rename_genes`."""
    place = {name: i for i, name in enumerate(wanted)}
    return np.array([*(place.get(name, -1) for name in names), -1])[target]


def map_genes(genes: Sequence[str], table: GeneTable, to: str, source: str) -> GeneRenaming:
    """Give a slide's genes names of one kind.

    The rule: an Ensembl id loses its version; a symbol with several ids takes the table's first; genes that come to
    the same name are merged, that is, their counts are added; a gene that the table lacks is lost, unless it is of the
    wanted kind already.

    Parameters
    ----------
    to
        "symbol" or "ensembl".
    source
        The slide's count file, for the error.

    Raises
    ------
    DataError
        If the table knows none of the genes: it is of another species.
    """
    new = [_rename(gene, table, to) for gene in genes]
    known = [gene for gene in genes if _bare(gene) in table.symbols or gene in table.ids]
    if not known:
        raise DataError(
            f"{source}: the gene table {table.path} has none of the slide's {len(genes)} genes, such as {genes[0]!r}; "
            "pass a table of the slide's species as gene_table= (--gene-table)"
        )
    names = tuple(dict.fromkeys(name for name in new if name))
    place = {name: i for i, name in enumerate(names)}
    times = Counter(name for name in new if name)
    merged = {name: tuple(g for g, n in zip(genes, new) if n == name) for name, n in times.items() if n > 1}
    return GeneRenaming(
        names,
        np.array([place[name] if name else -1 for name in new], np.int64),
        sum(bool(name) and name != gene for gene, name in zip(genes, new)),
        sum(name == gene for gene, name in zip(genes, new)),
        merged,
        tuple(gene for gene, name in zip(genes, new) if not name),
    )


def kept_gene_table(path: str, species: str | None) -> GeneTable:
    """Return what `read_gene_table` does, from memory if the file has not changed since."""
    return _table(path, species, Path(path).exists() and file_state(path))


@lru_cache(maxsize=8)
def _table(path: str, species: str | None, _changed: object) -> GeneTable:
    return read_gene_table(path, species)


def _rename(gene: str, table: GeneTable, to: str) -> str | None:
    bare = _bare(gene)
    if to == "ensembl":
        return bare or next(iter(table.ids.get(gene, ())), None)
    return table.symbols.get(bare) if bare else gene


def _bare(gene: str) -> str | None:
    """Return an Ensembl id without its version, None for other names."""
    found = ENSEMBL.fullmatch(gene)
    return found[1] if found and not found[3] else None


def _columns(path: str | Path, rows: list[tuple[int, list[str]]]) -> tuple[dict[str, int], list]:
    """Return where the columns are, and the rows of genes, without the header and without 10x's antibodies."""
    number, first = rows[0]
    if is_ensembl(first[0].strip()) and len(first) > 1:
        return {"id": 0, "symbol": 1}, [row for row in rows if row[1][2:3] in ([], ["Gene Expression"])]
    heads = [re.sub(r"[\s_]+", "", cell).lower() for cell in first]
    at = {what: next((heads.index(n) for n in names if n in heads), None) for what, names in HEADS.items()}
    for what in ("id", "symbol"):
        if at[what] is None:
            raise DataError(f"{path}: line {number}: has no column for the {what}; it may be called {HEADS[what]}")
    return {what: place for what, place in at.items() if place is not None}, rows[1:]
