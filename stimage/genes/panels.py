"""A panel: an ordered list of named genes, whose counts make a dense vector."""

import hashlib
import json
import reprlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from stimage.core.errors import DataError, one_line, shown
from stimage.genes.names import Naming, is_ensembl, places_among, rename_genes

YAML = (".yaml", ".yml")
PANEL_SUFFIXES = (".json", *YAML)


@dataclass(frozen=True)
class Panel:
    """An ordered list of unique gene names, and a table for slides that name these genes otherwise."""

    genes: tuple[str, ...]
    gene_table: str | None = None
    made: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        _check(self.genes, "panel")

    @classmethod
    def read(cls, value: "Panel | Sequence[str] | str | Path", gene_table: str | None = None) -> "Panel":
        """Return a panel from a user's value.

        Parameters
        ----------
        value
            A panel, gene names, or the path of a file of them: JSON or YAML with the key "genes", or text with a name
            per line.
        gene_table
            A table of symbols and Ensembl ids; see `stimage.genes.names.read_gene_table`.
        """
        if isinstance(value, Panel):
            return value
        if not isinstance(value, str | Path | Iterable):
            raise ValueError(f"panel={value!r}: pass a Panel, a list of gene names, or a file of them")
        genes = _read(Path(value)) if isinstance(value, str | Path) else value
        return cls(tuple(map(str, genes)), gene_table)

    @property
    def naming(self) -> Naming | None:
        """The naming of slides' genes: Ensembl ids if the panel has them, symbols otherwise."""
        kind = "ensembl" if all(map(is_ensembl, self.genes)) else "symbol"
        return Naming(self.gene_table, kind) if self.gene_table else None

    def places_in(self, genes: Sequence[str], source: str, species: str | None = None) -> np.ndarray:
        """Return, for each gene of a slide, its place in the panel (int64), -1 if it has none.

        With a gene table, several genes may have the same place: their counts are then added.

        Raises
        ------
        DataError
            If the slide lacks genes of the panel; the error names them.
        """
        names, target = rename_genes(genes, self.naming, species, source)
        there = set(names)
        if missing := [gene for gene in self.genes if gene not in there]:
            remedy = "leave them out of the panel, or leave the slide out (the builder's on_mismatch='drop' does)"
            written = {name.casefold(): name for name in names}
            if cased := [written[gene.casefold()] for gene in missing if gene.casefold() in written]:
                remedy = f"it has {shown(cased, 10)}: write genes as the slide does, or {remedy}"
            if len(missing) == len(self.genes):
                remedy = f"it has {names[0]!r}: are the species and the kind of names the same? (see gene_table=)"
            raise DataError(
                f"{source}: lacks {len(missing)} of the panel's {len(self.genes)} genes: {shown(missing, 10)}; {remedy}"
            )
        return places_among(self.genes, names, target)


def write_panel(path: Path, genes: Sequence[str], made: Mapping[str, object]) -> None:
    """Write a panel file with the genes, how they were chosen, and a digest of both: YAML or JSON, by its suffix."""
    record = {"genes": list(Panel(tuple(genes)).genes), **made}
    record["sha256"] = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    if path.suffix in YAML:
        text = yaml.safe_dump(record, sort_keys=False, allow_unicode=True)
    else:
        text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")


def chosen_on(path: str | Path) -> set[str]:
    """Return the slides whose counts chose the genes of a panel file; none for a user's list, or if it names none."""
    path = Path(path)
    if path.suffix not in PANEL_SUFFIXES:
        return set()
    text = path.read_text(encoding="utf-8-sig")
    record = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    slides = record.get("slides")
    if record.get("method") == "list" or not isinstance(slides, list):
        return set()
    return {slide for slide in slides if isinstance(slide, str)}


def _check(genes: Sequence[str], source: str | Path) -> None:
    if not genes:
        raise DataError(f"{source}: is empty; name at least one gene")
    gene, times = Counter(genes).most_common(1)[0]
    if times > 1:
        raise DataError(f"{source}: names gene {gene!r} {times} times; name each once")


def _read(path: Path) -> list[str]:
    genes = _parse(path)
    if not isinstance(genes, list) or not all(isinstance(gene, str) for gene in genes):
        raise DataError(
            f"{path}: under the key 'genes' is no list of names: {reprlib.repr(genes)}; put each name in quotes"
        )
    _check(genes, path)
    return genes


def _parse(path: Path) -> object:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix not in PANEL_SUFFIXES:
            return [line.strip() for line in text.splitlines() if line.strip()]
        return (json.loads(text) if path.suffix == ".json" else yaml.safe_load(text))["genes"]
    except OSError as error:
        remedy = "name a file, or in Python pass the names of genes as a list"
        raise DataError(f"{path}: can't be read as a panel ({one_line(error)}); {remedy}") from None
    except (ValueError, KeyError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise DataError(
            f"{path}: is no panel; expected JSON or YAML with names under the key 'genes', or UTF-8 text with a name a "
            f"line ({one_line(error)})"
        ) from None
