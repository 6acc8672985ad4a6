"""Small views of parts of a slide's image, in one pass over the image and the memory of some rows of squares."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from stimage.figures.shapes import SlideImage, SpotShapes, View
from stimage.slides.catalog import Slide
from stimage.slides.coordinates import Coordinates
from stimage.slides.images.reader import ImageInfo, read_patches
from stimage.slides.images.tissue import find_tissue, outlined
from stimage.slides.scale.scale import Scale
from stimage.slides.spots import Spots

IMAGE_PX = 2000  # of an image's longer side, as Space Ranger's "hires" image
WHOLE_PX = 800  # of the longer side of all of the image: beside its part, and to look for tissue on
MARGIN = 0.05  # of the longer side, around the spots
MOST_ON = 0.5  # of the spots: at least so many lie on what is outlined as their tissue


def shapes_of(at: Coordinates | Spots, slide: Slide, scale: Scale | None) -> SpotShapes:
    """Return the spots of a slide in the form that pictures take."""
    um_per_px = scale.um_per_px if scale else None
    return SpotShapes(np.stack([at.x, at.y], 1), at.r, slide.tech == "VisiumHD", um_per_px)


def with_tissue(shapes: SpotShapes, image: View) -> SpotShapes:
    """Return spots with the tissue that all of the image, made small, shows; gaps of a spot's width are closed.

    Where fewer than `MOST_ON` of the spots lie on it, it is not the spots' tissue, but marks or dirt: it is left out.
    """
    tissue = outlined(find_tissue(image.pixels), 2 * float(np.median(shapes.r)) / image.step)
    x, y = (shapes.xy / image.step).astype(int).T
    high, wide = tissue.shape
    if tissue[y.clip(0, high - 1), x.clip(0, wide - 1)].mean() < MOST_ON:
        return shapes
    return replace(shapes, tissue=tissue, tissue_step=image.step)


def bins_turn(slide: Slide, scale: Scale | None) -> float:
    """Return by which angle, in radians, a slide's square bins are turned in its image; 0 where no lattice tells."""
    lattice = scale.lattice if scale and slide.tech == "VisiumHD" else None
    return lattice.turn if lattice and lattice.kind == "square" else 0.0


@dataclass(frozen=True)
class Part:
    """A part of an image, in its pixels, and the factor by which it is made smaller."""

    left: int
    top: int
    right: int
    bottom: int
    step: int


def whole(info: ImageInfo, longest: int) -> Part:
    """Return the part that is the whole image, with a longer side of at most ``longest`` pixels after reduction."""
    return Part(0, 0, info.width, info.height, max(1, -(-max(info.width, info.height) // longest)))


def around(shapes: SpotShapes, info: ImageInfo, least: int) -> Part:
    """Return the part around the spots, with a margin, and with a longer side of at least ``least`` pixels if possible.

    If a spot's centre is outside the image, the part is the whole image: the positions of spots are then in doubt.
    """
    size, (left, top, right, bottom) = (info.width, info.height), shapes.box
    edge = max(MARGIN * max(right - left, bottom - top), 2 * float(shapes.r.max()))
    edges = 0, 0, *size
    if ((shapes.xy >= 0) & (shapes.xy < size)).all():
        edges = max(left - edge, 0), max(top - edge, 0), min(right + edge, size[0]), min(bottom + edge, size[1])
    left, top, right, bottom = map(int, edges)
    return Part(left, top, right, bottom, max(1, max(right - left, bottom - top) // least))


def read_views(path: str, parts: Sequence[Part], max_pixels: int) -> list[View]:
    """Read parts of an image in one pass; each pixel is the mean of a square of its part's ``step``."""
    boxes, of = [], []
    for k, part in enumerate(parts):
        step, wide = part.step, (part.right - part.left) // part.step * part.step
        edges = np.arange(part.top, max(part.bottom - step, part.top) + 1, step)
        boxes.append(np.stack([0 * edges + part.left, edges, 0 * edges + part.left + wide, edges + step], 1))
        of.append(np.full(len(edges), k))
    rows, of = np.concatenate(boxes), np.concatenate(of)
    order = np.argsort(rows[:, 1], kind="stable")
    sizes = [((part.right - part.left) // part.step, int((of == k).sum())) for k, part in enumerate(parts)]
    found = [np.empty((high, wide, 3), np.uint8) for wide, high in sizes]  # rows kept one by one would pin freed strips
    done = [0 for _ in parts]
    for k, strip in zip(of[order].tolist(), read_patches(path, rows[order], max_pixels)):
        step = parts[k].step
        below = strip.sum(0, dtype=np.uint32)  # row by row, which is several times as fast as squares at once
        found[k][done[k]] = below.reshape(-1, step, 3).sum(1, dtype=np.uint64) / step**2
        done[k] += 1
    return [View(view, part.left, part.top, part.step) for part, view in zip(parts, found)]


def slide_image(spots: Spots, shapes: SpotShapes, least: int) -> SlideImage:
    """Read a slide's image around its spots (see `around`), and the whole image, small, in one pass."""
    parts = [around(shapes, spots.image_info, least), whole(spots.image_info, WHOLE_PX)]
    return SlideImage(*read_views(spots.image_path, parts, spots.max_pixels))
