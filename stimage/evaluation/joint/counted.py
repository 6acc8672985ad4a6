"""Inputs of a joint model's other tower from counts: expression of its panel, or sentences, as in its training."""

from typing import Any

import numpy as np
import torch

import stimage_1k4m
from stimage.core.errors import DataError
from stimage.genes.sentences import TopGenes
from stimage.loading.embeddings import read_embeddings
from stimage.loading.sources import Source
from stimage.loading.tensors import SpotBatch
from stimage.towers.joint_space import JointSpace
from stimage.towers.reading import read_beside, tokenizer_of
from stimage.training.second.panels import MadeExpression
from stimage.training.second.sentences import make_sentences, tokens_for
from stimage.training.second.sets import gene_sets
from stimage.training.second.spot_tables import SpotTable
from stimage.training.second.vectors import VectorsOfSpots
from stimage.training.settings.groups import SETTINGS, Settings
from stimage.training.settings.reading import make_settings, read_record

OF_GENES = ("data.normalise", "data.gene_table", "data.panel", "data.vectors", "towers.second")  # inputs depend on
OF_TEXT = ("data.sentence_genes", "data.above_mean", "data.exclude_genes")
COUNTS = ("gene_ids", "counts")
ROWS = 1000  # spots read at once


class OtherInputs:
    """Makes the other tower's input of batches, slide by slide, by the functions of training.

    Attributes
    ----------
    columns, genes
        What must be read of spots; see `SpotEncoder`.
    record
        What the input depends on, as JSON has it.
    """

    def __init__(self, space: JointSpace, source: Source, gene_table: str | None = None):
        self.space, self.source, self.made = space, source, dict[str, Any]()
        self.settings = settings_of(space, source.location)
        data, text = self.settings.data, space.other == "text"
        if text and gene_table is not None:
            raise ValueError(
                "gene_table= (--gene-table): works only with a gene tower, and this model has a text tower; leave it "
                "out"
            )
        self.columns: tuple[str, ...] = COUNTS
        self.gene_table = data.gene_table if gene_table is None else gene_table
        config: Any = space.model.config
        self.genes, self.record = dict[str, Any](), dict[str, Any]()
        if text:
            self.names, self.tokenizer = vocabulary_of(source), tokenizer_of(space.checkpoint)
            k = data.sentence_genes or getattr(config, "sentence_genes", None) or tokens_for(self.tokenizer)
            self.rule = TopGenes(k, data.above_mean, data.exclude_genes)
            self.record = {"sentence_genes": k, "above_mean": data.above_mean, "exclude_genes": data.exclude_genes}
        elif config.gene_tower == "set":
            self.names, self.record = vocabulary_of(source), {"gene_table": self.gene_table}
        elif config.gene_tower == "vectors":
            path = self.settings.vectors
            slides = [slide.name for slide in source.catalog.slides]
            self.vectors = VectorsOfSpots(path, read_embeddings(path, slides))
            self.columns, self.record = (), {"vectors": path}
        else:
            self.record = {"normalise": data.normalise, "gene_table": self.gene_table}
            self.columns, self.genes = ("expression",), {"panel": list(config.genes), **self.record}

    def __call__(self, batch: SpotBatch) -> dict[str, torch.Tensor]:
        """Return the input of a batch of one slide, by its name in the model's forward."""
        if self.genes:
            return MadeExpression(self.genes["panel"])(batch)
        if not self.columns:
            return self.vectors(batch)
        (name,) = set(batch.slides)
        if name not in self.made:
            self.made[name] = self._of_slide(name)
        return self.made[name](batch)

    def _of_slide(self, name: str) -> Any:
        """Return what makes the input of one slide, whose counts are read once for it."""
        (slide,) = [slide for slide in self.source.catalog.slides if slide.name == name]
        ids, counts = (
            self.source.spots(slide, some).with_format("arrow") for some in (["spot_id"], ["gene_ids", "counts"])
        )
        spots = sum(len(table) for table in ids.iter(ROWS))
        table = SpotTable(counts, (name,), np.zeros(spots, int))
        if self.space.other == "text":
            return make_sentences(table, self.names, self.rule, self.tokenizer)
        config: Any = self.space.model.config
        return gene_sets(self.source, [table], self.names, self.gene_table, config.genes)[0]


def vocabulary_of(source: Source) -> list[str]:
    """Return the names of a source's genes, by their number."""
    access = source.access
    return stimage_1k4m.gene_names(source.location, storage_options=dict(access.storage_options), token=access.token)


def settings_of(space: JointSpace, location: str) -> Settings:
    """Return the settings of a model's training that inputs depend on; the usual ones for a plain CLIP.

    Raises
    ------
    DataError
        If a model with a gene tower lacks them.
    """
    said = read_beside(space.checkpoint, "settings.json")
    if said is None:
        if space.other == "genes":
            raise DataError(f"{space.name}: has no settings.json, which says how counts became expression; get the "
                            "whole folder")  # fmt: skip
        return make_settings({"data.source": location, "towers.second": "text"})
    try:
        before = read_record(said)
    except ValueError:
        raise DataError(f"{space.name}: its settings.json is damaged; get the whole folder") from None
    kept = {name: SETTINGS[name].read(before[name]) for name in (*OF_GENES, *OF_TEXT) if name in before}
    return make_settings(kept | {"data.source": location})
