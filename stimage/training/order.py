"""The order of training spots: whole global batches, the same for any number of processes."""

import numpy as np


def global_batches(
    slide: np.ndarray, batch_size: int, seed: int, epoch: int, slides_per_batch: int | None = None
) -> list[np.ndarray]:
    """Return an epoch's batches of ``batch_size`` rows each; rows that do not fill a batch are left out of the epoch.

    Parameters
    ----------
    slide
        The slide of each row, as a number.
    slides_per_batch
        Fill batches from so many slides, as far as they go; None draws from all. Spots of one slide are harder to tell
        apart than those of many, which differ by stain and scanner.
    """
    rng = np.random.default_rng([seed, epoch])
    rows = rng.permutation(len(slide))
    if slides_per_batch is None:
        return _cut(rows, batch_size)[0]
    slides = rng.permutation(np.unique(slide))
    batches, left = [], []
    for k in range(0, len(slides), slides_per_batch):
        full, rest = _cut(rows[np.isin(slide[rows], slides[k : k + slides_per_batch])], batch_size)
        batches += full
        left.append(rest)
    batches += _cut(rng.permutation(np.concatenate(left)), batch_size)[0]
    return [batches[i] for i in rng.permutation(len(batches))]


def _cut(rows: np.ndarray, size: int) -> tuple[list[np.ndarray], np.ndarray]:
    full = len(rows) // size
    return [rows[i * size : (i + 1) * size] for i in range(full)], rows[full * size :]
