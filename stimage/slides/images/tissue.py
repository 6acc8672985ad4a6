"""Where the tissue is, and whether the spots lie on it or would lie on it if their coordinates were turned."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter
from scipy.spatial import cKDTree

BLACK = 45  # darker than any stained tissue: a scanner's frame
FACTORS = tuple(0.4 * 1.04**k for k in range(48))  # 0.4 to 2.5, by which coordinates may be off
MORE = 0.05  # share of the centres by which more must lie on tissue
LONGEST = 200  # pixels of the longer side, at which spots are laid over the tissue
TURNS = {
    "swapped (x is y and y is x)": lambda x, y, w, h: (y, x),
    "mirrored left to right": lambda x, y, w, h: (w - x, y),
    "mirrored top to bottom": lambda x, y, w, h: (x, h - y),
    "turned by half a circle": lambda x, y, w, h: (w - x, h - y),
    "turned a quarter to the right": lambda x, y, w, h: (w - y, x),
    "turned a quarter to the left": lambda x, y, w, h: (y, h - x),
    "swapped and turned by half a circle": lambda x, y, w, h: (w - y, h - x),
}


@dataclass(frozen=True)
class Fit:
    """How well spots cover tissue, from -1 to 1 (Matthews' correlation): as they are, and in the best orientation.

    ``factor`` is the number that x and y are multiplied by in that orientation.
    """

    as_is: float
    best: float
    turn: str
    factor: float
    on_tissue: float


def find_tissue(pixels: np.ndarray) -> np.ndarray:
    """Return which pixels of a thumbnail (uint8 RGB) are tissue: those more coloured or darker than the background.

    The threshold is Otsu's (IEEE Trans. SMC 9, 62, 1979), on the distance from the background's colour, which is the
    most frequent bright one.
    """
    values = pixels.astype(np.float32)
    grey = values.mean(2)
    bright = values[grey >= np.percentile(grey, 75)]
    distance = np.abs(values - np.median(bright, 0)).max(2)
    distance = uniform_filter(distance, 3)
    frame = grey < BLACK
    return (distance > otsu(distance[~frame])) & ~frame if not frame.all() else frame & False


def otsu(values: np.ndarray) -> float:
    """Return the threshold that parts values into the two classes that differ most."""
    counts, edges = np.histogram(values, 256)
    middle = (edges[1:] + edges[:-1]) / 2
    below, total = np.cumsum(counts), np.cumsum(counts * middle)
    with np.errstate(invalid="ignore", divide="ignore"):
        between = (total[-1] * below / below[-1] - total) ** 2 / (below * (below[-1] - below))
    return float(middle[np.nanargmax(np.where(np.isfinite(between), between, -1))])


def fit_spots(pixels: np.ndarray, step: float, x: np.ndarray, y: np.ndarray, pitch: float) -> Fit:
    """Lay spots over the tissue of a thumbnail that is ``step`` times smaller than the image of the coordinates.

    Parameters
    ----------
    pixels
        The thumbnail, uint8 RGB.
    step
        Image pixels to a pixel of the thumbnail.
    x, y, pitch
        Spot centres (n each) and their distance, in pixels of the image.
    """
    shrink = max(1, -(-max(pixels.shape[:2]) // LONGEST))
    tissue = find_tissue(pixels)[::shrink, ::shrink]
    unit = step * shrink
    height, width = pixels.shape[0] * step, pixels.shape[1] * step
    rows, columns = np.indices(tissue.shape)
    grid = np.stack([(columns.ravel() + 0.5) * unit, (rows.ravel() + 0.5) * unit], 1)

    def score(x: np.ndarray, y: np.ndarray, reach: float) -> float:
        distance, _ = cKDTree(np.stack([x, y], 1)).query(grid, distance_upper_bound=max(reach, unit))
        return _correlation(np.isfinite(distance), tissue.ravel())

    some = np.unique(np.linspace(0, len(x) - 1, min(len(x), 20_000)).astype(int))
    reach = 0.75 * pitch * np.sqrt(len(x) / len(some))
    x, y = x[some], y[some]
    scores = {turn: score(*move(x, y, width, height), reach) for turn, move in TURNS.items()}
    as_is, here = score(x, y, reach), _on_tissue(tissue, unit, x, y)
    factors = {}
    for factor in _scales(tissue, unit, x, y):  # a crowd on tissue wherever it lies tells nothing
        if _on_tissue(tissue, unit, x * factor, y * factor) > here + MORE:
            factors[f"multiplied by {factor:.2g}"] = factor
    scores |= {turn: score(x * factor, y * factor, reach * factor) for turn, factor in factors.items()}
    turn = max(scores, key=lambda turn: scores[turn])
    return Fit(as_is, scores[turn], turn, factors.get(turn, 1.0), here)


def _on_tissue(tissue: np.ndarray, unit: float, x: np.ndarray, y: np.ndarray) -> float:
    """Return the share of the centres that are on tissue."""
    rows, columns = (y / unit).astype(int), (x / unit).astype(int)
    inside = (rows >= 0) & (columns >= 0) & (rows < tissue.shape[0]) & (columns < tissue.shape[1])
    return float(tissue[rows[inside], columns[inside]].sum() / len(x))


def _scales(tissue: np.ndarray, unit: float, x: np.ndarray, y: np.ndarray) -> list[float]:
    """Return factors, not near 1, that leave the spots inside the image, and the one that fits the far corners."""
    rows, columns = np.nonzero(tissue)
    if not len(rows):
        return []
    wide, high = np.percentile(columns, 98) * unit, np.percentile(rows, 98) * unit
    corner = float(np.sqrt(wide * high / max(np.percentile(x, 98) * np.percentile(y, 98), 1e-9)))
    most = min(tissue.shape[1] * unit / max(x.max(), 1e-9), tissue.shape[0] * unit / max(y.max(), 1e-9))
    factors = [factor for factor in FACTORS if factor <= most * 1.02]
    return [factor for factor in (*factors, corner) if np.isfinite(factor) and not 0.9 < factor < 1.1]


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    if one.all() or other.all() or not one.any() or not other.any():
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
