"""Which second input a run's settings ask for."""

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from stimage.core.errors import DataError
from stimage.genes.panels import Panel
from stimage.loading.sources import Source
from stimage.training.second.panels import panel_expression
from stimage.training.second.sentences import sentences_of_spots
from stimage.training.second.sets import gene_sets
from stimage.training.second.spot_tables import SecondInput, SpotTable
from stimage.training.second.vectors import vectors_of_spots
from stimage.training.settings.groups import Settings


def second_inputs(
    settings: Settings,
    source: Source,
    spots: Sequence[SpotTable],
    names: Sequence[str] | None,
    tokenizer: PreTrainedTokenizerBase | None = None,
    genes: Sequence[str] | None = None,
) -> Sequence[SecondInput]:
    """Return, for each table of spots, what makes the second tower's input of a batch.

    Parameters
    ----------
    spots
        First those to train on.
    names
        What ``gene_ids`` stand for; None if the builder made a panel's expression.
    tokenizer
        Of a text tower.
    genes
        The vocabulary of a tower of sets that was trained before.

    Raises
    ------
    DataError
        If the data do not have what the tower takes.
    """
    data, kind = settings.data, settings.towers.second
    if kind == "vectors":
        return vectors_of_spots(settings.vectors, spots)
    if kind in ("set", "text") and names is None:
        raise DataError(f"{data.source}: has expression of a panel, and no counts; pass another towers.second")
    if kind == "set":
        return gene_sets(source, spots, names or (), data.gene_table, genes)
    if kind == "text":
        maker: Any = tokenizer
        return sentences_of_spots(spots, names or (), data.sentence_genes, data.above_mean, data.exclude_genes, maker)
    return panel_expression(Panel.read(settings.panel), data.source, data.normalise, spots, names)
