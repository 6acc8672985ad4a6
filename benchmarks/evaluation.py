"""What is measured of evaluation: the linear probe, the silhouette and clusters; the first two beside scikit-learn."""

import numpy as np

CLASSES = 7


def _spots(n: int, d: int, norm: float) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of a mean norm, with a few strong directions, as networks make them; and labels."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, n)
    mix = rng.normal(size=(d, d)) * np.exp(-np.arange(d) / (d / 6))[:, None] / d**0.5
    x = (rng.normal(size=(CLASSES, d)) * 0.14)[y] @ mix + rng.normal(size=(n, d)) @ mix * 0.5
    x += rng.normal(size=(n, d)) / d**0.5
    return (norm * x / np.linalg.norm(x, axis=1).mean()).astype(np.float32), y


def _mean_f1(predicted, y: np.ndarray) -> float:
    from stimage.evaluation.probe_scores import summarise

    return summarise(predicted, y, np.zeros(len(y)).astype(str), all_named=True)["macro_f1"]["mean"]


def probe_original(n: str, d: str, norm: str) -> dict:
    from stimage.evaluation.folds import random_folds
    from stimage.evaluation.linear_probe import predict

    x, y = _spots(int(n), int(d), float(norm))
    return {"macro_f1": _mean_f1(predict("original", x, y, random_folds(len(x))), y)}


def probe_converged(n: str, d: str, norm: str) -> dict:
    from stimage.evaluation.folds import random_folds
    from stimage.evaluation.linear_probe import predict

    x, y = _spots(int(n), int(d), float(norm))
    return {"macro_f1": _mean_f1(predict("converged", x, y, random_folds(len(x))), y)}


def probe_plain(n: str, d: str, norm: str) -> dict:
    """The data set authors' loop: 5 splits, 5 alphas, one fit after the other."""
    from sklearn.linear_model import SGDClassifier
    from sklearn.metrics import f1_score

    from stimage.evaluation.folds import random_folds

    x, y = _spots(int(n), int(d), float(norm))
    x = x.astype(np.float64)
    f1 = np.zeros((5, 5, 2))
    for i, fold in enumerate(random_folds(len(x))):
        for j, alpha in enumerate((1, 0.1, 0.01, 0.001, 0.0001)):
            model = SGDClassifier(loss="log_loss", penalty="l2", alpha=alpha, class_weight="balanced", max_iter=10000,
                                  random_state=1)  # fmt: skip
            model.fit(x[fold.train], y[fold.train])
            for part, rows in enumerate((fold.validation, fold.test)):
                f1[i, j, part] = f1_score(y[rows], model.predict(x[rows]), average="macro")
    return {"macro_f1": float(f1[:, f1[:, :, 0].mean(0).argmax(), 1].mean())}


def clusters_ours(n: str) -> dict:
    from stimage.evaluation.embedding_scores import kmeans_clusters, leiden_clusters

    x, _ = _points(int(n))
    return {"clusters": [len(np.unique(found)) for found in (kmeans_clusters(x, CLASSES), leiden_clusters(x))]}


def _points(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, n)
    return ((rng.normal(size=(CLASSES, 32)) * 0.5)[y] + rng.normal(size=(n, 32)) + 3).astype(np.float32), y


def silhouette_ours(n: str, out: str) -> dict:
    from stimage.evaluation.silhouette import silhouette_samples

    values = silhouette_samples(*_points(int(n)))
    np.save(out, values)
    return {"silhouette": round(float(values.mean()), 6)}


def silhouette_plain(n: str, out: str) -> dict:
    from sklearn.metrics import silhouette_samples

    x, y = _points(int(n))
    values = silhouette_samples(x.astype(np.float64), y)
    np.save(out, values)
    return {"silhouette": round(float(values.mean()), 6)}
