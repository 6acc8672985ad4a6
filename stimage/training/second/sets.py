"""Sets of genes with their counts in spots, and the genes that each slide measured."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from stimage.core.errors import DataError
from stimage.genes.measured import measured_in_folder, measured_in_root
from stimage.genes.names import Naming, is_ensembl, rename_genes
from stimage.loading.sources import Source
from stimage.loading.tensors import SpotBatch
from stimage.slides.catalog import Slide
from stimage.towers.joint.gene_inputs import bare_name, check_counts, check_known, places_among_genes, set_inputs
from stimage.training.second.spot_tables import SecondInput, SpotTable, rows_of

Renamed = tuple[Sequence[str], np.ndarray]  # names, and the place of each gene of the data among them, or -1


@dataclass(frozen=True, eq=False)
class GeneSets(SecondInput):
    """Of each spot, its genes and counts, and which genes its slide measured.

    Attributes
    ----------
    genes
        The vocabulary by name: of the tower.
    kinds, places
        The row of ``places`` for each slide; there, the place of each gene of the data among ``genes``, or -1.
    measured
        Which of ``genes`` each slide measured.
    """

    source: str
    genes: tuple[str, ...]
    kinds: Mapping[str, int]
    places: np.ndarray
    measured: Mapping[str, np.ndarray]
    notes: tuple[str, ...] = ()

    @cached_property
    def merged(self) -> bool:
        """Whether two genes of the data may be one of the vocabulary."""
        return any(np.bincount(row[row >= 0]).max(initial=0) > 1 for row in self.places)

    def __call__(self, batch: SpotBatch) -> dict[str, torch.Tensor]:
        rows = rows_of(batch)
        try:
            check_counts(rows.values, self.source)
        except ValueError as error:
            raise DataError(str(error)) from None
        kind = np.array([self.kinds[name] for name in batch.slides])
        made = set_inputs(rows.indptr, self.places[kind[rows.spot], rows.columns], rows.values, self.merged)
        made["measured"] = np.stack([self.measured[name] for name in batch.slides])
        return {name: torch.from_numpy(part) for name, part in made.items()}


def gene_sets(
    source: Source,
    spots: Sequence[SpotTable],
    names: Sequence[str],
    gene_table: str | None = None,
    genes: Sequence[str] | None = None,
) -> list[GeneSets]:
    """Return the maker of the sets of genes for several tables of spots, all over one vocabulary.

    Parameters
    ----------
    spots
        Tables of spots: first the training spots.
    names
        The names of ``gene_ids``.
    gene_table
        A table of symbols and Ensembl ids, by which genes with other names on some slides are joined.
    genes
        The vocabulary of a tower that was trained before. None takes the genes of the first spots, by name.

    Raises
    ------
    DataError
        If the vocabulary has few of a slide's genes, as for another species, or a header can't be read.
    """
    of = {slide.name: slide for slide in source.catalog.slides}
    used = [of[name] for table in spots for name in table.slides]
    species = sorted({slide.species or "" for slide in used})
    renamed = [_renamed(names, gene_table, genes, one, source.location) for one in species]
    kinds = {slide.name: species.index(slide.species or "") for slide in used}
    genes = tuple(genes or _seen(spots[0], kinds, renamed))
    places = np.stack([np.append(places_among_genes(new, genes), -1)[target] for new, target in renamed])
    marks, note = _measured(source, used, spots, names)
    measured = {}
    for slide in used:
        own = places[kinds[slide.name]][marks[slide.name]]
        measured[slide.name] = np.zeros(len(genes), bool)
        measured[slide.name][own[own >= 0]] = True
        try:
            check_known(int((own >= 0).sum()), [names[i] for i in np.flatnonzero(marks[slide.name]).tolist()],
                        f"{source.location}: slide {slide.name}")  # fmt: skip
        except ValueError as error:
            raise DataError(f"{error}; leave it out by exclude=, or name a gene_table") from None
    if gene_table is None:
        note = (*note, *_named_otherwise(used, marks, names))
    return [GeneSets(source.location, genes, kinds, places, measured, note) for _ in spots]


def _named_otherwise(slides: Sequence[Slide], marks: Mapping[str, np.ndarray], names: Sequence[str]) -> Iterator[str]:
    """Yield a note of each species of which some slides have Ensembl ids, and others do not."""
    ids = np.array([is_ensembl(name) for name in names])
    kinds: dict[str, dict[bool, list[str]]] = {}
    for slide in slides:
        kind = bool(ids[marks[slide.name]].mean() > 0.5) if marks[slide.name].any() else False
        kinds.setdefault(slide.species or "", {}).setdefault(kind, []).append(slide.name)
    for found in kinds.values():
        if len(found) == 2:
            yield (f"note: {len(found[True])} slides, such as {found[True][0]}, name genes by Ensembl ids, and "
                   f"{len(found[False])}, such as {found[False][0]}, do not, so to the tower they share no gene; "
                   "data.gene_table joins them")  # fmt: skip


def _renamed(
    names: Sequence[str], gene_table: str | None, genes: Sequence[str] | None, species: str, where: str
) -> Renamed:
    """Return what the genes of the data are called, for slides of a species."""
    if gene_table is None:
        return [bare_name(name) for name in names], np.arange(len(names))
    kind = "ensembl" if genes and all(map(is_ensembl, genes)) else "symbol"
    return rename_genes(names, Naming(gene_table, kind), species or None, where)


def _seen(spots: SpotTable, kinds: Mapping[str, int], renamed: Sequence[Renamed]) -> list[str]:
    """Return the names of the genes of which some spot has a count, sorted."""
    seen = np.zeros((len(renamed), len(renamed[0][1])), bool)
    kind = np.array([kinds[name] for name in spots.slides])
    for slide, rows in spots.blocks():
        seen[kind[slide][rows.spot], rows.columns] = True
    found = ((new, target[marks].tolist()) for (new, target), marks in zip(renamed, seen))
    return sorted({new[place] for new, places in found for place in places if place >= 0})


def _measured(
    source: Source, slides: Sequence[Slide], spots: Sequence[SpotTable], names: Sequence[str]
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return which genes of the data (bool) each slide measured, and a note where this is not known for sure."""
    if not source.published:
        return measured_in_root(slides, names), ()
    if found := measured_in_folder(source.location, [one.name for one in slides], len(names), source.access):
        return found, ()
    found = {slide.name: np.zeros(len(names), bool) for slide in slides}
    for table in spots:
        for slide, rows in table.blocks():
            for k in np.unique(slide):
                found[table.slides[k]][rows.columns[(slide == k)[rows.spot]]] = True
    return found, (f"note: {source.location} does not say which genes its slides measured: those of which no spot of a "
                   "slide has a count are taken as not measured; build the folder again to have them",)  # fmt: skip
