"""The data set authors' linear probe: scikit-learn's stochastic gradient descent, many fits at once."""

import os
from collections.abc import Sequence

import numpy as np
from joblib import Parallel, delayed, parallel_config
from sklearn.linear_model import SGDClassifier

from stimage.evaluation.folds import Fold
from stimage.evaluation.threads import one_thread

ALPHAS = (1.0, 0.1, 0.01, 0.001, 0.0001)
ALONE = 5_000  # numbers in the table; below, processes take longer to start than to fit


def sgd_scores(
    x: np.ndarray, labels: np.ndarray, folds: Sequence[Fold], alphas: Sequence[float] = ALPHAS
) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    """Fit a classifier on each fold's training part with each alpha.

    Each fit is scikit-learn's own, with one BLAS thread, so the numbers do not depend on how many processes there are.

    Parameters
    ----------
    x
        float32 or float64 (n, d), fitted in float64.
    labels
        Of int (n,), 0 to k - 1.

    Returns
    -------
    list of list of (validation, test)
        By fold and alpha: what the classifier says, float64 (spots, k), -inf for classes that it was not trained on.
    """
    x = np.asarray(x, np.float64)
    k = int(labels.max()) + 1
    jobs = [delayed(_fit)(x, labels, fold, alpha, k) for fold in folds for alpha in alphas]
    workers = 1 if x.size < ALONE else len(os.sched_getaffinity(0))
    with parallel_config("loky", n_jobs=min(workers, len(jobs))):
        done = Parallel()(jobs)
    return [done[i : i + len(alphas)] for i in range(0, len(done), len(alphas))]


def _fit(x: np.ndarray, labels: np.ndarray, fold: Fold, alpha: float, k: int) -> tuple[np.ndarray, np.ndarray]:
    seen = np.unique(labels[fold.train])
    if len(seen) == 1:  # scikit-learn refuses; such a training part can only ever say one thing
        return tuple(_spread(np.zeros((len(rows), 1)), seen, k) for rows in (fold.validation, fold.test))
    model = SGDClassifier(
        loss="log_loss", penalty="l2", alpha=alpha, class_weight="balanced", max_iter=10_000, random_state=1
    )
    with one_thread():
        model.fit(x[fold.train], labels[fold.train])
        return tuple(_spread(_decisions(model, x[rows]), seen, k) for rows in (fold.validation, fold.test))


def _decisions(model: SGDClassifier, x: np.ndarray) -> np.ndarray:
    if not len(x):
        return np.zeros((0, len(model.classes_)))
    scores = model.decision_function(x)
    return scores if scores.ndim == 2 else np.stack([-scores, scores], 1)


def _spread(scores: np.ndarray, seen: np.ndarray, k: int) -> np.ndarray:
    """Put the columns of the classes seen in training among those of all k."""
    wide = np.full((len(scores), k), -np.inf)
    wide[:, seen] = scores
    return wide
