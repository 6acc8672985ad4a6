"""Spots as rings on a slide's image: two-toned, so that they show on stained tissue and on glass, in plain arrays."""

from collections.abc import Sequence

import numpy as np

from stimage.figures.colours import Look, rgb_and_marks

DOT = 3.0  # pixels of radius below which a spot is a dot, as its ring would be a blot
LEAST = 1.3  # pixels of a dot's radius
EDGE = 0.08  # of a radius: each edge, so that it is seen in a picture made smaller, too
WHITE = 5.0  # pixels of radius within a ring, below which its white edge would hide the tissue
DRAWN = 20_000  # spots; of more an even share is drawn, so that tissue shows between them
RING_PIXELS = 1 << 26  # pixels of all rings
BLENDED_PIXELS = 1 << 22  # pixels blended at a time


def draw_rings(
    pixels: np.ndarray,
    xy: np.ndarray,
    r: np.ndarray,
    colours: np.ndarray | Sequence[Look],
    square: bool = False,
) -> np.ndarray:
    """Return an image with a ring around each spot: opaque, black outside and white inside, so one of these differs.

    Parameters
    ----------
    pixels
        uint8 RGB, h x w.
    xy, r
        Centres (n x 2) and radii (n) in pixels of this image; spots too small for a ring are dots.
    colours
        RGB from 0 to 1 (n x 3), or n looks; a mark is a dot in the ring.
    square
        Bins of side 2 r instead of discs.
    """
    r = np.clip(np.round(2 * r) / 2, LEAST, max(pixels.shape))
    most = min(len(r), DRAWN, RING_PIXELS // int(20 * r.max(initial=1)))  # of huge rings, fewer
    some = np.unique(np.linspace(0, len(r) - 1, most).astype(int))
    rgb, marked = (values[some] for values in rgb_and_marks(colours))
    xy, radii, tones = np.clip(xy[some], -1e6, 1e6).round().astype(int), r[some], 255 * rgb.astype(np.float32)
    drawn = pixels.astype(np.float32)
    for radius in np.unique(radii):
        mine, masks = radii == radius, _masks(float(radius), square)
        for mask, paint in zip(masks, (np.zeros_like(tones), np.full_like(tones, 255), tones)):
            _blend(drawn, xy[mine], mask, paint[mine])
        if radius >= 2 * DOT:
            _blend(drawn, xy[mine & marked], _disc(0.3 * float(radius)), tones[mine & marked])
    return np.round(drawn).astype(np.uint8)


def _masks(radius: float, square: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how much, from 0 to 1, the black edge, the white edge and the ring cover each pixel around a spot."""
    edge = max(1.0, EDGE * radius)
    half = int(np.ceil(radius + edge + 1))
    across, down = np.abs(np.mgrid[-half : half + 1, -half : half + 1])
    far = np.maximum(across, down) if square else np.hypot(across, down)
    outer = radius - square  # bins touch: each has its ring inside
    inner = outer - np.clip(0.36 * radius, 1.8, 10) if radius >= DOT else -1.0

    def between(low: float, high: float) -> np.ndarray:
        return np.clip(high - far + 0.5, 0, 1) * np.clip(far - low + 0.5, 0, 1)

    white = between(inner - edge, inner) if inner > WHITE else np.zeros_like(far)
    return between(outer, outer + edge), white, between(inner, outer)


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
