"""Regressors as files (safetensors), with all that is needed to predict again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from stimage.core.errors import DataError, one_line
from stimage.core.extras import needs
from stimage.core.files import replacing
from stimage.scores.ridge import RidgeFit

REGRESSORS = "regressors"  # the folder, with a file a fold
FACTS = "fold"  # the key of a file's metadata


@dataclass(frozen=True, eq=False)
class Regressor:
    """A chain of linear steps from features (n x d) to predictions (n x genes).

    Features, less ``mean`` and divided by ``scale`` (both d); less ``centre`` (d), onto ``components`` (k x d); times
    ``weights`` (d or k x genes); plus ``intercept`` (genes). A step whose parts are None is left out; without weights,
    every spot has the intercept.
    """

    intercept: np.ndarray
    weights: np.ndarray | None = None
    mean: np.ndarray | None = None
    scale: np.ndarray | None = None
    centre: np.ndarray | None = None
    components: np.ndarray | None = None

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Predict (n x genes), float64."""
        x = np.asarray(features, np.float64)
        if self.weights is None:
            return np.tile(self.intercept, (len(x), 1))
        if self.mean is not None and self.scale is not None:
            x = (x - self.mean) / self.scale
        if self.centre is not None and self.components is not None:
            x = (x - self.centre) @ self.components.T
        return x @ self.weights + self.intercept

    @classmethod
    def of_ridge(cls, fit: RidgeFit) -> "Regressor":
        return cls(fit.offset, fit.weights, fit.mean, fit.scale)

    @classmethod
    def of_scikit_learn(cls, model: Any, scaler: Any = None, pca: Any = None) -> "Regressor":
        """Return the chain of a fitted linear model, after a StandardScaler and a PCA if there are such."""
        weights = np.atleast_2d(model.coef_).T
        intercept = np.broadcast_to(model.intercept_, weights.shape[1:])
        parts = {} if scaler is None else {"mean": scaler.mean_, "scale": scaler.scale_}
        parts |= {} if pca is None else {"centre": pca.mean_, "components": pca.components_}
        return cls(intercept, weights, **parts)


PARTS = tuple(field.name for field in fields(Regressor))


def write_regressors(path: Path, regressors: Mapping[str, Regressor], genes: Sequence[str], facts: Mapping) -> None:
    """Write a fold's regressors: the tensor ``PREDICTOR.PART`` has a part of a `Regressor`.

    The metadata's ``fold`` is JSON: ``genes``, in the order of the columns, and what else is known of the fold.
    """
    tensors = {
        f"{name}.{part}": np.ascontiguousarray(value)
        for name, one in regressors.items()
        for part in PARTS
        if (value := getattr(one, part)) is not None
    }
    told = {FACTS: json.dumps({"genes": list(genes), **facts}, ensure_ascii=False)}
    with replacing(path) as new:
        needs("safetensors.numpy").save_file(tensors, str(new), told)


def read_regressors(path: Path) -> tuple[dict[str, Regressor], dict[str, Any]]:
    """Return predictor → regressor from a fold's file, and the facts about the fold.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    safetensors, parts = needs("safetensors"), {}
    try:
        with safetensors.safe_open(str(path), "numpy") as file:
            for key in file.keys():  # noqa: SIM118
                name, _, part = key.rpartition(".")
                parts.setdefault(name, {})[part] = file.get_tensor(key)
            facts = json.loads((file.metadata() or {})[FACTS])
        return {name: Regressor(**some) for name, some in parts.items()}, facts
    except (OSError, ValueError, TypeError, KeyError, safetensors.SafetensorError) as error:
        raise DataError(f"{path}: cannot be read as regressors ({one_line(error)}); make the results again") from None


def regressor_file(folder: Path, fold: int) -> Path:
    """Return the path of a fold's regressors in a folder of results."""
    return folder / REGRESSORS / f"fold_{fold}.safetensors"
