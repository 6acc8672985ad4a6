"""The linear probe: how well a linear classifier on embeddings tells the pathologist's labels apart."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold

from stimage.core.errors import DataError
from stimage.scores.folds import PROTOCOLS, Fold
from stimage.scores.logistic import TOLERANCE, fit_one_vs_rest, principal_axes
from stimage.scores.probe_scores import FoldPredictions, confusion, macro_f1
from stimage.scores.sgd.probe import SGD_PENALTIES, sgd_scores
from stimage.scores.threads import one_thread

# 1e-6 at unit norm is the authors' 1e-4 at norm 10, as CLIP has; less, a fit to the tolerance can't tell from 0
PENALTIES = tuple(10.0**-e for e in range(7))
SEARCH = 1e-4  # tolerance where alpha is chosen; the fit that is tested is to 1e-5
Prepare = Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]]


def predict_folds(protocol: str, x: np.ndarray, labels: np.ndarray, folds: Sequence[Fold]) -> FoldPredictions:
    """Fit and predict by a protocol.

    ``original`` is the protocol of the data set's authors: stochastic gradient descent on the embeddings as they are,
    with the alpha of 1 to 1e-4 whose macro-F1 on validation is best in the mean over folds. ``converged`` minimises the
    same objective to convergence, on embeddings centred by the training part and scaled to unit norm. Its alpha, of 1
    to 1e-6, is best on the fold's own validation. The classifier is then fitted on training and validation together.

    Parameters
    ----------
    x
        float32 (n, d).
    labels
        int (n,), 0 to k - 1.

    Raises
    ------
    DataError
        If there are fewer than two classes, or a part of a fold is empty.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol={protocol!r}: pass one of {PROTOCOLS}")
    check_folds(labels, folds)
    return _original(x, labels, folds) if protocol == "original" else converged(x, labels, folds)


def check_folds(labels: np.ndarray, folds: Sequence[Fold]) -> None:
    """Raise `DataError` if there is nothing to tell apart, or nothing to learn, tune or test on."""
    if len(np.unique(labels)) < 2:
        raise DataError(f"all {len(labels)} spots have one label, so there is nothing to tell apart: add slides")
    for number, fold in enumerate(folds, 1):
        for part in ("train", "validation", "test"):
            if not len(getattr(fold, part)):
                raise DataError(f"fold {number} has no spot for {part}: {len(labels)} spots are too few for this split")


def probe_f1(
    train_x: np.ndarray,
    train_labels: Sequence[str] | np.ndarray,
    test_x: np.ndarray,
    test_labels: Sequence[str] | np.ndarray,
    alphas: Sequence[float] = PENALTIES,
) -> float:
    """Return the macro-F1 of the ``converged`` probe, over the classes that the test part has.

    Alpha is chosen on a fifth of the training part (stratified where classes allow, seed 0).

    Parameters
    ----------
    train_x, test_x
        Embeddings (n, d) and (m, d), NumPy or CPU tensors; of different slides, if the figure is to mean anything.
    train_labels, test_labels
        n and m labels.

    Raises
    ------
    DataError
        If the training part has but one class, or the test part is empty.
    """
    n = len(train_labels)
    x = np.concatenate([np.asarray(train_x, np.float32), np.asarray(test_x, np.float32)])
    names, labels = np.unique([*train_labels, *test_labels], return_inverse=True)
    if len(np.unique(labels[:n])) < 2:
        raise DataError("the training part of the probe has but one label: pass spots of two or more")
    train, validation = _tuning(labels[:n])
    folds = [Fold(train, validation, np.arange(n, len(labels)))]
    check_folds(labels, folds)
    said = converged(x, labels, folds, alphas).scores[0].argmax(1)
    return float(macro_f1(confusion(labels[n:], said, len(names)), all_named=False))


def unit(train: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function that centres vectors by the training part's mean and scales each to unit norm."""
    centre = train.mean(0, dtype=np.float64)

    def prepared(x: np.ndarray) -> np.ndarray:
        x = x - centre
        return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)

    return prepared


def standardiser(train: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function that standardises features by the training part's mean and standard deviation."""
    centre, scale = train.mean(0, dtype=np.float64), train.std(0, dtype=np.float64)
    return lambda x: (x - centre) / np.where(scale > 0, scale, 1)


def converged(
    x: np.ndarray, labels: np.ndarray, folds: Sequence[Fold], alphas: Sequence[float] = PENALTIES
) -> FoldPredictions:
    """Predict as the protocol ``converged`` does: see `predict_folds`."""
    return predict_tuned(_turned(x), labels, folds, unit, alphas)


def predict_tuned(
    x: np.ndarray, labels: np.ndarray, folds: Sequence[Fold], prepare: Prepare, alphas: Sequence[float] = PENALTIES
) -> FoldPredictions:
    """Choose alpha on each fold's validation part, fit on training and validation, and predict the test part.

    ``prepare`` takes the vectors that are fitted on, and returns the function that is applied to all vectors before.
    """
    k = int(labels.max()) + 1
    scores, chosen = [], []
    for fold in folds:
        model = _fitted(x, labels, fold.train, prepare, k, alphas, SEARCH)
        said = model(x[fold.validation]).reshape(-1, len(alphas), k).argmax(2)
        f1 = [macro_f1(confusion(labels[fold.validation], column, k), False) for column in said.T]
        chosen.append(alphas[int(np.argmax(f1))])
        both = np.concatenate([fold.train, fold.validation])
        scores.append(_fitted(x, labels, both, prepare, k, chosen[-1:], TOLERANCE)(x[fold.test]))
    return FoldPredictions([fold.test for fold in folds], scores, chosen)


def _turned(x: np.ndarray) -> np.ndarray:
    """Turn vectors to their principal axes, where fits are fast; centring and scaling to unit norm turn with them."""
    axes = principal_axes(torch.from_numpy(unit(x)(x)))
    with one_thread():
        return ((x - x.mean(0, dtype=np.float64)) @ axes.numpy()).astype(np.float32)


def _fitted(
    x: np.ndarray,
    labels: np.ndarray,
    rows: np.ndarray,
    prepare: Prepare,
    k: int,
    alphas: Sequence[float],
    tolerance: float,
) -> Callable[[np.ndarray], np.ndarray]:
    """Fit some rows; return the function from vectors (n, d) to scores (n, alphas · k)."""
    ready = prepare(x[rows])
    table = torch.from_numpy(ready(x[rows]).astype(np.float32))
    model = fit_one_vs_rest(table, labels[rows], k, alphas, tolerance).double().numpy()

    def scores(vectors: np.ndarray) -> np.ndarray:
        with one_thread():
            return ready(vectors) @ model[:, :-1].T + model[:, -1]

    return scores


def _original(x: np.ndarray, labels: np.ndarray, folds: Sequence[Fold]) -> FoldPredictions:
    k = int(labels.max()) + 1
    scores = sgd_scores(x, labels, folds)
    f1 = [
        [macro_f1(confusion(labels[fold.validation], validation.argmax(1), k), True) for validation, _ in by_alpha]
        for fold, by_alpha in zip(folds, scores)
    ]
    best = int(np.mean(f1, axis=0).argmax())
    return FoldPredictions([fold.test for fold in folds], [s[best][1] for s in scores], [SGD_PENALTIES[best]])


def _tuning(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to train on and a fifth to choose alpha on; classes of fewer than 5 spots only train."""
    sizes = np.bincount(labels)
    common = np.flatnonzero(sizes[labels] >= 5)
    if not len(common):
        raise DataError("the probe needs a label with at least 5 training spots, to choose alpha")
    validation = common[next(StratifiedKFold(5, shuffle=True, random_state=0).split(common, labels[common]))[1]]
    return np.setdiff1d(np.arange(len(labels)), validation), validation
