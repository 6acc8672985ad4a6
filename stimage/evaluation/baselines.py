"""Baselines of a probe: the commonest label, the spot's position, the colours of its patch, its nuclei."""

from collections.abc import Sequence

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from stimage.cells.features import NucleiOfSlides
from stimage.evaluation.expression_data import slide_colours
from stimage.evaluation.labelled import LabelledSpots
from stimage.evaluation.spot_folds import positions
from stimage.scores.folds import Fold
from stimage.scores.linear_probe import predict_tuned, standardiser
from stimage.scores.probe_scores import FoldPredictions
from stimage.scores.threads import one_thread

NEAREST = 5
APART = 1e4  # pitches: farther than a slide is wide, so that spots of a spot's own slide are nearest


def majority(labels: np.ndarray, folds: Sequence[Fold]) -> FoldPredictions:
    """Predict the commonest label of the training part for every spot."""
    k = int(labels.max()) + 1
    shares = [np.bincount(labels[fold.train], minlength=k) / len(fold.train) for fold in folds]
    scores = [np.tile(share, (len(fold.test), 1)) for share, fold in zip(shares, folds)]
    return FoldPredictions([fold.test for fold in folds], scores)


def position_only(spots: LabelledSpots, labels: np.ndarray, folds: Sequence[Fold]) -> FoldPredictions:
    """Predict the label of the 5 nearest training spots, by slide and place, without a look at the tissue.

    Neighbours are spots of the same slide if it was trained on, else spots at the same place of other slides. A probe
    should beat this score, which needs no embedding.
    """
    k, places, scores = int(labels.max()) + 1, positions(spots, APART), []
    for fold in folds:
        nearest = KNeighborsClassifier(min(NEAREST, len(fold.train)))
        with one_thread():
            said = nearest.fit(places[fold.train], labels[fold.train]).predict_proba(places[fold.test])
        wide = np.zeros((len(fold.test), k))
        wide[:, nearest.classes_] = said
        scores.append(wide)
    return FoldPredictions([fold.test for fold in folds], scores)


def numbers_only(numbers: np.ndarray, labels: np.ndarray, folds: Sequence[Fold]) -> FoldPredictions:
    """Probe some numbers of each spot (n x d), standardised, as the protocol ``converged`` does."""
    return predict_tuned(numbers, labels, folds, standardiser)


def colour_statistics(spots: LabelledSpots) -> np.ndarray:
    """Return mean and standard deviation of red, green and blue over each spot's square of 2r, float32 (n, 6)."""
    table = np.empty((len(spots), 6), np.float32)
    for name, slide in spots.slides.items():
        rows = np.flatnonzero(spots.embeddings.slides == name)
        table[rows] = slide_colours(slide, spots.x[rows], spots.y[rows], spots.r[rows])
    return table


def nuclei_statistics(spots: LabelledSpots, nuclei: NucleiOfSlides) -> np.ndarray:
    """Return what is known of each spot's nuclei, float32 (n x features); see `NucleiOfSlides.features`."""
    table = np.empty((len(spots), len(nuclei.names)), np.float32)
    for name, slide in spots.slides.items():
        rows = np.flatnonzero(spots.embeddings.slides == name)
        table[rows] = nuclei.features(slide, np.stack([spots.x[rows], spots.y[rows]], 1), spots.r[rows])
    return table
