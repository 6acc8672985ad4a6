"""An example of a job: how well embeddings tell how many genes a spot expresses; each slide is held out in turn."""

import time
from pathlib import Path

import numpy as np
import pandas as pd

from stimage.core.errors import DataError
from stimage.evaluation.averages import mean_and_std
from stimage.evaluation.expression_data import EmbeddedSlide, embedded_slides, read_places, spots_of
from stimage.evaluation.results import data_identity, write_scores
from stimage.evaluation.seen import settle_seen
from stimage.jobs.roots import Root, open_unpublished
from stimage.jobs.scores import Scores, sealed
from stimage.loading.embeddings import Embeddings, read_embeddings
from stimage.scores.intervals import mean_interval
from stimage.scores.ridge import fair_pearson, ridge_path
from stimage.slides.missing import need_counts

PROTOCOL = ("richness", 1)  # its name and its version
PACKAGES = ("stimage-1k4m", "numpy", "scipy")


def richness(
    root: str | Path | Root,
    embeddings: str | Path | pd.DataFrame | Embeddings,
    *,
    alpha: float = 1.0,
    seen: str = "error",
    out: str | Path | None = None,
) -> Scores:
    """Predict the number of genes of each spot by ridge regression, with penalty ``alpha``.

    Raises
    ------
    DataError
        As `predict` does, and if there are fewer than two slides.
    """
    began, root = time.monotonic(), open_unpublished(root)
    read = read_embeddings(embeddings, [slide.name for slide in root.catalog.slides])
    slides, _ = embedded_slides(read, root.catalog.slides, root.slides)
    need_counts((one.slide for one in slides), "numbers of genes")
    scored = settle_seen(read.provenance, [one.slide for one in slides], seen, read.model)
    slides = [one for one in slides if one.slide in scored.slides]
    if len(slides) < 2:
        raise DataError(f"{root.location}: {len(slides)} slides have embeddings; to hold one out, two are needed")
    names, truth = [one.slide.name for one in slides], [genes_of(one) for one in slides]
    image = held_out_pearson([one.vectors for one in slides], truth, alpha)
    place = held_out_pearson([read_places(one)[0] for one in slides], truth, alpha)
    by_slide = {
        name: {"n": len(one), "pearson": r, "baselines": {"position": {"pearson": p}}}
        for name, one, r, p in zip(names, slides, image, place)
    }
    overall = {**averaged(image, names), "baselines": {"position": averaged(place, names)}}
    path = None
    if out is not None:
        data = data_identity(read.spot_ids, embeddings=read, seen=scored.seen)
        path = write_scores(out, *PROTOCOL, {"alpha": alpha, "target": "log1p of genes"}, data, (), PACKAGES,
                            time.monotonic() - began, by_slide, overall)  # fmt: skip
        sealed(path)
    return Scores(overall, by_slide, tuple(scored.notes), path)


def genes_of(one: EmbeddedSlide) -> np.ndarray:
    """Return log1p of how many genes each spot of a slide expresses (n x 1)."""
    spots, at = spots_of(one)
    genes = np.zeros(len(one))
    for some, rows in spots.blocks(at):
        genes[some] = np.diff(rows.indptr)
    return np.log1p(genes)[:, None]


def held_out_pearson(features: list[np.ndarray], truth: list[np.ndarray], alpha: float) -> list[float]:
    """Return Pearson's r of each slide, predicted by what the other slides teach."""
    found = []
    for k in range(len(features)):
        x, y = (np.concatenate([*one[:k], *one[k + 1 :]]) for one in (features, truth))
        (fit,) = ridge_path(x, y, [alpha])
        found.append(float(fair_pearson(truth[k], fit(features[k]))[0]))
    return found


def averaged(values: list[float], names: list[str]) -> dict:
    """Return the mean over slides, and its interval, in the form in which tables and charts look for both."""
    return {"pearson": mean_and_std(values), "intervals": {"pearson": mean_interval(values, names)}}
