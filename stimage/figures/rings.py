"""Spots on a slide's image, in plain arrays: discs as two-toned rings, which show on stained tissue; bins as a tint."""

from collections.abc import Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap

from stimage.figures.colours import Look, rgb_and_marks
from stimage.figures.shapes import SpotShapes, View

DOT = 3.0  # pixels of radius below which a spot is a dot, as its ring would be a blot
LEAST = 1.3  # pixels of a dot's radius
EDGE = 0.08  # of a radius: each edge, so that it is seen in a picture made smaller, too
WHITE = 5.0  # pixels of radius within a ring, below which its white edge would hide the tissue
DRAWN = 20_000  # spots; of more an even share is drawn, so that tissue shows between them
RING_PIXELS = 1 << 26  # pixels of all rings
BLENDED_PIXELS = 1 << 22  # pixels blended at a time
TINT = 0.55  # of a bin's colour; the rest is the image
SLACK = 0.1  # pixels around a bin, or rounding would leave gaps between some
MARK = 0.5  # of a bin's side: the hole in the middle of bins that have a mark


def draw_rings(
    pixels: np.ndarray,
    xy: np.ndarray,
    r: np.ndarray,
    colours: np.ndarray | Sequence[Look],
    square: bool = False,
) -> np.ndarray:
    """Return an image with a ring around each spot: opaque, black outside and white inside, so one of these differs.

    Bins touch, and rings would hide the tissue: each bin is tinted instead.

    Parameters
    ----------
    pixels
        uint8 RGB, h x w.
    xy, r
        Centres (n x 2) and radii (n) in pixels of this image; spots too small for a ring are dots.
    colours
        RGB from 0 to 1 (n x 3), or n looks; a mark is a dot in the ring, or a hole in the bin.
    square
        Bins of side 2 r instead of discs.
    """
    if square:
        tones, covered = paint_bins(pixels.shape[:2], xy, r, colours)
        tint = TINT * covered[..., None].astype(np.float32)
        return np.round(pixels + tint * (tones - pixels.astype(np.float32))).astype(np.uint8)
    r = np.clip(np.round(2 * r) / 2, LEAST, max(pixels.shape))
    most = min(len(r), DRAWN, RING_PIXELS // int(20 * r.max(initial=1)))  # of huge rings, fewer
    some = np.unique(np.linspace(0, len(r) - 1, most).astype(int))
    rgb, marked = (values[some] for values in rgb_and_marks(colours))
    xy, radii, tones = np.clip(xy[some], -1e6, 1e6).round().astype(int), r[some], 255 * rgb.astype(np.float32)
    drawn = pixels.astype(np.float32)
    for radius in np.unique(radii):
        mine, masks = radii == radius, _masks(float(radius))
        for mask, paint in zip(masks, (np.zeros_like(tones), np.full_like(tones, 255), tones)):
            _blend(drawn, xy[mine], mask, paint[mine])
        if radius >= 2 * DOT:
            _blend(drawn, xy[mine & marked], _disc(0.3 * float(radius)), tones[mine & marked])
    return np.round(drawn).astype(np.uint8)


def tinted(colours: ScalarMappable, view: View, shapes: SpotShapes) -> ScalarMappable:
    """Return what a colour bar is to show of bins: their colours as they look on the tissue below most of them."""
    if not shapes.square:
        return colours
    x, y = ((shapes.xy - (view.left, view.top)) / view.step).astype(int).T
    high, wide = view.pixels.shape[:2]
    below = np.median(view.pixels[y.clip(0, high - 1), x.clip(0, wide - 1)], 0) / 255
    shades = TINT * colours.cmap(np.linspace(0, 1, 256))[:, :3] + (1 - TINT) * below
    return ScalarMappable(colours.norm, ListedColormap(shades))


def paint_bins(
    size: tuple[int, int], xy: np.ndarray, r: np.ndarray, colours: np.ndarray | Sequence[Look]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the colours of bins on white (uint8, h x w x 3) and which pixels they cover; of all bins, however small.

    Parameters
    ----------
    size
        h and w.
    """
    some = np.unique(np.linspace(0, len(r) - 1, min(len(r), int(RING_PIXELS // max(2 * r.max(), 1) ** 2))).astype(int))
    rgb, marked = (values[some] for values in rgb_and_marks(colours))
    which = np.full(size, -1, np.int32)
    _write(which, xy[some], r[some], np.arange(len(some)), 1)
    _write(which, xy[some[marked]], MARK * r[some[marked]], np.full(marked.sum(), -1), 0)
    tones = np.concatenate([np.round(255 * rgb), [[255] * 3]]).astype(np.uint8)  # the last, -1, is of no bin
    return tones[which], which >= 0


def _write(which: np.ndarray, xy: np.ndarray, r: np.ndarray, values: np.ndarray, least: int) -> None:
    """Write a value into the square around each place, ``least`` pixels wide or more, in place."""
    r = r[:, None] + SLACK
    low, high = (np.clip(np.round(edge), -1e6, 1e6).astype(int) for edge in (xy - r, xy + r))
    low, high = (np.clip(edge, 0, which.shape[::-1]) for edge in (low, np.maximum(high, low + least)))
    sides = high - low
    alike = sides[:, 0] * (which.shape[0] + 1) + sides[:, 1]
    for one in np.unique(alike).tolist():
        wide, tall = divmod(one, which.shape[0] + 1)
        mine, (down, across) = np.flatnonzero(alike == one), np.mgrid[:tall, :wide].reshape(2, -1)
        most = max(1, BLENDED_PIXELS // max(1, len(down)))
        for some in (mine[at : at + most] for at in range(0, len(mine), most)):
            which[low[some, 1, None] + down, low[some, 0, None] + across] = values[some, None]


def _masks(radius: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how much, from 0 to 1, the black edge, the white edge and the ring cover each pixel around a spot."""
    edge = max(1.0, EDGE * radius)
    half = int(np.ceil(radius + edge + 1))
    across, down = np.abs(np.mgrid[-half : half + 1, -half : half + 1])
    far = np.hypot(across, down)
    inner = radius - np.clip(0.36 * radius, 1.8, 10) if radius >= DOT else -1.0

    def between(low: float, high: float) -> np.ndarray:
        return np.clip(high - far + 0.5, 0, 1) * np.clip(far - low + 0.5, 0, 1)

    white = between(inner - edge, inner) if inner > WHITE else np.zeros_like(far)
    return between(radius, radius + edge), white, between(inner, radius)


def _disc(radius: float) -> np.ndarray:
    half = int(np.ceil(radius + 1))
    return np.clip(radius - np.hypot(*np.mgrid[-half : half + 1, -half : half + 1]) + 0.5, 0, 1)


def _blend(pixels: np.ndarray, xy: np.ndarray, mask: np.ndarray, tones: np.ndarray) -> None:
    """Paint a mask (k x k) in a tone (n x 3) around each place (n x 2) of an image (float32), in place."""
    half, (down, across) = len(mask) // 2, np.nonzero(mask)
    share = mask[down, across].astype(np.float32)[None, :, None]
    most = max(1, BLENDED_PIXELS // max(1, len(down)))
    for at in range(0, len(xy), most):
        x, y = (xy[at : at + most, k, None] + cells - half for k, cells in enumerate((across, down)))
        tone = tones[at : at + len(x), None]
        inside = (x >= 0) & (y >= 0) & (x < pixels.shape[1]) & (y < pixels.shape[0])
        old = pixels[np.where(inside, y, 0), np.where(inside, x, 0)]
        pixels[y[inside], x[inside]] = (old + share * (tone - old))[inside]
