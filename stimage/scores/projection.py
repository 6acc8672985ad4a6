"""Embeddings in two dimensions, by t-SNE or UMAP, the same on every run."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from stimage.core.errors import DataError
from stimage.core.extras import needs

COMPONENTS = 50  # of a PCA before


def project(vectors: np.ndarray, method: str, seed: int = 0) -> np.ndarray:
    """Return places in the plane (n x 2) of vectors (n x d): scaled to unit length, then 50 principal components.

    "t-SNE-original" is the data set authors': scikit-learn's t-SNE, by its defaults, of the vectors as they are.

    Raises
    ------
    DataError
        If there are fewer than 10 spots.
    """
    if len(vectors) < 10:
        raise DataError(f"{len(vectors)} spots are too few to project; at least 10 are needed")
    x = np.asarray(vectors, np.float64)
    if method == "t-SNE-original":
        if len(x) <= 30:
            raise DataError(f"{len(x)} spots are too few for t-SNE-original, whose perplexity is 30; pass t-SNE as "
                            "method= (--method)")  # fmt: skip
        return TSNE(random_state=seed).fit_transform(x)
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    x = PCA(min(COMPONENTS, *x.shape), random_state=seed).fit_transform(x)
    if method == "t-SNE":
        return TSNE(perplexity=min(30, (len(x) - 1) / 3), random_state=seed, init="pca").fit_transform(x)
    return needs("umap").UMAP(n_neighbors=min(15, len(x) - 1), random_state=seed, n_jobs=1).fit_transform(x)


def draw_some(n: int, most: int, seed: int = 0) -> np.ndarray:
    """Return the numbers of at most ``most`` of n spots, drawn at random, in order."""
    return np.sort(np.random.default_rng(seed).permutation(n)[:most])
