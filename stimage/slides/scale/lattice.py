"""The lattice that a slide's spots lie on, measured from their places alone."""

from dataclasses import dataclass

import numpy as np

SAMPLE = 4000  # spots whose neighbours are looked at
MIN_BONDS = 24  # neighbour pairs, counted from both ends
MIN_ORDER = 0.8  # bond order below which spots form no lattice; real slides have 0.94-1.00
MIN_SHARE = 0.25  # of the mean number of bonds, in each direction; 0 where one is stretched out of reach


@dataclass(frozen=True)
class Lattice:
    """The lattice of a slide's spots.

    ``kind`` is "square", "hexagonal" or "none"; ``pitch`` the distance of nearest neighbours along the lattice's
    closest direction, in pixels; ``order`` the bond-orientational order, 1 for a perfect lattice; ``stretch`` how much
    longer the lattice is along one line than across it, whichever way it is turned, as a share; ``rows`` how many rows
    of spots it spans, along the direction where they are most, but for few that lie far out.
    """

    kind: str
    pitch: float
    order: float
    stretch: float
    rows: int = 0


def measure_lattice(x: np.ndarray, y: np.ndarray) -> Lattice | None:
    """Measure the lattice of spot centres (n, in pixels); None where there are too few neighbours to tell.

    The vectors to neighbours at about the nearest distance are averaged by direction, so jitter cancels out, and
    their bond-orientational order tells four neighbours from six (Nelson and Halperin, Phys. Rev. B 19, 2457, 1979).
    """
    points = np.stack([x, y], 1)
    bonds = _bonds(points)
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
    return Lattice(kind, pitch, float(abs(order[fold])), _stretch(ideal, mean), _rows(points, turn, pitch))


def _bonds(points: np.ndarray) -> np.ndarray | None:
    """Return the vectors to nearest neighbours (m, 2), of spots from all over the slide."""
    from scipy.spatial import cKDTree  # here, so that reading slides does not wait for scipy

    if len(points) < 7:
        return None
    some = points[np.linspace(0, len(points) - 1, min(len(points), SAMPLE)).astype(int)]
    distance, neighbour = cKDTree(points).query(some, k=7)
    bonds = (points[neighbour[:, 1:]] - some[:, None]).reshape(-1, 2)
    length = np.hypot(*bonds.T)
    pitch = np.median(distance[:, 1])
    for _ in range(3):  # the nearest of several jittered neighbours is too near: settle on the middle of all
        near = np.abs(length / pitch - 1) < 0.25 if pitch > 0 else np.zeros(len(length), bool)
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


def _rows(points: np.ndarray, turn: float, pitch: float) -> int:
    across = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    along = np.sort(points @ across, axis=0)
    out = 1 + len(points) // 200
    return int(np.rint((along[-1 - out] - along[out]).max() / pitch)) + 1
