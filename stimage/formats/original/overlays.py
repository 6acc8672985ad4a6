"""Draw one PNG per slide to check it by eye, as the authors do: its image with the spots' squares, cropped to them."""

import json
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from stimage.core.files import replacing
from stimage.core.storage import local_copy
from stimage.figures.shapes import View
from stimage.slides.catalog import Slide
from stimage.slides.coordinates import Coordinates, read_coordinates
from stimage.slides.freshness import slide_digests
from stimage.slides.images.reader import MAX_IMAGE_PIXELS, ImageInfo, image_info
from stimage.slides.images.views import Part, read_views, whole

LONGEST = 2000  # pixels of the picture's longer side
LIME, SHARE = (0, 255, 0), 0.5  # colour of the squares, and how much of it there is
BOLD = 900  # pixels of the longer side for each pixel that lines are thicker on either side
MADE_OF = "made_of"  # text in the PNG: digests of the files


def write_overlay(slide: Slide, out: Path, max_pixels: int = MAX_IMAGE_PIXELS) -> tuple[Path, bool]:
    """Write ``out``/SLIDE.png, unless it exists from the same files; return the path, and whether it is new.

    The picture goes from 2r left of the leftmost spot's centre to 2r right of the rightmost, within the image, and
    likewise from top to bottom. Counts are not read.

    Raises
    ------
    DataError
        If the coord file or the image can't be read.
    """
    path = out / f"{slide.name}.png"
    made_of = json.dumps(slide_digests([slide], ("coord", "image"))[slide.name])
    if path.exists() and _made_of(path) == made_of:
        return path, False
    coordinates = read_coordinates(local_copy(slide.coord, slide.access))
    image = local_copy(slide.image, slide.access)
    (view,) = read_views(image, [_around(coordinates, image_info(image, max_pixels))], max_pixels)
    text = PngImagePlugin.PngInfo()
    text.add_text(MADE_OF, made_of)
    with replacing(path) as unfinished:
        Image.fromarray(with_squares(view, coordinates)).save(unfinished, "PNG", compress_level=1, pnginfo=text)
    return path, True


def with_squares(view: View, at: Coordinates) -> np.ndarray:
    """Return a view (uint8 RGB) with the outline of each spot's square of side 2r, half transparent."""
    height, width, _ = view.pixels.shape
    drawn = np.zeros((height, width), bool)
    x, y = (at.x - view.left) / view.step, (at.y - view.top) / view.step
    for r in np.unique(at.r):
        edges = np.rint(np.stack([v[at.r == r] + side * r / view.step for v in (x, y) for side in (-1, 1)]))
        left, right, top, bottom = np.clip(edges, -1, max(height, width) + 1).astype(int)
        far = np.arange(int(2 * r / view.step) + 2)
        for across, down in ((far, 0 * far), (0 * far, far)):  # two edges from each of two corners
            for corner_x, corner_y, way in ((left, top, 1), (right, bottom, -1)):
                some_x = np.clip(corner_x[:, None] + way * across, left[:, None], right[:, None]).ravel()
                some_y = np.clip(corner_y[:, None] + way * down, top[:, None], bottom[:, None]).ravel()
                inside = (some_x >= 0) & (some_x < width) & (some_y >= 0) & (some_y < height)
                drawn[some_y[inside], some_x[inside]] = True
    drawn = _thickened(drawn, min(max(height, width) // BOLD, int(at.r.min() / view.step / 6)))
    pixels = view.pixels.copy()
    pixels[drawn] = np.rint((1 - SHARE) * pixels[drawn] + SHARE * np.array(LIME))
    return pixels


def _thickened(drawn: np.ndarray, by: int) -> np.ndarray:
    """Return a mask (bool, h x w) with ``by`` more pixels on every side of what is drawn."""
    for axis in (0, 1):
        thin, size = drawn, drawn.shape[axis]
        drawn = thin.copy()
        for k in range(1, min(by + 1, size)):
            ahead, behind = np.arange(k, size), np.arange(size - k)
            for to, of in ((ahead, behind), (behind, ahead)):
                where = (to, slice(None)) if axis == 0 else (slice(None), to)
                drawn[where] |= thin.take(of, axis)
    return drawn


def _around(at: Coordinates, info: ImageInfo) -> Part:
    """Return the part of the image that has the spots; all of it, where none is inside."""
    r = float(at.r.max())
    left, top = max(int(at.x.min() - 2 * r), 0), max(int(at.y.min() - 2 * r), 0)
    right, bottom = min(int(at.x.max() + 2 * r), info.width), min(int(at.y.max() + 2 * r), info.height)
    if left >= right or top >= bottom:
        return whole(info, LONGEST)
    return Part(left, top, right, bottom, max(1, -(-max(right - left, bottom - top) // LONGEST)))


def _made_of(path: Path) -> str | None:
    """Return what a picture says that it is made of; None if it does not say, or is no whole picture."""
    try:
        with Image.open(path) as image:
            return image.info.get(MADE_OF)
    except OSError:
        return None
