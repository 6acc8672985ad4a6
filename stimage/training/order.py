"""The order of training spots: whole global batches, the same for any number of processes."""

import numpy as np


def global_batches(
    slide: np.ndarray,
    batch_size: int,
    seed: int,
    epoch: int,
    slides_per_batch: int | None = None,
    rows: np.ndarray | None = None,
) -> list[np.ndarray]:
    """Return an epoch's batches of ``batch_size`` rows each; rows that do not fill a batch are left out of the epoch.

    Parameters
    ----------
    slide
        The slide of each row, as a number.
    slides_per_batch
        Fill batches from so many slides, as far as they go; None draws from all. Spots of one slide are harder to tell
        apart than those of many, which differ by stain and scanner.
    rows
        The rows of the epoch, of `epoch_rows`; None is all.
    """
    rng = np.random.default_rng([seed, epoch])
    rows = rng.permutation(len(slide) if rows is None else rows)
    if slides_per_batch is None:
        return _cut(rows, batch_size)[0]
    slides = rng.permutation(np.unique(slide[rows]))
    batches, left = [], []
    for k in range(0, len(slides), slides_per_batch):
        full, rest = _cut(rows[np.isin(slide[rows], slides[k : k + slides_per_batch])], batch_size)
        batches += full
        left.append(rest)
    batches += _cut(rng.permutation(np.concatenate(left)), batch_size)[0]
    return [batches[i] for i in rng.permutation(len(batches))]


def epoch_rows(
    slide: np.ndarray, groups: np.ndarray | None, seed: int, epoch: int, most: int | None = None
) -> np.ndarray | None:
    """Return the rows of an epoch, sorted; None for all, each once.

    Parameters
    ----------
    slide
        The slide of each row, as a number.
    groups
        Of each slide, the number of the group that gives as many rows as any other; None balances nothing. The epoch
        keeps its length: of a small group rows come more than once, evenly, of a large one some are left out.
    most
        Rows of a slide, at most; other ones each epoch.
    """
    if groups is None and most is None:
        return None
    rng = np.random.default_rng([seed, epoch, 1])
    rows = np.arange(len(slide))
    if most is not None:
        rows = np.concatenate([_drawn(rng, rows[slide == k], min(most, int(n))) for k, n in _sizes(slide)])
    if groups is not None:
        group = groups[slide[rows]]
        share = len(rows) // len(np.unique(group))
        rows = np.concatenate([_drawn(rng, rows[group == k], share) for k, _ in _sizes(group)])
    return np.sort(rows)


def _sizes(of: np.ndarray) -> list[tuple[int, int]]:
    return list(zip(*(part.tolist() for part in np.unique(of, return_counts=True))))


def _drawn(rng: np.random.Generator, rows: np.ndarray, number: int) -> np.ndarray:
    """Return so many rows: each as often as the others, and the rest at random."""
    times, rest = divmod(number, len(rows))
    return np.concatenate([np.tile(rows, times), rng.permutation(rows)[:rest]])


def _cut(rows: np.ndarray, size: int) -> tuple[list[np.ndarray], np.ndarray]:
    full = len(rows) // size
    return [rows[i * size : (i + 1) * size] for i in range(full)], rows[full * size :]
