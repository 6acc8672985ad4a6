"""Folds of annotated spots: by blocks of their slides, by slide, study or patient."""

import numpy as np
from scipy.spatial import cKDTree

from stimage.evaluation.labelled import LabelledSpots
from stimage.scores.folds import Fold, group_folds
from stimage.slides.splits.groups import groups_of, merge_groups
from stimage.slides.splits.splitting import Splitting

BLOCKS_PER_SIDE = 4  # along each side of a slide
BUFFER_PITCHES = 1.5  # pitches: spots so near to a test block are left out of training


def block_folds(spots: LabelledSpots, seed: int = 0) -> list[Fold]:
    """Cut each slide into 4 x 4 blocks and deal them into 5 parts; each is tested once, with the next for validation.

    Spots within 1.5 pitches of a test spot are neither trained on nor used for choosing alpha.

    Raises
    ------
    DataError
        If the spots lie in one block.
    """
    places = positions(spots, apart=1e6)
    folds = []
    for fold in group_folds(spot_blocks(spots), spots.embeddings.spot_ids, seed):
        near = cKDTree(places[fold.test])
        train, validation = (
            rows[near.query(places[rows])[0] > BUFFER_PITCHES] for rows in (fold.train, fold.validation)
        )
        folds.append(Fold(train, validation, fold.test))
    return folds


def spot_blocks(spots: LabelledSpots) -> np.ndarray:
    """Return the name of each spot's block: its slide and a square of 4 x 4 over the slide's labelled spots (n,)."""
    names = spots.embeddings.slides.astype(object)
    for slide in spots.slides:
        mine = spots.embeddings.slides == slide
        cell = [
            np.minimum(BLOCKS_PER_SIDE - 1, BLOCKS_PER_SIDE * _share(v[mine])).astype(int) for v in (spots.x, spots.y)
        ]
        names[mine] = [f"{slide} {i} {j}" for i, j in zip(*cell)]
    return names.astype(str)


def positions(spots: LabelledSpots, apart: float) -> np.ndarray:
    """Return x and y of spots in pitches about their slide's centre, and a column for each slide that separates slides.

    Returns
    -------
    np.ndarray
        float64 (n, 2 + slides); any two slides are ``apart`` pitches from each other.
    """
    table = np.zeros((len(spots), 2 + len(spots.slides)))
    for k, slide in enumerate(spots.slides):
        mine = spots.embeddings.slides == slide
        places = np.stack([spots.x[mine], spots.y[mine]], 1)
        centre = (places.min(0) + places.max(0)) / 2
        table[mine, :2] = (places - centre) / _pitch(places)
        table[mine, 2 + k] = apart / 2**0.5
    return table


def spot_groups(spots: LabelledSpots, splitting: Splitting) -> np.ndarray:
    """Return each spot's slide, study or patient (n,), as ``splitting.by`` says; studies that share a slide are one.

    Raises
    ------
    DataError
        If that of a slide is not known.
    """
    of_slide = merge_groups(groups_of(list(spots.slides.values()), splitting))
    return np.array([of_slide[slide] for slide in spots.embeddings.slides.tolist()])


def _share(values: np.ndarray) -> np.ndarray:
    return (values - values.min()) / max(np.ptp(values), 1e-9)


def _pitch(places: np.ndarray) -> float:
    """Return the median distance of a spot to its nearest neighbour; 1 where there is but one place."""
    if len(places) < 2:
        return 1.0
    return float(np.median(cKDTree(places).query(places, 2)[0][:, 1])) or 1.0
