"""Which level of an image's pyramid a physical patch is cut from."""

import logging
from functools import lru_cache

import numpy as np

from stimage.core.storage import file_state
from stimage.slides.images.reader import open_image
from stimage.slides.images.readers.slide_image import SlideImage

PLACES, PLACE = 5, 32  # across and down; pixels of the level at each
ALIKE = 20.0  # of 255: levels differ by less, be they means or every second pixel; other pictures by more
ROUNDING = 1e-6
log = logging.getLogger(__name__)


def fitting_level(image: SlideImage, factor: float) -> int:
    """Return the coarsest level whose pixels are not larger than a patch's.

    Parameters
    ----------
    factor
        Pixels of level 0 per pixel of the patch.

    Returns
    -------
    int
        Which of `SlideImage.levels`: 0 where no other fits. A level that shows another picture than level 0, such as
        a macro image of the slide's own shape, is passed over with a warning.
    """
    for k in range(len(image.levels) - 1, 0, -1):
        level = image.levels[k]
        if max(level.across, level.down) <= factor * (1 + ROUNDING) and _is_level(image, k):
            return k
    return 0


def _is_level(image: SlideImage, level: int) -> bool:
    return _shows_the_same(image.path, level, *file_state(image.path))


@lru_cache(maxsize=1024)
def _shows_the_same(path: str, level: int, *stamp: int) -> bool:
    """Return whether a level shows what level 0 shows, at some places over all of it."""
    image = open_image(path, 1 << 62)
    size = image.levels[level]
    tops = np.linspace(0, max(size.height - PLACE, 0), PLACES).astype(int)
    lefts = np.linspace(0, max(size.width - PLACE, 0), PLACES).astype(int)
    pixels, colours = np.transpose([_differences(image, level, x, y) for y in tops.tolist() for x in lefts.tolist()])
    # of a slide that is mostly glass, a turned or mirrored picture differs little on average, but somewhere much
    if (difference := max(float(pixels.mean()), float(colours.max()))) < ALIKE:
        return True
    log.warning(
        "%s: a page of %d x %d pixels has the slide's shape, but shows another picture (they differ by %.0f of 255): "
        "it is no level of it", path, size.width, size.height, difference,
    )  # fmt: skip
    return False


def _differences(image: SlideImage, level: int, x: int, y: int) -> tuple[float, float]:
    """Return how one place of a level and the same place of level 0, made small, differ: pixels, and mean colours."""
    size = image.levels[level]
    small = image.region(x, y, min(PLACE, size.width - x), min(PLACE, size.height - y), level).astype(float)
    left, top, step = round(x * size.across), round(y * size.down), max(round(size.across), 1)
    wide, high = small.shape[1] * step, small.shape[0] * step
    full = image.region(left, top, wide, high).reshape(small.shape[0], step, -1, step, 3).mean((1, 3))
    return float(np.abs(full - small).mean()), float(np.abs((full - small).mean((0, 1))).mean())
