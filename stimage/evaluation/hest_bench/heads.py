"""What HEST-Benchmark fits on embeddings: ridge regression after PCA or without, random forests, boosted trees."""

from collections.abc import Callable

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from stimage.core.extras import needs

COMPONENTS, TREES, SEED = 256, 70, 1  # as there
Head = Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]


def ridge_pca(x: np.ndarray, y: np.ndarray, test: np.ndarray, seed: int = SEED) -> np.ndarray:
    """Predict by ridge regression on 256 principal components of standardised embeddings.

    Parameters
    ----------
    x, y, test
        Embeddings (float32, n x d), log1p of counts (n x genes), embeddings (float32, m x d).
    seed
        Of the PCA, which draws at random where spots and dimensions are many.

    Returns
    -------
    np.ndarray
        m x genes.
    """
    scaler = StandardScaler().fit(x)
    pca = PCA(min(COMPONENTS, *x.shape), random_state=seed).fit(scaler.transform(x))
    x, test = (pca.transform(scaler.transform(part)).astype(np.float32) for part in (x, test))
    return ridge(x, y, test, seed)


def ridge(x: np.ndarray, y: np.ndarray, test: np.ndarray, seed: int = SEED) -> np.ndarray:
    """Predict by ridge regression on embeddings as they are; without an intercept, alpha 100 / (d genes)."""
    alpha = 100 / (x.shape[1] * y.shape[1])
    model = Ridge(alpha=alpha, solver="lsqr", fit_intercept=False, max_iter=1000, random_state=seed)
    return model.fit(x, y).predict(test).reshape(len(test), -1)


def random_forest(x: np.ndarray, y: np.ndarray, test: np.ndarray, seed: int = SEED) -> np.ndarray:
    """Predict by 70 trees a gene. HEST grows them on a GPU, by another library: figures are near, not equal."""
    models = (RandomForestRegressor(TREES, random_state=seed, n_jobs=-1).fit(x, column) for column in y.T)
    return np.stack([model.predict(test) for model in models], 1)


def boosted_trees(x: np.ndarray, y: np.ndarray, test: np.ndarray, seed: int = SEED) -> np.ndarray:
    """Predict by XGBoost: 100 rounds of trees of depth 3, at a rate of 0.1."""
    model = needs("xgboost").XGBRegressor(n_estimators=100, learning_rate=0.1, max_depth=3, min_child_weight=1,
                                          subsample=0.8, colsample_bytree=0.8, random_state=seed)  # fmt: skip
    return model.fit(x, y).predict(test).reshape(len(test), -1)


HEADS: dict[str, Head] = {
    "ridge-pca256": ridge_pca,
    "ridge": ridge,
    "random-forest": random_forest,
    "xgboost": boosted_trees,
}
