"""How coordinates of a store's spots become pixels of its image: by transformations to systems that both are in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stimage.core.errors import DataError, one_line
from stimage.core.extras import needs

STRETCH = 0.05  # by which an image's scale may differ between its axes
APART = 0.01  # share of an image's size by which two systems may disagree
STRAIGHT = 1e-3  # share of an image's size, of axes that are the image's own
OWN = ""  # of `Fit.units`: coordinates of the spots' own element


@dataclass(frozen=True, eq=False)
class Fit:
    """An affine matrix (3 x 3) from coordinates of the spots' element to pixels of an image.

    ``units`` has, by system of coordinates whose axes and origin are the image's, pixels per unit.
    """

    matrix: np.ndarray
    units: Mapping[str, float]

    @property
    def scale(self) -> float:
        """Pixels per unit of the element's coordinates."""
        return scale_of(self.matrix)


def fit_of(element: Any, image: Any, size: tuple[int, int], called: str) -> Fit | None:
    """Return how an element lies in an image of this height and width; None if they are in no system together.

    Raises
    ------
    DataError
        If a transformation is none that can be used, or systems disagree.
    """
    of, to = _affine(element, called), _affine(image, called)
    if not (shared := [system for system in of if system in to]):
        return None
    try:
        matrices = {system: np.linalg.inv(to[system]) @ of[system] for system in shared}
        first, corners = matrices[shared[0]], corners_of(size)
        back = np.linalg.inv(first)
    except np.linalg.LinAlgError as error:
        raise DataError(f"{called}: a transformation has no inverse ({one_line(error)}); correct it") from None
    if not all(np.isfinite(matrix).all() for matrix in matrices.values()):
        raise DataError(f"{called}: a transformation has numbers that are not finite; correct it")
    for system, matrix in matrices.items():
        if np.abs(moved(corners, matrix @ back) - corners).max() > APART * max(size) + 2:
            raise DataError(
                f"{called} lie differently in the coordinate systems {shared[0]!r} and {system!r}; remove the wrong "
                "transformation (spatialdata.transformations.remove_transformation)"
            )
    if (axes := np.linalg.svd(first[:2, :2], compute_uv=False))[0] > (1 + STRETCH) * axes[1]:
        raise DataError(f"{called}: a transformation stretches them {axes[0] / axes[1]:.3g} x more one way than the "
                        "other, so that spots are no circles; correct it")  # fmt: skip
    own = {OWN: first} | {system: np.linalg.inv(to[system]) for system in shared}
    return Fit(first, {name: scale_of(matrix) for name, matrix in own.items() if _is_straight(matrix, size)})


def pixels_without_image(element: Any, called: str, is_labels: bool) -> np.ndarray:
    """Return the matrix from an element's coordinates to pixels of a full image that its store does not have.

    These are the element's own, where a system has the same, or else those of its one system.
    """
    of = _affine(element, called)
    if not is_labels and any(np.allclose(matrix, np.eye(3)) for matrix in of.values()):
        return np.eye(3)
    if len(of) == 1:
        return next(iter(of.values()))
    raise DataError(f"{called} is in the coordinate systems {', '.join(of)}, and no image of the store tells which is "
                    "of its pixels; keep that one (spatialdata.transformations.remove_transformation)")  # fmt: skip


def scale_of(matrix: np.ndarray) -> float:
    """Return by how much a matrix makes lengths longer."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))


def moved(xy: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return places (n x 2) under an affine matrix (3 x 3)."""
    return xy @ matrix[:2, :2].T + matrix[:2, 2]


def corners_of(size: tuple[int, int]) -> np.ndarray:
    """Return the corners of an image of this height and width, as x and y (4 x 2)."""
    height, width = size
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], float)


def _is_straight(matrix: np.ndarray, size: tuple[int, int]) -> bool:
    scale = scale_of(matrix)
    off = np.abs(matrix[:2] - np.array([[scale, 0, 0], [0, scale, 0]])) / [scale, scale, max(size)]
    return bool(off.max() < STRAIGHT)


def _affine(element: Any, called: str) -> dict[str, np.ndarray]:
    """Return the matrix from an element's own coordinates to each of its systems."""
    transformations = needs("spatialdata.transformations").get_transformation(element, get_all=True)
    try:
        return {system: np.asarray(one.to_affine_matrix(("x", "y"), ("x", "y")), float)
                for system, one in transformations.items()}  # fmt: skip
    except ValueError as error:
        raise DataError(f"{called}: a transformation is not affine ({one_line(error)})") from None
