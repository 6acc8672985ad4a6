"""The data set authors' linear probe: scikit-learn's stochastic gradient descent, many fits at once."""

from collections.abc import Sequence

import numpy as np
from joblib import Parallel, cpu_count, delayed, parallel_config

from stimage.scores.folds import Fold
from stimage.scores.sgd.fit import fit

SGD_PENALTIES = (1.0, 0.1, 0.01, 0.001, 0.0001)
ALONE = 5_000  # numbers in the table; below, processes take longer to start than to fit


def sgd_scores(
    x: np.ndarray, labels: np.ndarray, folds: Sequence[Fold], alphas: Sequence[float] = SGD_PENALTIES
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
    jobs = [
        delayed(fit)(x, labels, fold.train, (fold.validation, fold.test), alpha, k)
        for fold in folds
        for alpha in alphas
    ]
    workers = 1 if x.size < ALONE else cpu_count()
    with parallel_config("loky", n_jobs=min(workers, len(jobs))):
        done = Parallel()(jobs)
    return [done[i : i + len(alphas)] for i in range(0, len(done), len(alphas))]
