"""Find the tissue in a slide's small image, whatever its stain, its fat or its background."""

import numpy as np
from scipy.ndimage import binary_dilation, binary_fill_holes, distance_transform_edt, label, uniform_filter

BLACK = 45  # darker than any stained tissue: a scanner's frame
AREA = 15  # pixels across which a frame is black
WINDOW = 5  # pixels across which texture is seen
ROUNDING = 0.25  # variance, of 255 greys, below which texture is rounding
SMOOTHEST = 0.25  # share of the pixels that are taken for glass: a slide's image has more of it
PARTED = 0.8  # share of the variance between two classes; one class cut in two has 0.64 (normal), 0.75 (even)
CRUMB = 0.02  # of all tissue: smaller pieces have no outline


def find_tissue(pixels: np.ndarray) -> np.ndarray:
    """Return which pixels of a thumbnail (uint8 RGB) are tissue; all of them if no glass can be found."""
    tissue, parted = part_tissue(pixels)
    return tissue if parted else np.ones_like(tissue)


def part_tissue(pixels: np.ndarray) -> tuple[np.ndarray, float]:
    """Return which pixels of a thumbnail (uint8 RGB) are tissue, and how well tissue and glass are separated.

    Glass is smooth and of one colour: white, stained or dark. Tissue is rough, even if it is pale or fat. So pixels are
    separated by the logarithm of their texture, and by their distance from the colour of the smoothest ones. Each of
    the two counts where it separates two classes rather than two halves of one.

    Returns
    -------
    tissue
        bool, height x width.
    parted
        The share of the variance that lies between the classes, 0 to 1; 0 if neither separates the pixels.
    """
    values = pixels.astype(np.float32)
    grey = values.mean(2)
    frame = _frame(grey)
    if frame.all():
        return ~frame, 0.0
    texture = _texture(values)
    order = texture - grey / 1000  # where all is smooth, the brightest is glass
    glass = ~frame & (order <= np.quantile(order[~frame], SMOOTHEST))
    distance = uniform_filter(np.abs(values - np.median(values[glass], 0)).max(2), 3)
    tissue, best = np.zeros_like(frame), 0.0
    for feature in (texture, distance):
        threshold, parted = otsu(feature[~frame])
        if parted > PARTED:
            tissue |= (feature > threshold) & ~frame
            best = max(best, parted)
    return tissue, best


def outlined(tissue: np.ndarray, width: float) -> np.ndarray:
    """Return tissue (bool, h x w) fit for an outline: gaps of some ``width`` closed, holes filled, without crumbs."""
    room = int(2 * width) + 1
    near = distance_transform_edt(~np.pad(tissue, room)) <= width
    closed = binary_fill_holes(distance_transform_edt(near) > width)[room:-room, room:-room]
    pieces, _ = label(closed)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return (sizes > CRUMB * sizes.sum())[pieces]


def otsu(values: np.ndarray) -> tuple[float, float]:
    """Return the threshold that separates values into the two classes that differ most, and how well it does.

    N. Otsu, IEEE Trans. SMC 9, 62 (1979). The second value is the share of the variance that lies between the classes.
    """
    counts, edges = np.histogram(values, 256)
    middle = (edges[1:] + edges[:-1]) / 2
    below, total = np.cumsum(counts), np.cumsum(counts * middle)
    with np.errstate(invalid="ignore", divide="ignore"):
        between = (total[-1] * below / below[-1] - total) ** 2 / (below * (below[-1] - below))
    best = int(np.nanargmax(np.where(np.isfinite(between), between, -1)))
    spread = float((counts * (middle - total[-1] / below[-1]) ** 2).sum())
    share = below[-1] * between[best] / spread if spread > 0 else 0.0
    return float(edges[best + 1]), float(share) if np.isfinite(share) else 0.0


def _frame(grey: np.ndarray) -> np.ndarray:
    """Return which pixels are, or touch, a black area that is larger than any nuclei; none where glass is dark, too."""
    if np.median(grey) < 2 * BLACK:
        return np.zeros(grey.shape, bool)
    return binary_dilation(uniform_filter(grey, AREA) < BLACK, iterations=AREA // 2 + WINDOW)


def _texture(values: np.ndarray) -> np.ndarray:
    """Return the logarithm of the standard deviation around each pixel (height x width)."""
    size = (WINDOW, WINDOW, 1)
    mean, square = uniform_filter(values, size), uniform_filter(values**2, size)
    return np.log(np.maximum(square - mean**2, 0).mean(2) + ROUNDING) / 2
