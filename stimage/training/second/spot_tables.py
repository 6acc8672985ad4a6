"""Spots on disk whose counts are read block by block, and the common parts of a second tower's inputs."""

from collections.abc import Iterator
from dataclasses import dataclass

import datasets
import numpy as np
import torch

from stimage.loading.provenance import Provenance
from stimage.loading.tensors import SpotBatch
from stimage.slides.counts.rows import CountRows

BLOCK = 1000  # spots


@dataclass(frozen=True, eq=False)
class SpotTable:
    """Spots of a run: training spots, or held-out ones.

    Attributes
    ----------
    table
        `datasets.Dataset` in Arrow format.
    slides, slide
        Names of the slides, and the place of each row's slide among these.
    """

    table: datasets.Dataset
    slides: tuple[str, ...]
    slide: np.ndarray

    def blocks(self) -> Iterator[tuple[np.ndarray, CountRows]]:
        """Yield the counts of all spots, a thousand at a time, with the places of their slides."""
        begin = 0
        for part in self.table.select_columns(["gene_ids", "counts"]).iter(BLOCK):
            ids, counts = (part[name].combine_chunks() for name in ("gene_ids", "counts"))
            offsets = ids.offsets.to_numpy()
            rows = CountRows(offsets - offsets[0], ids.flatten().to_numpy(), counts.flatten().to_numpy())
            yield self.slide[begin : begin + len(rows)], rows
            begin += len(rows)


class SecondInput:
    """Turns a batch into what the second tower takes, by its name in the model's forward.

    Attributes
    ----------
    genes
        Names of the genes that the tower knows, in the order of its inputs; none of vectors and sentences.
    notes
        Lines to be printed once.
    """

    genes: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def provenance(self) -> Provenance | None:
        """What a model that made the inputs has seen; None where none did, or it does not say."""
        return None

    def __call__(self, batch: SpotBatch) -> dict[str, torch.Tensor]:
        raise NotImplementedError


def rows_of(batch: SpotBatch) -> CountRows:
    """Return the counts of a batch."""
    offsets, ids, counts = (part.numpy() for part in (batch.offsets, batch.gene_ids, batch.counts) if part is not None)
    return CountRows(offsets, ids, counts)
