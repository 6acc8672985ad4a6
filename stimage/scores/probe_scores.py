"""Scores of a classifier's predictions: F1, balanced accuracy, AUROC, confusion, and their uncertainty."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from stimage.scores.intervals import group_interval

METRICS = ("macro_f1", "balanced_accuracy", "auroc")


@dataclass(frozen=True, eq=False)
class FoldPredictions:
    """A classifier's predictions for the test spots of each fold: rows (int), and scores, float64 (spots, classes).

    ``alphas`` are the chosen penalties: one, or one a fold; empty for a classifier without.
    """

    rows: Sequence[np.ndarray]
    scores: Sequence[np.ndarray]
    alphas: Sequence[float] = ()

    def filter(self, wanted: np.ndarray) -> "FoldPredictions":
        """Return the predictions for some rows (bool by row) as one fold."""
        rows, scores = np.concatenate(self.rows), np.concatenate(self.scores)
        return FoldPredictions([rows[wanted[rows]]], [scores[wanted[rows]]], self.alphas)


def summarise(predicted: FoldPredictions, labels: np.ndarray, groups: np.ndarray, all_named: bool) -> dict:
    """Score predictions fold by fold, and all together.

    Parameters
    ----------
    labels, groups
        Label (int) and group (str) of each row (n,); intervals are over groups.
    all_named
        See `macro_f1`.

    Returns
    -------
    dict
        For each of `METRICS` its ``mean``, sample ``std`` and values ``by_fold``. ``confusion`` is summed over folds,
        with true classes as rows. ``alpha`` is the penalty. ``macro_f1_together`` is over all test spots as one, and
        its interval over groups is under ``intervals``: see `stimage.scores.intervals.group_interval`.
    """
    by_fold = {name: [] for name in METRICS}
    matrices = []
    for rows, scores in zip(predicted.rows, predicted.scores):
        matrices.append(confusion(labels[rows], scores.argmax(1), scores.shape[1]))
        by_fold["macro_f1"].append(float(macro_f1(matrices[-1], all_named)))
        by_fold["balanced_accuracy"].append(balanced_accuracy(matrices[-1]))
        by_fold["auroc"].append(auroc(labels[rows], scores))
    together = _together(predicted, labels, groups, all_named)
    return {name: _spread(values) for name, values in by_fold.items()} | {
        "confusion": np.sum(matrices, axis=0).tolist(),
        "alpha": list(predicted.alphas),
        "macro_f1_together": together["value"],
        "intervals": {"macro_f1_together": together},
    }


def confusion(truth: np.ndarray, said: np.ndarray, k: int) -> np.ndarray:
    """Count spots by true class (row) and predicted class (column), int (k, k)."""
    return np.bincount(truth * k + said, minlength=k * k).reshape(k, k)


def macro_f1(matrix: np.ndarray, all_named: bool) -> np.ndarray:
    """Return the mean F1 over classes of a confusion matrix, or of many (..., k, k); NaN where there are no spots.

    With ``all_named``, over the classes that are true or predicted somewhere, as scikit-learn's ``f1_score``; without,
    over those that are true somewhere, so that a stray prediction of a class that the slide lacks costs what one error
    costs.
    """
    hit, true, said = np.diagonal(matrix, axis1=-2, axis2=-1), matrix.sum(-1), matrix.sum(-2)
    counted = (true + said > 0) if all_named else true > 0
    f1 = 2 * hit / np.maximum(true + said, 1)
    if f1.ndim == 1:
        return np.asarray(np.mean(f1[counted]) if counted.any() else np.nan)
    return (f1 * counted).sum(-1) / np.maximum(counted.sum(-1), 1)


def balanced_accuracy(matrix: np.ndarray) -> float:
    """Return the mean, over the classes that are there, of the share of their spots that is recognised."""
    true = matrix.sum(1)
    return float((np.diag(matrix)[true > 0] / true[true > 0]).mean()) if true.any() else float("nan")


def auroc(truth: np.ndarray, scores: np.ndarray) -> float:
    """Return the mean area under the curve, each class against the rest; NaN where no class has both sides."""
    ranks = rankdata(scores, axis=0)
    own = np.arange(scores.shape[1]) == truth[:, None]
    n, m = own.sum(0), (~own).sum(0)
    both = (n > 0) & (m > 0)
    if not both.any():
        return float("nan")
    return float((((ranks * own).sum(0) - n * (n + 1) / 2)[both] / (n * m)[both]).mean())


def _spread(values: list[float]) -> dict:
    known = np.array(values)[~np.isnan(values)]
    return {
        "mean": float(known.mean()) if len(known) else None,
        "std": float(known.std(ddof=1)) if len(known) > 1 else None,
        "by_fold": values,
    }


def _together(predicted: FoldPredictions, labels: np.ndarray, groups: np.ndarray, all_named: bool) -> dict:
    """Return the macro-F1 of all test spots together, and its interval over groups."""
    rows, scores = np.concatenate(predicted.rows), np.concatenate(predicted.scores)
    names, own = np.unique(groups[rows], return_inverse=True)
    g, k = len(names), scores.shape[1]
    cell = (own * k + labels[rows]) * k + scores.argmax(1)
    matrices = np.bincount(cell, minlength=g * k * k).reshape(g, k, k)
    every = matrices.sum(0)
    without = macro_f1(every - matrices, all_named).tolist() if g > 1 else [float("nan")] * g
    return group_interval(float(macro_f1(every, all_named)), dict(zip(names.tolist(), without)))
