"""Draw outlines of cells over a slide's image, in the colours of their classes, with a scale bar and a legend."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from stimage.core.files import replacing
from stimage.figures.colours import UNCLASSED, Look, legend_of, look_of
from stimage.figures.pixels.check_picture import with_footer
from stimage.figures.shapes import View

LARGEST = 4.0  # times that a view is made larger, at most
DOT = 3  # pixels: radius of a cell that has no outline
HALO = "#FFFFFF"  # beneath outlines where there is room: nuclei are as dark as some of the colours


@dataclass(frozen=True, eq=False)
class CellShapes:
    """n cells on a slide: centres (n x 2), classes (n; None where there is none), and rings of points (k x 2 each).

    ``ring_of`` is the number of each ring's cell, counted from 0. A cell without an outline has no ring.
    """

    xy: np.ndarray
    classes: Sequence[str | None]
    rings: Sequence[np.ndarray]
    ring_of: Sequence[int]


def cell_picture(
    path: Path, view: View, cells: CellShapes, looks: dict[str, Look], um_per_px: float | None, px: int
) -> None:
    """Write a picture of cells as a PNG, whole or not at all.

    Parameters
    ----------
    view
        The part of the image to show.
    cells
        The cells to draw; parts outside the view are cut off.
    looks
        Class → its look, as from `label_looks`.
    um_per_px
        µm per pixel of the image. None makes a scale bar that counts pixels.
    px
        Pixels of the picture's longer side, unless the view is too small for that.
    """
    times = min(px / max(view.pixels.shape[:2]), LARGEST)
    size = tuple(max(1, round(n * times)) for n in view.pixels.shape[1::-1])
    image = Image.fromarray(view.pixels).resize(size, Image.Resampling.BICUBIC if times > 1 else Image.Resampling.BOX)
    step = view.step / times
    pen, corner = ImageDraw.Draw(image), np.array([view.left, view.top])
    colours = [look_of(one, looks, UNCLASSED).colour for one in cells.classes]
    drawn = [((ring - corner) / step).ravel().tolist() for ring in cells.rings]
    width = 2 if step <= 1 else 1
    if width > 1:
        for ring in drawn:
            pen.line(ring, HALO, width + 2, "curve")
    for ring, k in zip(drawn, cells.ring_of):
        pen.line(ring, colours[k], width, "curve" if width > 1 else None)
    for k in np.setdiff1d(np.arange(len(cells.xy)), np.asarray(cells.ring_of, int)).tolist():
        x, y = (cells.xy[k] - corner) / step
        pen.ellipse((x - DOT, y - DOT, x + DOT, y + DOT), fill=colours[k], outline=HALO)
    whole = with_footer(image, step, um_per_px, legend_of(cells.classes, looks, ("no class", UNCLASSED)))
    with replacing(path) as unfinished:
        whole.save(unfinished)
