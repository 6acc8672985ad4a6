"""What the processor that is saved with a model must know to make its gene tower's inputs of counts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from stimage.genes.normalise import fit_normalisation
from stimage.genes.panels import Panel
from stimage.loading.sources import open_source
from stimage.slides.spots import open_spots
from stimage.training.second.panels import PanelOfCounts
from stimage.training.second.spot_tables import SecondInput
from stimage.training.settings.groups import Settings

MOST_SLIDES = 20  # whose counts are read once more for their medians


def gene_inputs(
    settings: Settings, config: Any, weights: Mapping[str, torch.Tensor], median_total: float | None
) -> dict[str, Any] | None:
    """Return what `stimage.towers.joint.spot_genes.SpotGenes` is made of, as JSON has it; None of a text tower.

    Parameters
    ----------
    config, weights
        Of the model.
    median_total
        See `usual_total`.
    """
    tower = settings.towers.second
    if tower == "text":
        return None
    said = {"tower": tower, "genes": list(config.genes)}
    if tower == "vectors":
        return said | {"vector_width": config.vector_width}
    if tower == "set":
        return said
    mean = weights["gene_tower.mean"].double()
    return said | {
        "normalise": settings.data.normalise,
        "median_total": median_total,
        "mean": mean.tolist() if mean.any() else None,
    }


def usual_total(settings: Settings, slides: Sequence[str], other: SecondInput) -> float | None:
    """Return the median of the training slides' median totals, of a root's of 20 slides at most; None if none is used.

    Parameters
    ----------
    slides, other
        Names of the slides that are trained on, and what makes the gene tower's input of them.
    """
    kind = settings.data.normalise
    if not settings.takes_panel or settings.towers.second == "text" or kind not in ("median-log1p", "original"):
        return None
    if isinstance(other, PanelOfCounts):
        return float(np.median([one.median for one in other.normal.values()]))
    panel = Panel.read(settings.panel, settings.data.gene_table)
    wanted = {slides[k] for k in np.linspace(0, len(slides) - 1, min(len(slides), MOST_SLIDES)).astype(int)}
    medians = []
    for slide in open_source(settings.data.source).catalog.slides:
        if slide.name in wanted and not slide.image_alone:
            spots = open_spots(slide, with_image=False)
            places = panel.places_in(spots.genes, spots.counts_path, slide.species)
            medians.append(fit_normalisation(kind, spots, places).median)
    return float(np.median(medians)) if medians else None
