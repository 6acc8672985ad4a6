"""Sentences of a spot's top genes for a text tower, and how many genes fit into its tokens."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from stimage.genes.sentences import TopGenes, top_genes
from stimage.loading.tensors import SpotBatch
from stimage.slides.counts.rows import CountRows
from stimage.training.second.spot_tables import SecondInput, SpotTable, rows_of

SAMPLE = 1000  # spots of which it is seen how many genes fit
FIT = 0.95  # share of their sentences that fit as a whole, where the number of genes is not given


@dataclass(frozen=True, eq=False)
class Sentences(SecondInput):
    """Sentences of a spot's top genes, as a text tower's tokens."""

    names: tuple[str, ...]
    rule: TopGenes
    means: dict[str, np.ndarray] | None
    tokenizer: PreTrainedTokenizerBase
    notes: tuple[str, ...] = ()
    genes: tuple[str, ...] = ()

    def texts(self, batch: SpotBatch) -> list[str]:
        """Return each spot's sentence."""
        return [" ".join(genes) for genes in _genes_of(self, rows_of(batch), batch.slides)]

    def __call__(self, batch: SpotBatch) -> dict[str, torch.Tensor]:
        tokens = self.tokenizer(self.texts(batch), padding="max_length", truncation=True, return_tensors="pt")
        return {"input_ids": tokens["input_ids"], "attention_mask": tokens["attention_mask"]}


def sentences_of_spots(
    spots: Sequence[SpotTable],
    names: Sequence[str],
    k: int | None,
    above_mean: bool,
    exclude: tuple[str, ...],
    tokenizer: PreTrainedTokenizerBase,
) -> list[Sentences]:
    """Return what makes sentences of several tables of spots, the first of them to train on.

    Parameters
    ----------
    names
        What ``gene_ids`` stand for.
    k
        Genes of a sentence; None takes as many as fit, as a whole, in 95 % of the sentences of a sample of the first
        spots.
    """
    room = tokens_for(tokenizer)
    rule = TopGenes(k or room, above_mean, exclude)
    found = [make_sentences(one, names, rule, tokenizer) for one in spots]
    sample = list(_sample(found[0], spots[0]))
    fit = _genes_that_fit(sample, tokenizer, room)
    if k is None:
        whole = np.array([room if n == len(genes) else n for n, genes in zip(fit, sample)])
        rule = replace(rule, k=max(1, int(np.quantile(whole, 1 - FIT, method="lower"))))
    found = [replace(one, rule=rule) for one in found]
    length = np.minimum([len(genes) for genes in sample], rule.k)
    kept = np.minimum(fit, length)
    share = kept.sum() / max(length.sum(), 1)
    note = (f"sentences of {rule.k} genes: {share:.0%} of the genes fit into the text tower's {room} tokens, and "
            f"{np.mean(kept == length):.0%} of {len(sample):,} sentences as a whole")  # fmt: skip
    if np.mean(kept == length) < FIT:
        note = f"warning: {note}; sentence_genes=null takes as many as fit"
    return [replace(found[0], notes=(note,)), *found[1:]]


def make_sentences(
    spots: SpotTable, names: Sequence[str], rule: TopGenes, tokenizer: PreTrainedTokenizerBase
) -> Sentences:
    """Return the maker of sentences for a table of spots by a rule; counts are read once if it needs their means."""
    return Sentences(tuple(names), rule, _slide_means(spots, len(names)) if rule.above_mean else None, tokenizer)


def tokens_for(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return how many tokens of a sentence a tokenizer keeps, without those that begin and end it."""
    return tokenizer.model_max_length - tokenizer.num_special_tokens_to_add()


def _genes_of(made: Sentences, rows: CountRows, slides: Sequence[str]) -> Iterator[list[str]]:
    for slide, (ids, counts) in zip(slides, rows):
        row = CountRows(np.array([0, len(ids)]), ids, counts)
        yield from top_genes(row, made.names, made.rule, made.means[slide] if made.means else None)


def _sample(made: Sentences, spots: SpotTable) -> Iterator[list[str]]:
    """Yield the genes of the sentences of some spots, evenly over all."""
    some = np.unique(np.linspace(0, len(spots.slide) - 1, SAMPLE).astype(int))
    for slide, rows in SpotTable(spots.table.select(some), spots.slides, spots.slide[some]).blocks():
        yield from _genes_of(made, rows, [spots.slides[k] for k in slide])


def _genes_that_fit(sentences: Sequence[list[str]], tokenizer: PreTrainedTokenizerBase, room: int) -> np.ndarray:
    """Return how many genes of each sentence are within so many tokens."""
    names = sorted({gene for genes in sentences for gene in genes})
    ids = tokenizer([f" {name}" for name in names], add_special_tokens=False)["input_ids"] if names else []
    length = dict(zip(names, map(len, ids)))
    return np.array([np.count_nonzero(np.cumsum([length[gene] for gene in genes]) <= room) for genes in sentences])


def _slide_means(spots: SpotTable, genes: int) -> dict[str, np.ndarray]:
    """Return the mean log1p count of each gene, by slide."""
    sums = {name: np.zeros(genes) for name in spots.slides}
    for slide, rows in spots.blocks():
        of_count, values = slide[rows.spot], np.log1p(rows.values)
        for k in np.unique(of_count):
            sums[spots.slides[k]] += np.bincount(rows.columns[of_count == k], values[of_count == k], genes)
    return {name: sums[name] / np.count_nonzero(spots.slide == k) for k, name in enumerate(spots.slides)}
