"""One fit of the data set authors' classifier; apart, so that worker processes import nothing else."""

import numpy as np
from sklearn.linear_model import SGDClassifier
from threadpoolctl import threadpool_limits


def fit(
    x: np.ndarray, labels: np.ndarray, train: np.ndarray, parts: tuple[np.ndarray, ...], alpha: float, k: int
) -> tuple[np.ndarray, ...]:
    """Fit rows ``train`` of x (n, d), and return what the classifier says of other rows: see `sgd_scores`."""
    seen = np.unique(labels[train])
    if len(seen) == 1:  # scikit-learn refuses; such a training part can only ever say one thing
        return tuple(_spread(np.zeros((len(rows), 1)), seen, k) for rows in parts)
    model = SGDClassifier(
        loss="log_loss", penalty="l2", alpha=alpha, class_weight="balanced", max_iter=10_000, random_state=1
    )
    with threadpool_limits(1):
        model.fit(x[train], labels[train])
        return tuple(_spread(_decisions(model, x[rows]), seen, k) for rows in parts)


def _decisions(model: SGDClassifier, x: np.ndarray) -> np.ndarray:
    scores = model.decision_function(x)
    return scores if scores.ndim == 2 else np.stack([-scores, scores], 1)


def _spread(scores: np.ndarray, seen: np.ndarray, k: int) -> np.ndarray:
    """Put the columns of the classes seen in training among those of all k."""
    wide = np.full((len(scores), k), -np.inf)
    wide[:, seen] = scores
    return wide
