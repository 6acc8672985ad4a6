"""Ridge regression as the protocols use it, and correlations that score predictions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


def pearson(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return Pearson's r of each gene (columns of n x genes); NaN where truth or prediction does not vary."""
    a, b = (np.asarray(values, np.float64) for values in (truth, predicted))
    a, b = a - a.mean(0), b - b.mean(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = (a * b).sum(0) / np.sqrt((a * a).sum(0) * (b * b).sum(0))
    return np.where(_constant(truth) | _constant(predicted), np.nan, r)


def fair_pearson(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return `pearson`, but 0 where the truth varies and the prediction does not: NaN then marks a constant gene."""
    r = pearson(truth, predicted)
    return np.where(np.isnan(r) & ~_constant(truth), 0.0, r)


def _constant(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    return values.max(0) == values.min(0)


@dataclass(frozen=True, eq=False)
class RidgeFit:
    """A fitted regression: standardised features (less ``mean``, by ``scale``) times ``weights``, plus ``offset``."""

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    offset: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        return ((features - self.mean) / self.scale) @ self.weights + self.offset


def ridge_path(features: np.ndarray, targets: np.ndarray, alphas: Sequence[float]) -> list[RidgeFit]:
    """Fit ridge regressions with an intercept, exactly, for all penalties by one eigendecomposition.

    Minimises the mean squared error plus alpha times the squared weights of standardised features; so alpha means the
    same for any number of spots.

    Parameters
    ----------
    features, targets
        n x d, n x genes; worked on in float64.
    """
    x, y = np.asarray(features, np.float64), np.asarray(targets, np.float64)
    mean, scale, offset = x.mean(0), x.std(0), y.mean(0)
    scale = np.where(scale > 1e-12 * np.maximum(1, np.abs(mean)), scale, 1.0)  # a constant feature is 0
    x, y = (x - mean) / scale, y - offset
    n = len(x)
    values, vectors = np.linalg.eigh(x.T @ x / n)
    projected = vectors.T @ (x.T @ y / n)
    return [RidgeFit(mean, scale, vectors @ (projected / (np.maximum(values, 0) + a)[:, None]), offset) for a in alphas]
