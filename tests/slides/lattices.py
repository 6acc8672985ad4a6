"""Made lattices, whose pitch is known, and the scale of a slide whose spots lie on one."""

import numpy as np
import pyarrow as pa
from hypothesis import settings

from stimage.slides.catalog import Slide
from stimage.slides.coordinates import Coordinates
from stimage.slides.scale.scale import Scale, slide_scale

SOME = settings(max_examples=60)
KINDS = ["square", "hexagonal"]
KIND = {"ST": "square", "Visium": "hexagonal", "VisiumHD": "square"}


def lattice(kind: str, side: int, pitch: float) -> np.ndarray:
    """Return side x side points (x, y), whose nearest neighbours are a pitch apart."""
    i, j = (a.ravel() for a in np.mgrid[0.0:side, 0:side])
    if kind == "square":
        return np.stack([j, i], 1) * pitch
    return np.stack([j + i % 2 / 2, i * np.sqrt(3) / 2], 1) * pitch


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return points @ np.array([[cos, sin], [-sin, cos]])


def worn(points: np.ndarray, pitch: float, jitter: float, missing: float, seed: int) -> np.ndarray:
    """Shift each point by up to a share of the pitch in x and in y, and leave a share of the points out."""
    rng = np.random.default_rng(seed)
    points = points + rng.uniform(-jitter, jitter, points.shape) * pitch
    return points[rng.random(len(points)) >= missing]


def spots(points: np.ndarray, r: float, ids: list[str] | None = None) -> Coordinates:
    ids = ids or [f"S_{i}" for i in range(len(points))]
    return Coordinates(pa.chunked_array([ids], pa.string()), *points.T, np.full(len(points), r))


def scale_of(points: np.ndarray, r: float, tech: str, ids: list[str] | None = None, name: str = "S", **given) -> Scale:
    """Return the scale of a slide whose bins, if it is of Visium HD, are of 8 µm, if ids do not say otherwise."""
    if tech == "VisiumHD" and not ids:
        ids = bins(len(points), "008")
    return slide_scale(spots(points, r, ids), Slide(name, tech, "", "", "", **given))


def bins(n: int, um: str, name: str = "S") -> list[str]:
    return [f"{name}_s_{um}um_{i:05d}_00012-1" for i in range(n)]


def array_ids(array: np.ndarray, name: str = "S", form: str = "g") -> list[str]:
    return [f"{name}_{a:{form}}x{b:{form}}" for a, b in array]


def checkerboard(rows: int, columns: int) -> np.ndarray:
    """Return array coordinates of every other place."""
    a, b = (one.ravel() for one in np.mgrid[1 : rows + 1, 1 : columns + 1])
    return np.stack([a, b], 1)[(a + b) % 2 == 0].astype(float)


def not_trusted(points: np.ndarray, r: float, tech: str, ids: list[str] | None = None) -> Scale:
    scale = scale_of(points, r, tech, ids)
    assert scale.um_per_px is None and scale.reason.startswith("not trusted: ")
    assert "give um_per_px" in scale.reason and scale.source is None and scale.verdict != "pass"
    return scale
