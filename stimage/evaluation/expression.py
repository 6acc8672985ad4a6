"""Expression from embeddings: the original's protocol, HEST-Benchmark's, and one that holds slides out properly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from stimage.core.errors import DataError
from stimage.evaluation.averages import mean_and_std
from stimage.evaluation.expression_data import EmbeddedSlide, Expression, read_expression
from stimage.genes.panels import Panel
from stimage.scores.ceilings import Ceilings
from stimage.scores.folds import random_folds
from stimage.scores.ridge import RidgeFit, fair_pearson, pearson, ridge_path

ALPHAS = (1.0, 0.1, 0.01, 0.001, 0.0001)  # the original's
WIDE_ALPHAS = tuple(10.0**k for k in range(-4, 4))
HEST_PCA = 256
BLOCKS = 5  # of a lone training slide


@dataclass(frozen=True, eq=False)
class SlidePrediction:
    """Truth and prediction (n x genes) of a slide that was not trained on, and the training slides in words."""

    spots: EmbeddedSlide
    genes: tuple[str, ...]
    truth: np.ndarray
    predicted: np.ndarray
    trained_on: str


def original_on_slide(vectors: np.ndarray, target: np.ndarray) -> dict:
    """Score one gene on one slide as the original does.

    Parameters
    ----------
    vectors, target
        float32 (n x d), float32 (n); spots in sorted order.

    Returns
    -------
    dict
        ``best_alpha``, by the mean validation error over five random splits; and there mean and sample deviation of the
        test error and of Pearson's r, NaN where a test part's truth does not vary.

    Raises
    ------
    DataError
        If there are fewer than 20 spots.
    """
    n = len(target)
    if n < 20:
        raise DataError(f"{n} spots are too few for a split of 80/10/10: at least 20 are needed")
    folds = random_folds(n)
    validation, error, r = (np.zeros((len(ALPHAS), len(folds))) for _ in range(3))
    for i, alpha in enumerate(ALPHAS):
        for j, fold in enumerate(folds):
            model = original_ridge(alpha).fit(vectors[fold.train], target[fold.train])
            validation[i, j] = np.mean((model.predict(vectors[fold.validation]) - target[fold.validation]) ** 2)
            truth, predicted = target[fold.test], model.predict(vectors[fold.test])
            error[i, j] = np.mean((predicted - truth) ** 2)
            r[i, j] = pearson(truth[:, None], predicted[:, None])[0]
    best = int(validation.mean(1).argmin())
    return {"best_alpha": ALPHAS[best], "n": n, "mse": mean_and_std(error[best]), "pearson": mean_and_std(r[best])}


def original_ridge(alpha: float) -> Ridge:
    """Return the regression that the original, and HEST, fit."""
    return Ridge(alpha=alpha, solver="lsqr", fit_intercept=False, max_iter=1000, random_state=0)


def hest_fold(
    train: np.ndarray, train_targets: np.ndarray, test: np.ndarray, components: int = HEST_PCA
) -> tuple[np.ndarray, dict]:
    """Predict a fold as HEST-Benchmark does (Jaume et al., NeurIPS 2024).

    Parameters
    ----------
    train, train_targets, test
        Embeddings (float32, n x d), log1p of raw counts (n x genes), embeddings (m x d).

    Returns
    -------
    predicted, facts
        m x genes; and how many components there were (fewer than 256 where spots or dimensions are) and alpha.
    """
    scaler = StandardScaler().fit(train)
    components = min(components, *train.shape)
    pca = PCA(components, random_state=0).fit(scaler.transform(train))
    inner, outer = (pca.transform(scaler.transform(part)) for part in (train, test))
    alpha = 100 / (components * train_targets.shape[1])
    predicted = original_ridge(alpha).fit(inner, train_targets).predict(outer)
    return predicted.reshape(len(test), -1), {"components": components, "alpha": alpha}


def leave_out(groups: Mapping[str, str], folds: int | None = None) -> list[list[str]]:
    """Return the slides that each fold tests: one group left out at a time, or groups in bins.

    Bins are filled as HEST does: from the largest group on, each goes where fewest slides are.

    Parameters
    ----------
    groups
        Slide name → group.
    folds
        How many bins; without it, as many as groups.

    Raises
    ------
    DataError
        If there are fewer than two groups, or fewer groups than folds.
    """
    members: dict[str, list[str]] = {}
    for name, group in groups.items():
        members.setdefault(group, []).append(name)
    folds = folds or len(members)
    if len(members) < 2 or not 2 <= folds <= len(members):
        raise DataError(f"{len(groups)} slides are of {len(members)} groups, so there are no {max(folds, 2)} folds; "
                        "add slides of others, pass patients= (--patients), or split='slide' (--split "
                        "slide)")  # fmt: skip
    bins: list[list[str]] = [[] for _ in range(folds)]
    for group in sorted(members, key=lambda group: (-len(members[group]), group)):
        min(bins, key=len).extend(members[group])
    return bins


def fit_fixed(
    parts: Sequence[tuple[np.ndarray, np.ndarray]], groups: Sequence[str], order: Sequence[np.ndarray]
) -> tuple[RidgeFit, float]:
    """Fit a ridge regression whose penalty is chosen inside the training part.

    By the squared error when each training group is left out in turn, each group weighing the same; of a lone group,
    each of five blocks of spots, cut across the slide.

    Parameters
    ----------
    parts
        Features (n x d) and targets (n x genes) of each training slide.
    groups
        Each slide's group.
    order
        Each slide's place of spots along x (n), by which blocks are cut.

    Returns
    -------
    model, alpha
    """
    features, targets = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    own = np.repeat(np.unique(groups, return_inverse=True)[1], [len(part[0]) for part in parts])
    if not own.any():
        own = np.concatenate([np.argsort(np.argsort(x, kind="stable")) * BLOCKS // len(x) for x in order])
    errors = np.zeros(len(WIDE_ALPHAS))
    for group in np.unique(own):
        out = own == group
        for k, model in enumerate(ridge_path(features[~out], targets[~out], WIDE_ALPHAS)):
            errors[k] += np.mean((model(features[out]) - targets[out]) ** 2)
    alpha = WIDE_ALPHAS[int(errors.argmin())]
    return ridge_path(features, targets, [alpha])[0], alpha


def place_features(xy: np.ndarray) -> np.ndarray:
    """Return the baseline of coordinates' features (n x 9): x and y within the slide's spots, to the third power."""
    low, high = xy.min(0), xy.max(0)
    x, y = ((xy - low) / np.where(high > low, high - low, 1) * 2 - 1).T
    return np.stack([x, y, x * x, x * y, y * y, x**3, x * x * y, x * y * y, y**3], 1)


def fair_scores(truth: np.ndarray, predicted: np.ndarray, ceilings: Ceilings) -> dict:
    """Score predictions of many genes (n x genes), beside their noise ceilings.

    A gene that does not vary in the truth is left out of the mean, and counted; a prediction that does not vary where
    the truth does scores 0. So the mean is NaN only if no gene varies.
    """
    r = fair_pearson(truth, predicted)
    known = ~np.isnan(r)
    return {
        "n": len(truth),
        "pearson": float(r[known].mean()) if known.any() else float("nan"),
        "mse": float(np.mean((np.asarray(truth, np.float64) - predicted) ** 2)),
        "genes": int(known.sum()),
        "constant_genes": int((~known).sum()),
    } | beside_ceiling(r, ceilings)


def beside_ceiling(r: np.ndarray, ceilings: Ceilings) -> dict:
    """Return what share of the noise ceiling correlations reach (r: genes).

    Returns
    -------
    dict
        ``ceiling``, the mean over the genes whose ceiling is known, and ``of_ceiling``, their mean r divided by it: NaN
        if there is no such gene; ``ceiling_genes``, their number.
    """
    both = np.isfinite(r) & np.isfinite(ceilings.known)
    mean = float(ceilings.known[both].mean()) if both.any() else float("nan")
    share = float(r[both].mean()) / mean if both.any() else float("nan")
    return {"ceiling": mean, "of_ceiling": share, "ceiling_genes": int(both.sum())}


def gene_ceilings(genes: Sequence[str], r: np.ndarray, ceilings: Ceilings) -> dict[str, dict]:
    """Return gene → its noise ceiling, NaN where it is not known, its standard error, and r as a share of it."""
    rows = zip(genes, ceilings.known.tolist(), ceilings.error.tolist(), (r / ceilings.known).tolist())
    return {gene: {"ceiling": value, "error": error, "of_ceiling": share} for gene, value, error, share in rows}


def with_counts(one: EmbeddedSlide, panel: Panel, kind: str) -> tuple[EmbeddedSlide, Expression]:
    """Return the spots of a slide that have a count at all, and their expression of a panel."""
    read = read_expression(one, panel, kind)
    kept = read.totals > 0
    if not kept.any():
        raise DataError(f"{one.slide.counts}: no spot that has an embedding has a count")
    return one.take(kept), read.take(kept)
