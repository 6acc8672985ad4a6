"""Expression by neighbours: the mean of the nearest spots, after BLEEP (Xie et al., NeurIPS 2023)."""

from collections.abc import Callable

import numpy as np
from sklearn.neighbors import KNeighborsRegressor

from stimage.core.errors import DataError
from stimage.evaluation.expression_data import EmbeddedSlide
from stimage.loading.embeddings import Embeddings

AT_ONCE = 512  # spots whose neighbours are looked up together


def fit_neighbours(keys: np.ndarray, values: np.ndarray, k: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that predicts by the mean of the ``k`` nearest known spots, by cosine similarity.

    Parameters
    ----------
    keys, values
        Vectors (n x d) and expression (n x genes) of the known spots; of fewer than ``k``, all are taken.
    """
    nearest = KNeighborsRegressor(min(k, len(keys)), metric="cosine", algorithm="brute").fit(keys, values)

    def predict(vectors: np.ndarray) -> np.ndarray:
        parts = np.split(vectors, range(AT_ONCE, len(vectors), AT_ONCE))  # k x genes numbers a spot are held
        return np.concatenate([nearest.predict(part).reshape(len(part), -1) for part in parts])

    return predict


def keys_of(one: EmbeddedSlide, keys: Embeddings | None) -> np.ndarray:
    """Return by what a slide's spots are found (n x d): other embeddings, or their own.

    Raises
    ------
    DataError
        If the others lack a spot, or are of another length.
    """
    if keys is None:
        return one.vectors
    at = np.minimum(np.searchsorted(keys.spot_ids, one.spot_ids), len(keys) - 1)
    if (lost := keys.spot_ids[at] != one.spot_ids).any():
        raise DataError(f"keys= (--keys): lacks {lost.sum()} of the {len(one)} spots of slide {one.slide.name}, such "
                        f"as {str(one.spot_ids[lost.argmax()])!r}; embed them, too")  # fmt: skip
    if keys.vectors.shape[1] != one.vectors.shape[1]:
        raise DataError(f"keys= (--keys): has vectors of {keys.vectors.shape[1]}, but the embeddings have "
                        f"{one.vectors.shape[1]}; pass embeddings of one space")  # fmt: skip
    return keys.vectors[at]
