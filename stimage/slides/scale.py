"""How many µm a pixel is: no file says it, so it is estimated from the lattice of the spots and held against r."""

import re
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from stimage.slides.coordinates import Coordinates

SAMPLE = 4000  # spots whose neighbours are looked at
MIN_BONDS = 24  # neighbour pairs, counted from both ends
MIN_ORDER = 0.8  # bond order below which spots form no lattice; real slides have 0.94-1.00
MIN_SHARE = 0.25  # of the mean number of bonds, in each direction; 0 where one is stretched out of reach
MAX_STRETCH = 0.05  # difference of the lattice's directions; real slides have 0.002-0.005
RATIO_TOLERANCE = 0.025


@dataclass(frozen=True)
class Geometry:
    """What is known of a technology: lattice, pitch in µm, and pitch / r as seen in real slides, with its reading."""

    kind: str
    pitch_um: float
    ratios: dict[float, str]


GEOMETRY = {
    "ST": Geometry(
        "square", 200, {4.0: "r is half of a 100 µm spot", 4.27: "r is of a 94 µm spot, as in HER2+ slides"}
    ),
    "Visium": Geometry(
        "hexagonal",
        100,
        {
            2.857: "r is of a 70 µm spot (CytAssist), not of the nominal 55 µm",
            3.07: "r is of a 65 µm spot (6.5 mm chips), not of the nominal 55 µm",
            3.317: "r is of a 60 µm spot (11 mm chips), not of the nominal 55 µm",
        },
    ),
    "VisiumHD": Geometry("square", 8, {2.0: "r is half of a bin's side"}),
}


@dataclass(frozen=True)
class Lattice:
    """The lattice of a slide's spots.

    ``kind`` is "square", "hexagonal" or "none"; ``pitch`` the distance of nearest neighbours along the lattice's
    closest direction, in pixels; ``order`` the bond-orientational order, 1 for a perfect lattice; ``stretch`` how much
    longer the longest direction's pitch is, as a share.
    """

    kind: str
    pitch: float
    order: float
    stretch: float


@dataclass(frozen=True)
class Scale:
    """µm per pixel and why: ``um_per_px`` is None where it can't be trusted; the two estimates are kept beside it."""

    um_per_px: float | None
    from_pitch: float | None
    ratio: float | None
    reason: str
    lattice: Lattice | None


def measure_lattice(x: np.ndarray, y: np.ndarray) -> Lattice | None:
    """Measure the lattice of spot centres (n, in pixels); None where there are too few neighbours to tell.

    The vectors to neighbours at about the nearest distance are averaged by direction, so jitter cancels out, and
    their bond-orientational order tells four neighbours from six (Nelson and Halperin, Phys. Rev. B 19, 2457, 1979).
    """
    points = np.stack([x, y], 1)
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
    bonds = bonds[near]
    angle = np.arctan2(bonds[:, 1], bonds[:, 0])
    order = {fold: np.exp(1j * fold * angle).mean() for fold in (4, 6)}
    fold = max(order, key=lambda fold: abs(order[fold]))
    direction = np.rint((angle - np.angle(order[fold]) / fold) / (2 * np.pi / fold)).astype(int) % fold
    pitches = [np.hypot(*bonds[direction == k].mean(0)) for k in range(fold) if (direction == k).any()]
    along = np.bincount(direction, minlength=fold)
    regular = abs(order[fold]) >= MIN_ORDER and along.min() > MIN_SHARE * along.mean()
    kind = {4: "square", 6: "hexagonal"}[fold] if regular else "none"
    return Lattice(kind, float(min(pitches)), float(abs(order[fold])), float(max(pitches) / min(pitches) - 1))


def estimate_scale(coordinates: Coordinates, tech: str) -> Scale:
    """Estimate µm per pixel from the lattice's pitch, and hold it against r.

    r alone is no ruler: it was derived from assumed or measured spot sizes that differ by chip. It is a witness: where
    pitch / r is none of the ratios seen in real slides, one of the two is wrong, and no scale is given.
    """
    geometry = GEOMETRY[tech]
    lattice = measure_lattice(coordinates.x, coordinates.y)
    if lattice is None:
        return Scale(None, None, None, f"not trusted: {len(coordinates)} spots are too few to see a lattice in", None)
    pitch_um = _bin_um(coordinates.ids[0].as_py()) or geometry.pitch_um
    from_pitch = pitch_um / lattice.pitch
    ratio = lattice.pitch / float(np.median(coordinates.r))
    known = min(geometry.ratios, key=lambda known: abs(ratio / known - 1))
    seen = f"pitch {lattice.pitch:.2f} px, {from_pitch:.3g} µm/px if it is {pitch_um:g} µm; pitch / r = {ratio:.3f}"
    problem = None
    if lattice.kind != geometry.kind:
        problem = f"the lattice is {lattice.kind} (order {lattice.order:.2f}), but {tech}'s is {geometry.kind}"
    elif lattice.stretch > MAX_STRETCH:
        problem = f"the lattice is stretched by {lattice.stretch:.0%} in one direction"
    elif abs(ratio / known - 1) > RATIO_TOLERANCE:
        problem = f"pitch and r disagree: known ratios are {', '.join(f'{k:g}' for k in geometry.ratios)}"
    if problem:
        return Scale(None, from_pitch, ratio, f"not trusted: {problem} ({seen})", lattice)
    return Scale(
        from_pitch, from_pitch, ratio, f"trusted: {lattice.kind} lattice, {seen}: {geometry.ratios[known]}", lattice
    )


def _bin_um(spot_id: str) -> float | None:
    """Read the bin size out of a Visium HD barcode (``s_008um_00012_00034-1``)."""
    found = re.search(r"_(\d{3})um_", spot_id)
    return float(found[1]) if found else None
