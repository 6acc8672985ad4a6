"""Which spots a probe is trained, tuned and tested on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from stimage.errors import DataError
from stimage.evaluation.labels import Labelled
from stimage.processing.groups import groups_of, joined
from stimage.processing.splits import Splitting

SPLITS = ("random", "slide", "study", "patient", "block")
SEEDS = (0, 1, 2, 3, 4)
PARTS = 5  # into which groups or blocks are dealt; each is the test part once
BLOCKS = 4  # along each side of a slide
NEAR = 1.5  # pitches: spots so near to a test block are left out of training


@dataclass(frozen=True, eq=False)
class Fold:
    """Rows (int) to train on, to choose alpha by, and to test on."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def random_folds(n: int, seeds: Sequence[int] = SEEDS) -> list[Fold]:
    """Split n spots at random: 80 % train, 10 % test, the rest validation, for each seed.

    As the data set's authors: of annotated spots in the order of their files, the training part is the very one they
    draw. What is left they put through a set, whose order changes with Python's hash seed; here it is sorted.
    Neighbours on a slide fall on both sides, so position alone scores high: see `stimage.evaluation.baselines`.
    """
    folds = []
    for seed in seeds:
        rng = np.random.RandomState(seed)  # the generator behind their np.random.seed
        train = rng.choice(n, int(0.8 * n), replace=False)
        rest = np.setdiff1d(np.arange(n), train)
        test = rng.choice(rest, int(0.1 * n), replace=False)
        folds.append(Fold(train, np.setdiff1d(rest, test), test))
    return folds


def group_folds(groups: np.ndarray, inner: np.ndarray, seed: int = 0) -> list[Fold]:
    """Deal groups into at most 5 parts of about as many spots; each is tested once, with the next for validation.

    Parameters
    ----------
    groups
        A group's name for each spot (n,).
    inner
        The block of each spot (n,): where there are but two groups, validation is a fifth of the other one's blocks.

    Raises
    ------
    DataError
        If there is only one group.
    """
    part = _deal(groups, seed)
    k = part.max() + 1
    if k < 2:
        raise DataError(f"all labelled spots are of one group, {str(groups[0])!r}, so none can be held out: add "
                        "slides, or split by block")  # fmt: skip
    folds = []
    for test in range(k):
        validation = part == (test + 1) % k
        if k == 2:
            chosen = np.flatnonzero(validation)
            validation = np.zeros(len(part), bool)
            validation[chosen[_deal(inner[chosen], seed) == 0]] = True
        folds.append(Fold(*map(np.flatnonzero, (~validation & (part != test), validation, part == test))))
    return folds


def block_folds(spots: Labelled, seed: int = 0) -> list[Fold]:
    """Cut each slide into 4 x 4 blocks and deal them into 5 parts; each is tested once, with the next for validation.

    Spots within 1.5 pitches of a test spot are neither trained on nor used for choosing alpha.

    Raises
    ------
    DataError
        If the spots lie in one block.
    """
    places = positions(spots, apart=1e6)
    folds = []
    for fold in group_folds(blocks(spots), spots.embeddings.spot_ids, seed):
        near = cKDTree(places[fold.test])
        train, validation = (rows[near.query(places[rows])[0] > NEAR] for rows in (fold.train, fold.validation))
        folds.append(Fold(train, validation, fold.test))
    return folds


def blocks(spots: Labelled) -> np.ndarray:
    """Return the name of each spot's block: its slide and a square of 4 x 4 over the slide's labelled spots (n,)."""
    names = spots.embeddings.slides.astype(object)
    for slide in spots.slides:
        mine = spots.embeddings.slides == slide
        cell = [np.minimum(BLOCKS - 1, BLOCKS * _share(v[mine])).astype(int) for v in (spots.x, spots.y)]
        names[mine] = [f"{slide} {i} {j}" for i, j in zip(*cell)]
    return names.astype(str)


def positions(spots: Labelled, apart: float) -> np.ndarray:
    """Return x and y of spots in pitches about their slide's centre, and slides as columns that hold them apart.

    Returns
    -------
    np.ndarray
        float64 (n, 2 + slides); two slides are ``apart`` pitches from each other, whichever they are.
    """
    table = np.zeros((len(spots), 2 + len(spots.slides)))
    for k, slide in enumerate(spots.slides):
        mine = spots.embeddings.slides == slide
        places = np.stack([spots.x[mine], spots.y[mine]], 1)
        centre = (places.min(0) + places.max(0)) / 2
        table[mine, :2] = (places - centre) / _pitch(places)
        table[mine, 2 + k] = apart / 2**0.5
    return table


def spot_groups(spots: Labelled, splitting: Splitting) -> np.ndarray:
    """Return each spot's slide, study or patient (n,), as ``splitting.by`` says; studies that share a slide are one.

    Raises
    ------
    DataError
        If that of a slide is not known.
    """
    of_slide = joined(groups_of(list(spots.slides.values()), splitting))
    return np.array([of_slide[slide] for slide in spots.embeddings.slides.tolist()])


def _deal(groups: np.ndarray, seed: int) -> np.ndarray:
    """Return the part of each spot: groups, from the largest to the smallest, go where there are the fewest spots."""
    names, own, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    luck = np.random.default_rng(seed).permutation(len(names))
    filled = np.zeros(min(PARTS, len(names)), int)
    part = np.empty(len(names), int)
    for group in np.lexsort((luck, -sizes)):
        part[group] = filled.argmin()
        filled[part[group]] += sizes[group]
    return part[own]


def _share(values: np.ndarray) -> np.ndarray:
    return (values - values.min()) / max(np.ptp(values), 1e-9)


def _pitch(places: np.ndarray) -> float:
    """Return the median distance of a spot to its nearest neighbour; 1 where there is but one place."""
    if len(places) < 2:
        return 1.0
    return float(np.median(cKDTree(places).query(places, 2)[0][:, 1])) or 1.0
