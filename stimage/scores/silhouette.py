"""The silhouette of tens of thousands of spots, exactly, in flat memory."""

import numpy as np
import torch

from stimage.core.errors import DataError
from stimage.scores.threads import one_thread

TILE = 512  # rows and columns of distances held at once: 1 MB


def silhouette_samples(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return each spot's silhouette (Rousseeuw 1987), Euclidean, as scikit-learn's ``silhouette_samples``.

    Spots are sorted by class, so that a tile of distances is between two classes, and each pair is computed once.
    Distances are float32 after centring, their sums float64; the error per spot is below 1e-6 unless spots nearly
    coincide.

    Parameters
    ----------
    x
        float (n, d).
    labels
        (n,), of at least 2 and at most n - 1 kinds.

    Returns
    -------
    np.ndarray
        float64 (n,), of -1 to 1; 0 for a spot that is alone in its class.

    Raises
    ------
    DataError
        If there are too few or too many classes.
    """
    names, own, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    if not 2 <= len(names) < len(own):
        raise DataError(f"{len(own)} spots of {len(names)} classes have no silhouette: it needs 2 classes or more, and "
                        "fewer than spots")  # fmt: skip
    order = np.argsort(own, kind="stable")
    with one_thread():
        sums = _distance_sums(np.asarray(x)[order], sizes)
    own, row = own[order], np.arange(len(own))
    within = sums[row, own] / np.maximum(sizes[own] - 1, 1)
    between = sums / sizes
    between[row, own] = np.inf
    nearest = between.min(1)
    largest = np.maximum(within, nearest)
    sorted_values = np.where(
        (sizes[own] > 1) & (largest > 0), (nearest - within) / np.where(largest > 0, largest, 1), 0
    )
    values = np.empty(len(own))
    values[order] = sorted_values
    return values


def _distance_sums(x: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return each spot's summed distance to each class, float64 (n, classes); ``x`` is sorted by class."""
    x = torch.from_numpy((x - x.mean(0, dtype=np.float64)).astype(np.float32))  # centred: small squares cancel less
    squares, transposed = (x * x).sum(1), x.T.contiguous()
    starts = np.r_[0, np.cumsum(sizes)].tolist()
    tiles = [
        (c, i, min(i + TILE, starts[c + 1])) for c in range(len(sizes)) for i in range(starts[c], starts[c + 1], TILE)
    ]
    sums = torch.zeros(len(sizes), len(x), dtype=torch.float64)
    room = torch.empty(TILE * TILE)
    for k, (c, i, i_end) in enumerate(tiles):
        for other, j, j_end in tiles[k:]:
            block = room[: (i_end - i) * (j_end - j)].view(i_end - i, j_end - j)
            torch.addmm(squares[None, j:j_end], x[i:i_end], transposed[:, j:j_end], alpha=-2, out=block)
            block.add_(squares[i:i_end, None]).clamp_(min=0).sqrt_()
            if i == j:
                block.fill_diagonal_(0)
            else:
                sums[c, j:j_end] += block.sum(0)
            sums[other, i:i_end] += block.sum(1)
    return sums.T.numpy()
