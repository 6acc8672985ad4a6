"""What the second tower is given of a batch: expression as it is, a panel's out of all counts, or sentences."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import datasets
import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from stimage.core.errors import DataError
from stimage.genes.normalise import Normalisation
from stimage.genes.panels import Panel
from stimage.genes.sentences import TopGenes, top_genes
from stimage.loading.batches import SpotBatch
from stimage.training.settings import Settings


def second_input(
    settings: Settings,
    table: datasets.Dataset,
    slides: Sequence[str],
    slide: np.ndarray,
    names: Sequence[str] | None,
    tokenizer: PreTrainedTokenizerBase | None,
) -> Callable[[SpotBatch], dict[str, torch.Tensor]]:
    """Return what makes the second tower's input of a batch.

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
    if settings.tower == "text":
        rule = TopGenes(settings.sentence_genes, settings.above_mean, tuple(settings.exclude_genes))
        means = _slide_means(table, slides, slide, len(names)) if rule.above_mean else None
        return Sentences(tuple(names), rule, means, tokenizer)
    if names is None:
        return dense
    panel = Panel.of(settings.panel)
    if lost := [gene for gene in panel.genes if gene not in set(names)]:
        raise DataError(f"{settings.data}: lacks {len(lost)} of the panel's {len(panel.genes)} genes: "
                        f"{', '.join(lost[:10])}")  # fmt: skip
    place = {gene: i for i, gene in enumerate(panel.genes)}
    places = np.array([place.get(name, -1) for name in names])
    return PanelOfCounts(places, len(panel.genes), _medians(settings, table, slides, slide, places))


def dense(batch: SpotBatch) -> dict[str, torch.Tensor]:
    """Give the expression that the builder made."""
    return {"expression": batch.expression}


@dataclass(frozen=True, eq=False)
class PanelOfCounts:
    """Expression of a panel's genes out of published counts, normalised by slide."""

    places: np.ndarray
    width: int
    normal: dict[str, Normalisation]

    def __call__(self, batch: SpotBatch) -> dict[str, torch.Tensor]:
        counts, totals = _panel_counts(batch, self.places, self.width)
        out = np.empty(counts.shape, np.float32)
        slides = np.array(batch.slides)
        for name in set(batch.slides):
            rows = slides == name
            spot = np.repeat(np.arange(rows.sum()), self.width)
            out[rows] = self.normal[name](counts[rows].ravel(), spot, totals[rows]).reshape(-1, self.width)
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
        ids, counts, offsets = (getattr(batch, name).numpy() for name in ("gene_ids", "counts", "offsets"))
        texts = []
        for i, slide in enumerate(batch.slides):
            part = slice(offsets[i], offsets[i + 1])
            means = self.means[slide] if self.means else None
            indptr = np.array([0, offsets[i + 1] - offsets[i]])
            texts += top_genes(indptr, ids[part], counts[part], self.names, self.rule, means)
        return [" ".join(genes) for genes in texts]

    def __call__(self, batch: SpotBatch) -> dict[str, torch.Tensor]:
        tokens = self.tokenizer(self.texts(batch), padding="max_length", truncation=True, return_tensors="pt")
        return {"input_ids": tokens["input_ids"], "attention_mask": tokens["attention_mask"]}


def _panel_counts(batch: SpotBatch, places: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    ids, counts, offsets = (getattr(batch, name).numpy() for name in ("gene_ids", "counts", "offsets"))
    row = np.repeat(np.arange(len(batch)), np.diff(offsets))
    place = places[ids]
    inside = place >= 0
    dense = np.bincount(row[inside] * width + place[inside], counts[inside], len(batch) * width)
    return dense.reshape(-1, width), np.bincount(row, counts, len(batch))


def _medians(
    settings: Settings, table: datasets.Dataset, slides: Sequence[str], slide: np.ndarray, places: np.ndarray
) -> dict[str, Normalisation]:
    """Return each slide's normalisation, with the median total that it needs, of one pass over the counts."""
    totals = []
    for part in table.select_columns(["gene_ids", "counts"]).iter(1000):
        ids, counts = (part[name].combine_chunks() for name in ("gene_ids", "counts"))
        values = counts.flatten().to_numpy()
        if settings.normalise == "original":
            values = values * (places[ids.flatten().to_numpy()] >= 0)
        row = np.repeat(np.arange(len(part)), np.diff(ids.offsets.to_numpy()))
        totals.append(np.bincount(row, values, len(part)))
    totals = np.concatenate(totals)
    found = {}
    for k, name in enumerate(slides):
        of_slide = totals[(slide == k) & (totals > 0)]
        median = float(np.median(of_slide)) if len(of_slide) else 1.0
        found[name] = Normalisation(settings.normalise, f"{settings.data}: slide {name}", median)
    return found


def _slide_means(
    table: datasets.Dataset, slides: Sequence[str], slide: np.ndarray, genes: int
) -> dict[str, np.ndarray]:
    """Return each slide's mean of log1p counts of each gene."""
    sums = {name: np.zeros(genes) for name in slides}
    begin = 0
    for part in table.select_columns(["gene_ids", "counts"]).iter(1000):
        ids, counts = (part[name].combine_chunks() for name in ("gene_ids", "counts"))
        row = np.repeat(slide[begin : begin + len(part)], np.diff(ids.offsets.to_numpy()))
        gene, value = ids.flatten().to_numpy(), np.log1p(counts.flatten().to_numpy())
        for k in np.unique(row):
            sums[slides[k]] += np.bincount(gene[row == k], value[row == k], genes)
        begin += len(part)
    return {name: total / np.count_nonzero(slide == k) for k, (name, total) in enumerate(sums.items())}
