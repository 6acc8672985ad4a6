"""Scores of embeddings against labels: compactness, agreement of clusters with labels, mixing of slides."""

import random

import igraph
import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import (
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    normalized_mutual_info_score,
)
from sklearn.neighbors import NearestNeighbors

from stimage.core.errors import DataError
from stimage.scores.folds import MAX_SPOTS
from stimage.scores.silhouette import silhouette_samples
from stimage.scores.threads import one_thread

NEIGHBOURS = 15
SEED = 0


def embedding_scores(x: np.ndarray, labels: np.ndarray, most: int = MAX_SPOTS, seed: int = SEED) -> dict:
    """Score embeddings against labels, on Euclidean distances.

    Parameters
    ----------
    x
        float32 (n, d).
    labels
        (n,), at least 2 kinds and fewer than spots.
    most
        Largest number of spots to score. Beyond it, ``most`` spots are drawn with ``seed``, without replacement, and
        ``sampled`` says so.

    Returns
    -------
    dict
        ``spots`` and ``classes``, their numbers; ``sampled``, the number of sampled spots or null. ``silhouette`` (-1
        to 1), ``calinski_harabasz`` (more is better) and ``davies_bouldin`` (less is better) are scikit-learn's.
        ``kmeans`` (as many clusters as classes, 10 starts) and ``leiden`` have ``ari`` and ``nmi`` of their clusters
        with the labels. Leiden clusters (Traag et al. 2019) are by modularity, resolution 1, on the graph of 15 nearest
        neighbours.

    Raises
    ------
    DataError
        If there are too few or too many classes.
    """
    x, labels, sampled = _sampled(np.asarray(x, np.float32), np.asarray(labels), most, seed)
    with one_thread():
        return {
            "spots": len(labels),
            "classes": len(np.unique(labels)),
            "sampled": sampled,
            "silhouette": float(silhouette_samples(x, labels).mean()),
            "calinski_harabasz": float(calinski_harabasz_score(x, labels)),
            "davies_bouldin": float(davies_bouldin_score(x, labels)),
            "kmeans": _agreement(labels, kmeans_clusters(x, len(np.unique(labels)), seed)),
            "leiden": _agreement(labels, leiden_clusters(x, seed)),
        }


def batch_mixing(
    x: np.ndarray, labels: np.ndarray, slides: np.ndarray, most: int = MAX_SPOTS, seed: int = SEED
) -> float:
    """Return how well slides mix within labels: 1 if a label's spots lie together whatever their slide, 0 if apart.

    The figure is batch ASW (Luecken et al., Nature Methods 2022): for each label that is on several slides, the mean of
    1 - |silhouette of slides among its spots|; then the mean over labels. NaN if no label is on several slides.
    """
    values = []
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        some, of_slide, _ = _sampled(x[mine], slides[mine], most, seed)
        if 2 <= len(np.unique(of_slide)) < len(of_slide):
            values.append(float((1 - np.abs(silhouette_samples(some, of_slide))).mean()))
    return float(np.mean(values)) if values else float("nan")


def kmeans_clusters(x: np.ndarray, k: int, seed: int = SEED) -> np.ndarray:
    """Return k-means' cluster of each spot, int (n,)."""
    return KMeans(k, n_init=10, random_state=seed).fit_predict(x)


def leiden_clusters(x: np.ndarray, seed: int = SEED) -> np.ndarray:
    """Return the Leiden cluster of each spot, int (n,), on the undirected graph of nearest neighbours."""
    near = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(x) - 1)).fit(x).kneighbors_graph().tocoo()
    graph = igraph.Graph(len(x), np.stack([near.row, near.col], 1).tolist()).simplify()
    igraph.set_random_number_generator(random.Random(seed))
    try:
        found = graph.community_leiden("modularity", resolution=1.0, n_iterations=-1)
    finally:
        igraph.set_random_number_generator(random)  # igraph has one generator for all
    return np.array(found.membership)


def l2_normalise(x: np.ndarray) -> np.ndarray:
    """Return vectors scaled to unit norm, as cosine similarity sees them."""
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def _agreement(labels: np.ndarray, clusters: np.ndarray) -> dict:
    return {
        "clusters": len(np.unique(clusters)),
        "ari": float(adjusted_rand_score(labels, clusters)),
        "nmi": float(normalized_mutual_info_score(labels, clusters)),
    }


def _sampled(x: np.ndarray, labels: np.ndarray, most: int, seed: int) -> tuple[np.ndarray, np.ndarray, int | None]:
    if len(x) != len(labels):
        raise DataError(f"{len(x)} vectors and {len(labels)} labels: give one label for each vector")
    if len(x) <= most:
        return x, labels, None
    rows = np.sort(np.random.default_rng(seed).choice(len(x), most, replace=False))
    return x[rows], labels[rows], most
