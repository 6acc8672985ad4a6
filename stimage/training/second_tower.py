"""The second tower's input from a batch: expression from the builder, a panel's from all counts, or sentences."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import datasets
import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from stimage.core.errors import DataError
from stimage.genes.normalise import Normalisation
from stimage.genes.panels import Panel
from stimage.genes.sentences import TopGenes, top_genes
from stimage.loading.tensors import SpotBatch
from stimage.slides.counts.rows import CountRows
from stimage.training.settings.groups import Settings


def second_input(
    settings: Settings,
    table: datasets.Dataset,
    slides: Sequence[str],
    slide: np.ndarray,
    names: Sequence[str] | None,
    tokenizer: PreTrainedTokenizerBase | None,
) -> Callable[[SpotBatch], dict[str, torch.Tensor]]:
    """Return the function that makes the second tower's input from a batch.

    Parameters
    ----------
    table, slides, slide
        Spots in Arrow format, the names of their slides, and each row's place among these.
    names
        What ``gene_ids`` stand for; None if the builder made the panel's expression.

    Raises
    ------
    DataError
        If no gene of the data has a name of the panel's.
    """
    data = settings.data
    if settings.towers.second == "text":
        if names is None:
            raise DataError(f"{data.source}: has expression of a panel, and no counts to make sentences of; pass "
                            "another towers.second")  # fmt: skip
        rule = TopGenes(data.sentence_genes, data.above_mean, data.exclude_genes)
        means = _slide_means(table, slides, slide, len(names)) if rule.above_mean else None
        return Sentences(tuple(names), rule, means, tokenizer)
    if names is None:
        return dense
    panel = Panel.read(settings.panel)
    if lost := [gene for gene in panel.genes if gene not in set(names)]:
        raise DataError(f"{data.source}: lacks {len(lost)} of the panel's {len(panel.genes)} genes: "
                        f"{', '.join(lost[:10])}")  # fmt: skip
    place = {gene: i for i, gene in enumerate(panel.genes)}
    places = np.array([place.get(name, -1) for name in names])
    return PanelOfCounts(places, len(panel.genes), _medians(settings, table, slides, slide, places))


def dense(batch: SpotBatch) -> dict[str, torch.Tensor]:
    """Return the expression that the builder made."""
    if batch.expression is None:
        raise ValueError("the batch has no expression: load the spots with a panel")
    return {"expression": batch.expression}


@dataclass(frozen=True, eq=False)
class PanelOfCounts:
    """Expression of a panel's genes out of published counts, normalised by slide."""

    places: np.ndarray
    width: int
    normal: dict[str, Normalisation]

    def __call__(self, batch: SpotBatch) -> dict[str, torch.Tensor]:
        counts, totals = (rows := _rows_of(batch)).dense(self.places, self.width), rows.totals()
        out = np.empty(counts.shape, np.float32)
        slides = np.array(batch.slides)
        for name in set(batch.slides):
            rows = slides == name
            out[rows] = self.normal[name].dense(counts[rows], totals[rows])
        return {"expression": torch.from_numpy(out)}


@dataclass(frozen=True, eq=False)
class Sentences:
    """Sentences of a spot's top genes, as a text tower's tokens."""

    names: tuple[str, ...]
    rule: TopGenes
    means: dict[str, np.ndarray] | None
    tokenizer: PreTrainedTokenizerBase

    def texts(self, batch: SpotBatch) -> list[str]:
        """Return each spot's sentence."""
        texts = []
        for slide, (ids, counts) in zip(batch.slides, _rows_of(batch)):
            row = CountRows(np.array([0, len(ids)]), ids, counts)
            texts += top_genes(row, self.names, self.rule, self.means[slide] if self.means else None)
        return [" ".join(genes) for genes in texts]

    def __call__(self, batch: SpotBatch) -> dict[str, torch.Tensor]:
        tokens = self.tokenizer(self.texts(batch), padding="max_length", truncation=True, return_tensors="pt")
        return {"input_ids": tokens["input_ids"], "attention_mask": tokens["attention_mask"]}


def _rows_of(batch: SpotBatch) -> CountRows:
    offsets, ids, counts = (part.numpy() for part in (batch.offsets, batch.gene_ids, batch.counts) if part is not None)
    return CountRows(offsets, ids, counts)


def _blocks(table: datasets.Dataset) -> Iterator[CountRows]:
    """Read the counts of all spots, a thousand spots at a time."""
    for part in table.select_columns(["gene_ids", "counts"]).iter(1000):
        ids, counts = (part[name].combine_chunks() for name in ("gene_ids", "counts"))
        offsets = ids.offsets.to_numpy()
        yield CountRows(offsets - offsets[0], ids.flatten().to_numpy(), counts.flatten().to_numpy())


def _medians(
    settings: Settings, table: datasets.Dataset, slides: Sequence[str], slide: np.ndarray, places: np.ndarray
) -> dict[str, Normalisation]:
    """Return each slide's normalisation, with its median total, after one pass over the counts."""
    totals = []
    for rows in _blocks(table):
        inside = places[rows.columns] >= 0 if settings.data.normalise == "original" else True
        totals.append(rows.totals(rows.values * inside))
    totals = np.concatenate(totals)
    found = {}
    for k, name in enumerate(slides):
        of_slide = totals[(slide == k) & (totals > 0)]
        median = float(np.median(of_slide)) if len(of_slide) else 1.0
        found[name] = Normalisation(settings.data.normalise, f"{settings.data.source}: slide {name}", median)
    return found


def _slide_means(
    table: datasets.Dataset, slides: Sequence[str], slide: np.ndarray, genes: int
) -> dict[str, np.ndarray]:
    """Return the mean log1p count of each gene, by slide."""
    sums = {name: np.zeros(genes) for name in slides}
    begin = 0
    for rows in _blocks(table):
        of_count, values = slide[begin : begin + len(rows)][rows.spot], np.log1p(rows.values)
        for k in np.unique(of_count):
            sums[slides[k]] += np.bincount(rows.columns[of_count == k], values[of_count == k], genes)
        begin += len(rows)
    return {name: total / np.count_nonzero(slide == k) for k, (name, total) in enumerate(sums.items())}
