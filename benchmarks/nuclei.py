"""How well nuclei are found without a GPU, by how crowded they are and how coarse the image is.

`python -m benchmarks.nuclei` draws nuclei of known places: ellipses of 8 µm, give or take a fifth, of different
darkness, with chromatin, on tissue whose eosin varies. It prints a table of F1 of centres within 3 µm. Made nuclei are
easier than tissue: the table says how F1 falls, not what it is on a slide.
"""

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from stimage.cells.nuclei import detect

DIAMETER, WITHIN = 8.0, 3.0  # µm
SPACINGS = (2.0, 1.5, 1.2, 1.0, 0.8, 0.6)  # of the diameter, between centres, at least
COARSENESS = (0.25, 0.5, 0.7, 1.0, 1.5, 2.0, 2.5)  # µm/px
WIDE, HIGH = 300, 240  # µm
FINE = 0.25  # µm/px that is drawn, and made coarser
PINK, BLUE = np.array([226.0, 160, 196]), np.array([92.0, 62, 140])


def place(spacing: float, rng: np.random.Generator) -> np.ndarray:
    """Return centres in µm (n x 2), as many as 20,000 trials find room for."""
    found = np.zeros((0, 2))
    for one in rng.uniform((8, 8), (WIDE - 8, HIGH - 8), (20_000 if spacing < 1 else 8000, 2)):
        if (np.hypot(*(found - one).T) >= spacing * DIAMETER).all():
            found = np.concatenate([found, one[None]])
    return found


def draw(xy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return an image (uint8 RGB) of tissue with these nuclei, drawn at `FINE`."""
    high, wide = round(HIGH / FINE), round(WIDE / FINE)
    eosin = 40 * gaussian_filter(rng.normal(size=(high, wide)), 20) * 20
    image = PINK + eosin[..., None] * (0.3, 1.0, 0.5) + rng.normal(0, 6, (high, wide, 1))
    for x, y in xy / FINE:
        long = DIAMETER / 2 / FINE * rng.normal(1, 0.2)
        short, turn, dark = long * rng.uniform(0.65, 1), rng.uniform(0, np.pi), rng.uniform(0.6, 1)
        reach = int(1.3 * abs(long)) + 3
        rows, columns = (slice(max(int(c) - reach, 0), int(c) + reach + 1) for c in (y, x))
        v, u = np.mgrid[rows, columns][:, : high - rows.start, : wide - columns.start]
        a = (u - x) * np.cos(turn) + (v - y) * np.sin(turn)
        b = (v - y) * np.cos(turn) - (u - x) * np.sin(turn)
        far = np.hypot(a / long, b / short)
        cover = dark * np.clip((1 - far) * long + 0.5, 0, 1)
        chromatin = gaussian_filter(rng.normal(0, 60, far.shape), 2)
        image[rows, columns] += cover[..., None] * (BLUE + chromatin[..., None] - image[rows, columns])
    return np.clip(gaussian_filter(image, (1, 1, 0)), 0, 255).astype(np.uint8)


def f1(found: np.ndarray, truth: np.ndarray, within: float) -> float:
    """Return F1 of centres, each matched to at most one within a distance, the nearest pairs first."""
    far, at = cKDTree(truth).query(found, distance_upper_bound=within)
    matched = {int(at[k]) for k in np.argsort(far) if np.isfinite(far[k])}
    return 2 * len(matched) / (len(found) + len(truth))


def main() -> None:
    """Print the table."""
    print("| centres apart, diameters | nuclei per mm² | " + " | ".join(f"{um:g} µm/px" for um in COARSENESS) + " |")
    print("| --- " * (2 + len(COARSENESS)) + "|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tissue.png"
        for spacing in SPACINGS:
            rng = np.random.default_rng(1)
            xy = place(spacing, rng)
            fine, row = Image.fromarray(draw(xy, rng)), []
            for um in COARSENESS:
                size = round(WIDE / um), round(HIGH / um)
                fine.resize(size, Image.Resampling.BOX).save(path)
                found = detect(str(path), "tissue", um).xy * um
                row.append(f1(found, xy, WITHIN))
            dense = len(xy) / (WIDE * HIGH / 1e6)
            print(f"| {spacing:g} | {dense:,.0f} | " + " | ".join(f"{one:.2f}" for one in row) + " |", flush=True)


if __name__ == "__main__":
    main()
