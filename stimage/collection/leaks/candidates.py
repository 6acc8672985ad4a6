"""Find pairs of slides that may be alike, without comparing all pairs: all those that `likenesses` would find."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from stimage.collection.leaks.fingerprints import SIDE, CountsPrint, ImagePrint
from stimage.collection.leaks.likeness import (
    ASPECT,
    COUNTED,
    EQUAL,
    FEWEST,
    NEAR,
    PLACED,
    SECTIONS,
    TOTALS,
    TURNS,
    WHOLE,
)

SAMPLED = 4  # one gene in so many, the same of all slides, tells whether two may be alike
ENOUGH = 200  # comparable genes of the sample; of fewer, the slides are compared themselves
SLACK = 1.5  # by which the sample may be off: at 200 genes, six standard errors
ROUNDING = 1e-3  # of correlations
AT_ONCE = 64  # slides whose patches are multiplied at once
Pair = tuple[int, int]


def candidates(
    counts: Sequence[CountsPrint | None], images: Sequence[ImagePrint | None], sections: bool = True
) -> set[Pair]:
    """Return the pairs of slides (i < j) that may be alike; in all others, `likenesses` finds nothing.

    Spots with the same counts are found by sorting all digests, so the time grows with the number of spots. Totals and
    expression are compared in a sample of genes, images by products of matrices.

    Parameters
    ----------
    counts, images
        Of each slide (n), or None.
    sections
        Whether sections of one piece of tissue are looked for.
    """
    known = [k for k, one in enumerate(counts) if one is not None]
    prints = [one for one in counts if one is not None]
    found = {*_sharing([one.spots for one in prints]), *_sharing([one.profiles for one in prints])}
    found |= {*_by_totals(prints, sections)} if prints else set()
    pairs = {(known[i], known[j]) for i, j in found}
    shown = [k for k, one in enumerate(images) if one is not None]
    seen = [one for one in images if one is not None]
    return pairs | {(shown[i], shown[j]) for some in (_by_patches(seen), _by_tissue(seen)) for i, j in some}


def _sharing(digests: Sequence[np.ndarray]) -> Iterator[Pair]:
    """Yield the pairs that share as many digests as twins must; each slide has a digest once."""
    if not digests:
        return
    values, own = np.concatenate(digests), np.repeat(np.arange(len(digests)), [len(one) for one in digests])
    order = np.lexsort((own, values))
    values, own, n = values[order], own[order], len(digests)
    pairs, apart = [], 1
    while apart < len(values) and (same := values[apart:] == values[:-apart]).any():
        pairs.append(own[:-apart][same] * n + own[apart:][same])
        apart += 1
    keys, times = np.unique(np.concatenate(pairs or [np.zeros(0, int)]), return_counts=True)
    yield from ((int(key // n), int(key % n)) for key in keys[times >= FEWEST])


def _by_totals(prints: Sequence[CountsPrint], sections: bool) -> Iterator[Pair]:
    """Yield the pairs whose genes' totals may be the same, or as alike as sections' are, by a sample of genes."""
    genes = np.unique(np.concatenate([one.genes[one.genes % np.uint64(SAMPLED) == 0] for one in prints]))
    totals = np.full((len(prints), len(genes)), -1.0)
    for row, one in zip(totals, prints):
        mine = one.genes % np.uint64(SAMPLED) == 0
        row[np.searchsorted(genes, one.genes[mine])] = one.totals[mine]
    for i, x in enumerate(totals):
        for j in range(i + 1, len(totals)):
            both = (x >= 0) & (totals[j] >= 0)
            if _may_be_alike(x[both], totals[j][both], sections):
                yield i, j


def _may_be_alike(x: np.ndarray, y: np.ndarray, sections: bool) -> bool:
    compared = (x >= TOTALS) | (y >= TOTALS)
    if compared.sum() < ENOUGH or (x == y)[compared].mean() >= EQUAL / SLACK:
        return True
    some = x + y >= COUNTED
    if not sections or some.sum() < ENOUGH:
        return sections
    x, y = x[some] + 0.5, y[some] + 0.5
    apart = np.log(x / y)
    apart -= np.median(apart)
    return bool(np.median(apart**2) / 0.455 - np.median(1 / x + 1 / y) < (SLACK * SECTIONS) ** 2)


def _by_patches(images: Sequence[ImagePrint]) -> Iterator[Pair]:
    """Yield the pairs of which enough patches are the same in one of the ways to turn them, wherever they lie."""
    least = NEAR - ROUNDING
    for first in range(0, len(images), AT_ONCE):
        some = images[first : first + AT_ONCE]
        table = np.concatenate([one.patches.reshape(len(one.patches), SIDE * SIDE) for one in some])
        starts = np.cumsum([0, *(len(one.patches) for one in some)])
        for i, one in enumerate(images[: first + len(some)]):
            alike = np.zeros(len(some), bool)
            for turn, flip in TURNS:
                turned = np.rot90(one.patches, turn, (1, 2))
                turned = turned[:, :, ::-1] if flip else turned
                near = turned.reshape(len(turned), SIDE * SIDE) @ table.T >= least
                hits = [near[:, a:b].any(1).sum() for a, b in pairwise(starts)]
                alike |= np.array(hits) >= PLACED
            yield from ((i, first + j) for j in np.flatnonzero(alike).tolist() if i < first + j)


def _by_tissue(images: Sequence[ImagePrint]) -> Iterator[Pair]:
    """Yield the pairs whose tissue as a whole looks the same."""
    table = np.array([one.tissue.ravel() for one in images])
    shape = np.log([one.aspect for one in images])
    for i in range(len(images)):
        alike = (table[i + 1 :] @ table[i] >= WHOLE - ROUNDING) & (np.abs(shape[i + 1 :] - shape[i]) <= 2 * ASPECT)
        yield from ((i, i + 1 + j) for j in np.flatnonzero(alike).tolist())
