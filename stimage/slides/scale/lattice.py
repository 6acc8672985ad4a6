"""The lattice of a slide's spots, measured from their positions alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

SAMPLE = 4000  # spots whose neighbours are looked at
MANY = 200_000  # spots, from which on only those around the sample are looked through
IN_CELL, MOST_CELLS = 8, 4000  # spots of a cell on average, and cells along a side
BLOCK = 1 << 20  # spots that are looked at together
NEAR = 0.25  # of the pitch, by which neighbours may be nearer or further
MIN_BONDS = 24  # neighbour pairs, counted from both ends
MIN_ORDER = 0.8  # bond order below which spots form no lattice; real slides have 0.94-1.00
MIN_SHARE = 0.25  # of the mean number of bonds, in each direction; 0 where one is stretched out of reach


@dataclass(frozen=True)
class Lattice:
    """The lattice of a slide's spots.

    ``kind`` is "square", "hexagonal" or "none". ``pitch`` is the distance of nearest neighbours along the lattice's
    closest direction, in pixels. ``order`` is the bond-orientational order, 1 for a perfect lattice. ``stretch`` is the
    share by which the lattice is longer along one line than across it, in any direction. ``rows`` is the number of rows
    of spots that it spans along its longest direction, without a few spots far out. ``turn`` is the smallest angle, in
    radians, between a direction of the lattice and the x axis.
    """

    kind: str
    pitch: float
    order: float
    stretch: float
    rows: int = 0
    turn: float = 0.0


def measure_lattice(x: np.ndarray, y: np.ndarray) -> Lattice | None:
    """Measure the lattice of spot centres (n, in pixels); None if there are too few neighbours.

    The vectors to neighbours at about the nearest distance are averaged by direction, so that jitter cancels out. Their
    bond-orientational order tells four neighbours from six (Nelson and Halperin, Phys. Rev. B 19, 2457, 1979).
    """
    bonds = _bonds(x, y)
    if bonds is None:
        return None
    angle = np.arctan2(bonds[:, 1], bonds[:, 0])
    order = {fold: np.exp(1j * fold * angle).mean() for fold in (4, 6)}
    fold = max(order, key=lambda fold: abs(order[fold]))
    turn, step = np.angle(order[fold]) / fold, 2 * np.pi / fold
    direction = np.rint((angle - turn) / step).astype(int) % fold
    along = np.bincount(direction, minlength=fold)
    ideal = np.stack([np.cos(turn + step * np.arange(fold)), np.sin(turn + step * np.arange(fold))], 1)[along > 0]
    mean = np.stack([bonds[direction == k].mean(0) for k in np.flatnonzero(along)])
    pitch = float(np.hypot(*mean.T).min())
    regular = abs(order[fold]) >= MIN_ORDER and along.min() > MIN_SHARE * along.mean()
    kind = {4: "square", 6: "hexagonal"}[fold] if regular else "none"
    return Lattice(kind, pitch, float(abs(order[fold])), _stretch(ideal, mean), _rows(x, y, turn, pitch), float(turn))


def _bonds(x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """Return the vectors to nearest neighbours (m, 2), of spots from all over the slide."""
    if len(x) < 7:
        return None
    at = np.linspace(0, len(x) - 1, min(len(x), SAMPLE)).astype(int)
    some = np.stack([x[at], y[at]], 1)
    if len(x) > MANY:
        bonds = _near_bonds(*_around(some, x, y), some)
        if bonds is not None:
            return bonds
    return _near_bonds(np.stack([x, y], 1), np.inf, some)


def _around(some: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Return all spots (m, 2) of the square cells that have one of ``some`` (k, 2) or touch such a cell, and its side.

    So each of ``some`` has all its neighbours up to a cell's side away.
    """
    low = np.array([x.min(), y.min()])
    size = np.array([x.max(), y.max()]) - low
    side = max(float(np.sqrt(size.prod() * IN_CELL / len(x))), float(size.max()) / MOST_CELLS)
    if side == 0:  # all lie at one place
        return some, 0.0
    wanted = np.zeros((size / side).astype(int) + 3, bool)
    i, j = ((some - low) / side).astype(int).T
    for down in range(3):
        for right in range(3):
            wanted[i + down, j + right] = True
    near = []
    for _, points in _blocks(x, y):
        i, j = ((points - low) / side).astype(int).T
        near.append(points[wanted[i + 1, j + 1]])
    return np.concatenate(near), side


def _near_bonds(points: np.ndarray, reach: float, some: np.ndarray) -> np.ndarray | None:
    """Return the vectors (m, 2) from some spots to their neighbours at about the nearest distance, if these suffice.

    None too where that distance is beyond the ``reach`` up to which ``points`` has all neighbours.
    """
    from scipy.spatial import cKDTree  # here, so that reading slides does not wait for scipy

    if len(points) < 7:
        return None
    distance, neighbour = cKDTree(points).query(some, k=7)
    bonds = (points[neighbour[:, 1:]] - some[:, None]).reshape(-1, 2)
    length = np.hypot(*bonds.T)
    pitch = np.median(distance[:, 1])
    for _ in range(3):  # the nearest of several jittered neighbours is too near: settle on the middle of all
        known = 0 < pitch <= reach / (1 + NEAR)
        near = np.abs(length / pitch - 1) < NEAR if known else np.zeros(len(length), bool)
        if near.sum() < MIN_BONDS:
            return None
        pitch = np.median(length[near])
    return bonds[near]


def _stretch(ideal: np.ndarray, mean: np.ndarray) -> float:
    """Fit the map of a perfect lattice's directions (k, 2) to those that were found, and return how far it stretches.

    Lengths alone would not tell: those of a square lattice that is stretched along its diagonal stay equal.
    """
    most, least = np.linalg.svd(np.linalg.lstsq(ideal, mean, rcond=None)[0], compute_uv=False)
    return float(most / least - 1) if least > 0 else np.inf


def _rows(x: np.ndarray, y: np.ndarray, turn: float, pitch: float) -> int:
    across = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    out, along, spans = 1 + len(x) // 200, np.empty(len(x)), []
    for k in range(2):
        for some, points in _blocks(x, y):
            along[some] = (points @ across)[:, k]
        along.partition([out, len(x) - 1 - out])
        spans.append(along[-1 - out] - along[out])
    return int(np.rint(max(spans) / pitch)) + 1


def _blocks(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield some points (k, 2) at a time, and which these are, so that memory does not grow with the slide."""
    for begin in range(0, len(x), BLOCK):
        some = slice(begin, begin + BLOCK)
        yield some, np.stack([x[some], y[some]], 1)
