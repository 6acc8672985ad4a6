"""Expression from embeddings: the original's protocol, HEST-Benchmark's, and one that holds slides out properly."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from stimage.cells.features import NucleiOfSlides
from stimage.core.errors import DataError
from stimage.evaluation.expression_data import EmbeddedSlide, Expression, read_expression, read_places, slide_colours
from stimage.evaluation.saved.predictions import PredictedSlide
from stimage.evaluation.saved.regressors import Regressor
from stimage.genes.panels import Panel
from stimage.scores.folds import SEEDS, random_folds
from stimage.scores.ridge import RidgeFit, ridge_path

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


def original_on_slide(vectors: np.ndarray, target: np.ndarray) -> tuple[float, list[Ridge]]:
    """Fit one gene on one slide as the original does: by five random splits, with one penalty.

    Parameters
    ----------
    vectors, target
        float32 (n x d), float32 (n); spots in sorted order.

    Returns
    -------
    alpha, models
        The penalty of the least mean error on validation spots, and the model of each split with it: see
        `stimage.scores.folds.random_folds`.

    Raises
    ------
    DataError
        If there are fewer than 20 spots.
    """
    n = len(target)
    if n < 20:
        raise DataError(f"{n} spots are too few for a split of 80/10/10: at least 20 are needed")
    folds, fitted, errors = random_folds(n), [], np.zeros((len(ALPHAS), len(SEEDS)))
    for i, alpha in enumerate(ALPHAS):
        fitted.append([original_ridge(alpha).fit(vectors[fold.train], target[fold.train]) for fold in folds])
        for j, (model, fold) in enumerate(zip(fitted[-1], folds)):
            errors[i, j] = np.mean((model.predict(vectors[fold.validation]) - target[fold.validation]) ** 2)
    best = int(errors.mean(1).argmin())
    return ALPHAS[best], fitted[best]


def original_ridge(alpha: float) -> Ridge:
    """Return the regression that the original, and HEST, fit."""
    return Ridge(alpha=alpha, solver="lsqr", fit_intercept=False, max_iter=1000, random_state=0)


def hest_fold(train: np.ndarray, targets: np.ndarray, components: int = HEST_PCA) -> tuple[Regressor, dict]:
    """Fit a fold as HEST-Benchmark does (Jaume et al., NeurIPS 2024).

    Parameters
    ----------
    train, targets
        Embeddings (float32, n x d), log1p of raw counts (n x genes).

    Returns
    -------
    regressor, facts
        What predicts; and how many components there were (fewer than 256 where spots or dimensions are) and alpha.
    """
    scaler = StandardScaler().fit(train)
    components = min(components, *train.shape)
    pca = PCA(components, random_state=0).fit(scaler.transform(train))
    alpha = 100 / (components * targets.shape[1])
    model = original_ridge(alpha).fit(pca.transform(scaler.transform(train)), targets)
    return Regressor.of_scikit_learn(model, scaler, pca), {"components": components, "alpha": alpha}


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
        raise DataError(
            f"the {len(groups)} slides form only {len(members)} groups, too few for {max(folds, 2)} folds. Add slides "
            "of other groups, or pass patients= (--patients) or split='slide' (--split slide)"
        )
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


def with_counts(one: EmbeddedSlide, panel: Panel, kind: str) -> tuple[EmbeddedSlide, Expression]:
    """Return the spots of a slide that have a count at all, and their expression of a panel."""
    read = read_expression(one, panel, kind)
    kept = read.totals > 0
    if not kept.any():
        raise DataError(f"{one.slide.counts}: no spot that has an embedding has a count")
    return one.take(kept), read.take(kept)


@dataclass(frozen=True, eq=False)
class Measured:
    """The n spots of a slide, with their expression, its noise (n x genes) and places (n x 2).

    ``beside`` has features of other baselines, by name: where they are wanted, the colours of their patches (n x 6),
    and their nuclei (n x features).
    """

    spots: EmbeddedSlide
    values: np.ndarray
    noise: np.ndarray
    xy: np.ndarray
    beside: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.spots.slide.name

    def take_genes(self, columns: Sequence[int]) -> "Measured":
        return replace(self, values=self.values[:, columns], noise=self.noise[:, columns])

    def take(self, rows: np.ndarray) -> "Measured":
        beside = {name: one[rows] for name, one in self.beside.items()}
        return Measured(self.spots.take(rows), self.values[rows], self.noise[rows], self.xy[rows], beside)

    def baselines(self) -> dict[str, np.ndarray]:
        """Return the features of what needs no embedding, by name: n x 9 of places, and those beside."""
        return {"coordinates": place_features(self.xy), **self.beside}

    def features(self) -> list[tuple[str, Callable[["Measured"], np.ndarray]]]:
        """Return, by name, what makes features of a slide: embeddings first."""
        beside = [(name, lambda one, name=name: one.baselines()[name]) for name in self.baselines()]
        return [("embeddings", lambda one: one.spots.vectors), *beside]

    def predicted(self, said: Mapping[str, np.ndarray]) -> PredictedSlide:
        """Return predictions of the spots, truth beside."""
        return PredictedSlide(self.name, self.spots.spot_ids, self.values, self.noise, said)


def measured(
    one: EmbeddedSlide, panel: Panel, colour: bool, nuclei: NucleiOfSlides | None, kind: str = "median-log1p"
) -> Measured:
    """Read what is measured of a slide's spots; those without a count are left out, but by HEST's "log1p"."""
    spots, read = (one, read_expression(one, panel, kind)) if kind == "log1p" else with_counts(one, panel, kind)
    xy, radius = read_places(spots)
    beside = {"colour": slide_colours(spots.slide, xy[:, 0], xy[:, 1], radius)} if colour else {}
    beside |= {"nuclei": nuclei.features(spots.slide, xy, radius)} if nuclei else {}
    return Measured(spots, read.values, read.noise(), xy, beside)
