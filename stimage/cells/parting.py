"""Nuclei of a piece of an H&E image: haematoxylin by colour deconvolution, a threshold, and a watershed.

A. Ruifrok and D. Johnston, Anal. Quant. Cytol. Histol. 23, 291 (2001), have the colours of the stains.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from stimage.core.extras import needs
from stimage.slides.images.tissue import otsu

WORKED_AT = 0.5  # µm/px, to which finer images are made coarser, by whole factors
SMOOTH_UM = 0.6  # standard deviation of the filter against grain
DARK_UM = 1.0, 4.0  # filters whose difference tells what is darker than around, as a nucleus within a clump is
DARK_WEIGHT = 6.0  # µm of depth that are worth as much as a difference of the threshold
APART_UM = 3.0  # between the middles of two nuclei, at least
AREAS_UM2 = (12.0, 400.0)  # of nuclei; smaller is dust, larger is a fold or a smear
TISSUE = 0.12  # optical density, mean of the colours, above which a pixel is stained


@dataclass(frozen=True)
class Stain:
    """What turns RGB into haematoxylin, in optical density: a table a colour (256 each)."""

    tables: np.ndarray

    @classmethod
    def usual(cls) -> "Stain":
        """Return that of haematoxylin and eosin as they usually are."""
        weights = needs("skimage.color").hed_from_rgb[:, 0]
        density = -np.log10((np.arange(256) + 1) / 256)
        return cls((density * (weights / weights.sum())[:, None]).astype(np.float32))

    def of(self, pixels: np.ndarray) -> np.ndarray:
        """Return the haematoxylin of pixels (height x width x 3, uint8) as float32."""
        red, green, blue = self.tables
        return red[pixels[..., 0]] + green[pixels[..., 1]] + blue[pixels[..., 2]]


@dataclass(frozen=True, eq=False)
class Parted:
    """The n nuclei of a piece of an image.

    Attributes
    ----------
    labels
        Which nucleus each pixel is of, 0 of none (height x width).
    label
        The nuclei's numbers in it (n).
    xy
        Their centres (n x 2), in pixels of the piece.
    pixels
        How many pixels each has (n).
    ellipticity
        0 of a circle, to 1 (n).
    haematoxylin
        Mean optical density in the nucleus (n).
    """

    labels: np.ndarray
    label: np.ndarray
    xy: np.ndarray
    pixels: np.ndarray
    ellipticity: np.ndarray
    haematoxylin: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    def take(self, kept: np.ndarray) -> "Parted":
        """Return the nuclei that are kept (bool, n)."""
        own = (self.label, self.xy, self.pixels, self.ellipticity, self.haematoxylin)
        return Parted(self.labels, *(values[kept] for values in own))


def smaller(pixels: np.ndarray, step: int) -> np.ndarray:
    """Return pixels (height x width x 3, uint8) made ``step`` times coarser."""
    if step == 1:
        return pixels
    high, wide = (n // step for n in pixels.shape[:2])
    return pixels[: high * step, : wide * step].reshape(high, step, wide, step, 3).mean((1, 3)).astype(np.uint8)


def steps_to_work(um_per_px: float) -> int:
    """Return how many pixels are made one."""
    return max(1, int(WORKED_AT / um_per_px + 0.01))


def find_threshold(pieces: Iterable[np.ndarray], um: float, stain: Stain) -> float | None:
    """Return the haematoxylin that parts nuclei from other tissue, by some pieces of an image at the µm per pixel that
    is worked at; None where none of them has stained tissue."""
    seen = []
    for pixels in pieces:
        stained = -np.log10((pixels.mean(2) + 1) / 256) > TISSUE
        seen.append(gaussian_filter(stain.of(pixels), SMOOTH_UM / um)[stained])
    values = np.concatenate(seen) if seen else np.empty(0)
    return otsu(values)[0] if len(values) else None


def part_nuclei(pixels: np.ndarray, um: float, threshold: float, stain: Stain) -> Parted | None:
    """Return the nuclei of a piece (height x width x 3, uint8) at the µm per pixel that is worked at; None of none."""
    feature, segmentation = (needs(f"skimage.{name}") for name in ("feature", "segmentation"))
    amount = gaussian_filter(stain.of(pixels), SMOOTH_UM / um)
    mask = amount > threshold
    if not mask.any():
        return None
    depth = _heights(mask, amount, threshold, um)
    peaks = feature.peak_local_max(depth, min_distance=max(1, round(APART_UM / um / 2)), threshold_abs=0.5,
                                   exclude_border=False)  # fmt: skip
    seeds = np.zeros(mask.shape, np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    parted = _measured(segmentation.watershed(-depth, seeds, mask=mask), amount)
    area = parted.pixels * um**2
    return parted.take((area >= AREAS_UM2[0]) & (area <= AREAS_UM2[1]))


def _heights(mask: np.ndarray, amount: np.ndarray, threshold: float, um: float) -> np.ndarray:
    """Return a landscape with a hill a nucleus: far from the edge of what is stained, and darker than around."""
    inside = gaussian_filter(distance_transform_edt(mask).astype(np.float32) * um, 0.5 / um)
    local = gaussian_filter(amount, DARK_UM[0] / um) - gaussian_filter(amount, DARK_UM[1] / um)
    heights = inside + DARK_WEIGHT * local / threshold
    return np.where(mask, heights - heights.min() + 1, 0)


def _measured(labels: np.ndarray, amount: np.ndarray) -> Parted:
    """Measure all nuclei at once, by sums over their pixels."""
    y, x = np.nonzero(labels)
    of = labels[y, x]
    pixels = np.bincount(of)
    label = np.flatnonzero(pixels)
    n = pixels[label]
    mean_x, mean_y, haematoxylin = (np.bincount(of, v)[label] / n for v in (x, y, amount[y, x]))
    at = np.zeros(len(pixels), int)
    at[label] = np.arange(len(label))
    dx, dy = x - mean_x[at[of]], y - mean_y[at[of]]
    xx, yy, xy = (np.bincount(of, v)[label] / n for v in (dx * dx, dy * dy, dx * dy))
    apart = np.hypot(xx - yy, 2 * xy)  # between the squares of the two half axes
    short, long = np.maximum(xx + yy - apart, 0), np.maximum(xx + yy + apart, 1e-12)
    centres = np.stack([mean_x, mean_y], 1) + 0.5  # the middle of a pixel
    return Parted(labels, label, centres, n, 1 - np.sqrt(short / long), haematoxylin)
