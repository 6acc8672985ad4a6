"""Vectors of spots from another model of expression, in a file of embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from stimage.core.errors import DataError, shown
from stimage.loading.embeddings import Embeddings, read_embeddings
from stimage.loading.provenance import Provenance
from stimage.loading.tensors import SpotBatch
from stimage.training.second.spot_tables import SecondInput, SpotTable


@dataclass(frozen=True, eq=False)
class VectorsOfSpots(SecondInput):
    """The vector of each spot, by its id; ``embeddings``, from the file or folder ``path``, are sorted by id."""

    path: str
    embeddings: Embeddings
    genes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Length of the vectors."""
        return self.embeddings.vectors.shape[1]

    @property
    def provenance(self) -> Provenance | None:
        """The slides that the other model has seen."""
        return self.embeddings.provenance

    def __call__(self, batch: SpotBatch) -> dict[str, torch.Tensor]:
        ids, known = np.array(batch.spot_ids, str), self.embeddings.spot_ids
        places = np.searchsorted(known, ids).clip(max=len(known) - 1)
        if (lost := known[places] != ids).any():
            raise DataError(f"{self.path}: lacks the vectors of {lost.sum()} of {len(ids)} spots, such as "
                            f"{batch.spot_ids[lost.argmax()]!r}; make them of these slides too")  # fmt: skip
        return {"vectors": torch.from_numpy(self.embeddings.vectors[places])}


def vectors_of_spots(path: str, spots: Sequence[SpotTable]) -> list[VectorsOfSpots]:
    """Return the vectors of several tables of spots, out of one file or folder.

    Raises
    ------
    DataError
        If spots have no vector, naming how many and of which slides, or the file is damaged.
    """
    every = read_embeddings(path, [name for table in spots for name in table.slides])
    found = []
    for table in spots:
        ids = table.table.select_columns(["spot_id"])[:]["spot_id"].to_numpy().astype(str)
        there = np.isin(ids, every.spot_ids)
        if not there.all():
            lost, numbers = ids[~there], np.bincount(table.slide[~there], minlength=len(table.slides))
            of = [f"{n} of slide {name}" for name, n in zip(table.slides, numbers) if n]
            raise DataError(f"{path}: lacks the vectors of {len(lost)} of {len(ids)} spots, such as {str(lost[0])!r} "
                            f"({shown(of, 5)}); make them of these slides too, or leave the slides out "
                            "by exclude=")  # fmt: skip
        found.append(VectorsOfSpots(path, every.take(np.flatnonzero(np.isin(every.spot_ids, ids)))))
    return found
