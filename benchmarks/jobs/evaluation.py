"""The linear probe and the silhouette, beside a plain scikit-learn program; and clusters."""

from collections.abc import Iterator

import numpy as np

from benchmarks.jobs import loads

CLASSES = 7
SHOWN = 50  # of so many silhouettes, one is compared
TILE = 512


def _spots(n: int, d: int, norm: float) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of a mean norm, with a few strong directions, as networks make them; and labels."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, n)
    mix = rng.normal(size=(d, d)) * np.exp(-np.arange(d) / (d / 6))[:, None] / d**0.5
    x = (rng.normal(size=(CLASSES, d)) * 0.14)[y] @ mix + rng.normal(size=(n, d)) @ mix * 0.5
    x += rng.normal(size=(n, d)) / d**0.5
    return (norm * x / np.linalg.norm(x, axis=1).mean()).astype(np.float32), y


def _probe(protocol: str, n: str, d: str, norm: str) -> Iterator[dict | None]:
    from stimage.scores.folds import random_folds
    from stimage.scores.linear_probe import predict_folds
    from stimage.scores.probe_scores import summarise

    x, y = _spots(int(n), int(d), float(norm))
    yield None
    predicted = predict_folds(protocol, x, y, random_folds(len(x)))
    scores = summarise(predicted, y, np.zeros(len(y)).astype(str), all_named=True)
    yield {"spots": len(y), "macro_f1": scores["macro_f1"]["mean"]}


@loads("stimage.scores.linear_probe", "sklearn.metrics")
def probe_original(n: str, d: str, norm: str) -> Iterator[dict | None]:
    yield from _probe("original", n, d, norm)


@loads("stimage.scores.linear_probe", "sklearn.metrics")
def probe_converged(n: str, d: str, norm: str) -> Iterator[dict | None]:
    yield from _probe("converged", n, d, norm)


@loads("stimage.scores.folds", "sklearn.linear_model", "sklearn.metrics")
def probe_plain(n: str, d: str, norm: str) -> Iterator[dict | None]:
    """The data set authors' loop: 5 splits, 5 alphas, one fit after the other."""
    from sklearn.linear_model import SGDClassifier
    from sklearn.metrics import f1_score

    from stimage.scores.folds import random_folds

    x, y = _spots(int(n), int(d), float(norm))
    yield None
    x = x.astype(np.float64)
    f1 = np.zeros((5, 5, 2))
    for i, fold in enumerate(random_folds(len(x))):
        for j, alpha in enumerate((1, 0.1, 0.01, 0.001, 0.0001)):
            model = SGDClassifier(loss="log_loss", penalty="l2", alpha=alpha, class_weight="balanced", max_iter=10000,
                                  random_state=1)  # fmt: skip
            model.fit(x[fold.train], y[fold.train])
            for part, rows in enumerate((fold.validation, fold.test)):
                f1[i, j, part] = f1_score(y[rows], model.predict(x[rows]), average="macro")
    yield {"spots": len(y), "macro_f1": float(f1[:, f1[:, :, 0].mean(0).argmax(), 1].mean())}


def _points(n: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, int(n))
    return ((rng.normal(size=(CLASSES, 32)) * 0.5)[y] + rng.normal(size=(int(n), 32)) + 3).astype(np.float32), y


@loads("stimage.scores.silhouette")
def silhouette_ours(n: str) -> Iterator[dict | None]:
    from stimage.scores.silhouette import silhouette_samples

    x, y = _points(n)
    yield None
    yield {"silhouettes": silhouette_samples(x, y)[::SHOWN].tolist()}


@loads("sklearn.metrics")
def silhouette_plain(n: str) -> Iterator[dict | None]:
    from sklearn.metrics import silhouette_samples

    x, y = _points(n)
    yield None
    yield {"silhouettes": silhouette_samples(x.astype(np.float64), y)[::SHOWN].tolist()}


@loads("torch")
def silhouette_limit(n: str) -> Iterator[dict | None]:
    """Multiply each pair of spots once, tile by tile, in float32, and do nothing with the products."""
    import torch

    x = torch.from_numpy(_points(n)[0])
    transposed, room = x.T.contiguous(), torch.empty(TILE * TILE)
    yield None
    for i in range(0, len(x), TILE):
        for j in range(i, len(x), TILE):
            rows, columns = x[i : i + TILE], transposed[:, j : j + TILE]
            torch.mm(rows, columns, out=room[: len(rows) * columns.shape[1]].view(len(rows), -1))
    yield {"spots": len(x)}


@loads("stimage.scores.embedding_scores")
def clusters(n: str) -> Iterator[dict | None]:
    """Cluster by k-means and by Leiden."""
    from stimage.scores.embedding_scores import kmeans_clusters, leiden_clusters

    x, _ = _points(n)
    yield None
    yield {"clusters": [len(np.unique(found)) for found in (kmeans_clusters(x, CLASSES), leiden_clusters(x))]}
