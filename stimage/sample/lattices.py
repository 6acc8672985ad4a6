"""Where the spots of a made slide lie: the lattices of the three technologies, as real slides have them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MadeSpots:
    """Spot ids (n), centres x, y (float64, n) in pixels, and the radius all share."""

    ids: list[str]
    x: np.ndarray
    y: np.ndarray
    r: float

    def take(self, places: np.ndarray) -> "MadeSpots":
        """Return some of the spots."""
        return MadeSpots([self.ids[i] for i in places], self.x[places], self.y[places], self.r)


def st_lattice(slide: str, side: int, um_per_px: float, rng: np.random.Generator) -> MadeSpots:
    """Place spots on a square lattice of 200 µm, with the jitter of hand-made arrays; r is half of a 100 µm spot."""
    pitch = 200 / um_per_px
    i, j = (a.ravel() for a in np.mgrid[0:side, 0:side])
    x, y = _turned(j * pitch, i * pitch, rng.uniform(-1, 1))
    x, y = (a + rng.normal(0, 0.03 * pitch, a.shape) for a in (x, y))
    return MadeSpots([f"{slide}_{b + 4}x{a + 4}" for a, b in zip(i, j)], x + pitch, y + pitch, pitch / 4)


def visium_lattice(slide: str, side: int, um_per_px: float, rng: np.random.Generator) -> MadeSpots:
    """Place spots on a hexagonal lattice of 100 µm; r is that of CytAssist slides, of a 70 µm spot."""
    pitch = 100 / um_per_px
    i, j = (a.ravel() for a in np.mgrid[0:side, 0:side])
    x, y = _turned((j + i % 2 / 2) * pitch, i * pitch * np.sqrt(3) / 2, rng.uniform(-0.5, 0.5))
    x, y = (a + rng.normal(0, 0.002 * pitch, a.shape) for a in (x, y))
    letters = rng.choice(list("ACGT"), (len(x), 16))
    letters[:, :8] = np.array(list("ACGT"))[np.arange(len(x))[:, None] // 4 ** np.arange(8) % 4]  # no barcode twice
    return MadeSpots([f"{slide}_{''.join(word)}-1" for word in letters], x + pitch, y + pitch, pitch / 2.857)


def hd_bins(slide: str, side: int, um_per_px: float) -> MadeSpots:
    """Place square bins of 8 µm side by side; r is half a side."""
    pitch = 8 / um_per_px
    i, j = (a.ravel() for a in np.mgrid[0:side, 0:side])
    ids = [f"{slide}_s_008um_{a:05d}_{b:05d}-1" for a, b in zip(i, j)]
    return MadeSpots(ids, (j + 1.5) * pitch, (i + 1.5) * pitch, pitch / 2)


def _turned(x: np.ndarray, y: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    return x * cosine - y * sine, x * sine + y * cosine
