"""Expression of a panel's genes: the builder's, or computed from published counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from stimage.core.errors import DataError
from stimage.genes.normalise import Normalisation, median_of
from stimage.genes.panels import Panel
from stimage.loading.tensors import SpotBatch
from stimage.training.second.spot_tables import SecondInput, SpotTable, rows_of


@dataclass(frozen=True, eq=False)
class MadeExpression(SecondInput):
    """The expression that the builder made."""

    genes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __call__(self, batch: SpotBatch) -> dict[str, torch.Tensor]:
        if batch.expression is None:
            raise ValueError("the batch has no expression: load the spots with a panel")
        return {"expression": batch.expression}


@dataclass(frozen=True, eq=False)
class PanelOfCounts(SecondInput):
    """Expression of a panel's genes out of published counts, normalised by slide."""

    genes: tuple[str, ...]
    places: np.ndarray
    normal: Mapping[str, Normalisation]
    notes: tuple[str, ...] = ()

    def __call__(self, batch: SpotBatch) -> dict[str, torch.Tensor]:
        counts, totals = (rows := rows_of(batch)).dense(self.places, len(self.genes)), rows.totals()
        out = np.empty(counts.shape, np.float32)
        slides = np.array(batch.slides)
        for name in set(batch.slides):
            rows = slides == name
            out[rows] = self.normal[name].dense(counts[rows], totals[rows])
        return {"expression": torch.from_numpy(out)}


def panel_expression(
    panel: Panel, source: str, normalise: str, spots: Sequence[SpotTable], names: Sequence[str] | None
) -> list[SecondInput]:
    """Return what makes a panel's expression, of several tables of spots.

    Parameters
    ----------
    names
        What ``gene_ids`` stand for; None if the builder made the expression.

    Raises
    ------
    DataError
        If the data lack a gene of the panel's.
    """
    if names is None:
        return [MadeExpression(panel.genes) for _ in spots]
    if lost := [gene for gene in panel.genes if gene not in set(names)]:
        raise DataError(f"{source}: lacks {len(lost)} of the panel's {len(panel.genes)} genes: {', '.join(lost[:10])}")
    place = {gene: i for i, gene in enumerate(panel.genes)}
    places = np.array([place.get(name, -1) for name in names])
    return [PanelOfCounts(panel.genes, places, _normalisations(source, normalise, one, places)) for one in spots]


def _normalisations(source: str, normalise: str, spots: SpotTable, places: np.ndarray) -> dict[str, Normalisation]:
    """Return each slide's normalisation, with its median total, after one pass over the counts."""
    totals = []
    for _, rows in spots.blocks():
        inside = places[rows.columns] >= 0 if normalise == "original" else True
        totals.append(rows.totals(rows.values * inside))
    totals = np.concatenate(totals)
    return {
        name: Normalisation(normalise, f"{source}: slide {name}", median_of(totals[spots.slide == k]))
        for k, name in enumerate(spots.slides)
    }
