"""A slide's image made small, in one pass and the memory of a row of squares."""

import numpy as np

from stimage.slides.images.reader import ImageInfo, read_patches


def thumbnail(path: str, info: ImageInfo, longest: int, max_pixels: int) -> tuple[np.ndarray, int]:
    """Return an image with its longer side at most ``longest`` pixels, and how many times smaller that is.

    Each pixel is the mean of a square; the image is read in one pass, in the memory of a row of squares.
    """
    step = max(1, -(-max(info.width, info.height) // longest))
    edges = np.arange(0, max(info.height - step, 0) + 1, step)
    boxes = np.stack([0 * edges, edges, 0 * edges + info.width // step * step, edges + step], 1)
    strips = read_patches(path, boxes, max_pixels)
    return np.stack([s.reshape(step, -1, step, 3).mean((0, 2)) for s in strips]).astype(np.uint8), step
