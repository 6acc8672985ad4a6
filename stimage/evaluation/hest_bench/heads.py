"""The regressors of HEST-Benchmark: ridge regression with or without PCA, random forests, boosted trees."""

from collections.abc import Callable

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from stimage.core.extras import needs
from stimage.evaluation.saved.regressors import Regressor

COMPONENTS, TREES, SEED = 256, 70, 1  # as there
Model = Callable[[np.ndarray], np.ndarray]
Head = Callable[[np.ndarray, np.ndarray, int], Model]


def ridge_pca(x: np.ndarray, y: np.ndarray, seed: int = SEED) -> Regressor:
    """Fit a ridge regression on 256 principal components of standardised embeddings.

    Parameters
    ----------
    x, y
        Embeddings (float32, n x d), log1p of counts (n x genes).
    seed
        Of the PCA, which draws at random where spots and dimensions are many.

    Returns
    -------
    Regressor
        What predicts the genes of embeddings (float32, m x d).
    """
    scaler = StandardScaler().fit(x)
    pca = PCA(min(COMPONENTS, *x.shape), random_state=seed).fit(scaler.transform(x))
    model = _ridge(pca.transform(scaler.transform(x)).astype(np.float32), y, seed)
    return Regressor.of_scikit_learn(model, scaler, pca)


def ridge(x: np.ndarray, y: np.ndarray, seed: int = SEED) -> Regressor:
    """Fit a ridge regression on embeddings as they are; without an intercept, alpha 100 / (d genes)."""
    return Regressor.of_scikit_learn(_ridge(x, y, seed))


def _ridge(x: np.ndarray, y: np.ndarray, seed: int) -> Ridge:
    alpha = 100 / (x.shape[1] * y.shape[1])
    return Ridge(alpha=alpha, solver="lsqr", fit_intercept=False, max_iter=1000, random_state=seed).fit(x, y)


def random_forest(x: np.ndarray, y: np.ndarray, seed: int = SEED) -> Model:
    """Grow 70 trees a gene. HEST grows them on a GPU, by another library: figures are near, not equal."""
    models = [RandomForestRegressor(TREES, random_state=seed, n_jobs=-1).fit(x, column) for column in y.T]
    return lambda test: np.stack([model.predict(test) for model in models], 1)


def boosted_trees(x: np.ndarray, y: np.ndarray, seed: int = SEED) -> Model:
    """Grow XGBoost's trees: 100 rounds of depth 3, at a rate of 0.1."""
    model = needs("xgboost").XGBRegressor(n_estimators=100, learning_rate=0.1, max_depth=3, min_child_weight=1,
                                          subsample=0.8, colsample_bytree=0.8, random_state=seed)  # fmt: skip
    model.fit(x, y)
    return lambda test: model.predict(test).reshape(len(test), -1)


HEADS: dict[str, Head] = {
    "ridge-pca256": ridge_pca,
    "ridge": ridge,
    "random-forest": random_forest,
    "xgboost": boosted_trees,
}
