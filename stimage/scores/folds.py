"""Folds: the spots that a probe is trained, tuned and tested on, and their largest number. Quick to import."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stimage.core.errors import DataError

PROTOCOLS = ("original", "converged")  # of the linear probe
PROBE_SPLITS = ("random", "slide", "study", "patient", "block")
MAX_SPOTS = 50_000  # spots; of more, a sample is scored
SEEDS = (0, 1, 2, 3, 4)
PARTS = 5  # into which groups or blocks are dealt; each is the test part once


@dataclass(frozen=True, eq=False)
class Fold:
    """Rows (int) to train on, to choose alpha by, and to test on."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def random_folds(n: int, seeds: Sequence[int] = SEEDS) -> list[Fold]:
    """Split n spots at random: 80 % train, 10 % test, the rest validation, for each seed.

    The data set's authors split so: for annotated spots in the order of their files, the training part is exactly
    theirs. They put the rest through a set, whose order changes with Python's hash seed; here it is sorted. Neighbours
    on a slide fall on both sides, so position alone scores high: see `stimage.evaluation.baselines`.
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
        raise DataError(
            f"all labelled spots belong to one group, {str(groups[0])!r}, so no group can be held out: add slides of "
            "other groups, or pass split='block' (--split block)"
        )
    folds = []
    for test in range(k):
        validation = part == (test + 1) % k
        if k == 2:
            chosen = np.flatnonzero(validation)
            validation = np.zeros(len(part), bool)
            validation[chosen[_deal(inner[chosen], seed) == 0]] = True
        folds.append(Fold(*map(np.flatnonzero, (~validation & (part != test), validation, part == test))))
    return folds


def held_fold(groups: np.ndarray, tested: np.ndarray, inner: np.ndarray, seed: int = 0) -> Fold:
    """Return the fold that tests some spots (bool, n); other spots of their groups are left out of it.

    Validation is a fifth of the other groups, or of the blocks if there is only one other group: see `group_folds`.

    Raises
    ------
    DataError
        If no spot is of another group.
    """
    rest = np.flatnonzero(~np.isin(groups, groups[tested]))
    if not len(rest):
        raise DataError(
            "no labelled spot is left to train on: all of them belong to tested slides or to the groups of tested "
            "slides. Name fewer slides as test= (--test), or add slides of other groups"
        )
    part = _deal(groups[rest], seed)
    part = part if part.any() else _deal(inner[rest], seed)
    return Fold(rest[part != 0], rest[part == 0], np.flatnonzero(tested))


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
