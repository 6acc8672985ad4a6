"""Spots as they lie on the slide, with the outline of the tissue and a scale bar."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.patheffects import withStroke

from stimage.figures.colours import Look, rgb_and_marks
from stimage.figures.rings import paint_bins
from stimage.figures.scale import scale_bar
from stimage.figures.shapes import SpotShapes

DRAWN = 20_000  # discs; of more an even share is drawn
BINS_PX = 2000  # of the longer side of what bins are painted into
MARK = 0.5  # of the radius: the white in the middle of spots that have a mark
MARGIN = 0.02  # of the longer side, around the spots
OUTLINE = "#222222"  # of the tissue, with a white edge


def draw_spots(axes: Axes, shapes: SpotShapes, colours: np.ndarray | Sequence[Look]) -> None:
    """Draw spots where they are on the slide, y downwards, inside the tissue's outline, above a scale bar.

    Parameters
    ----------
    colours
        RGB from 0 to 1 (n x 3), or n looks.
    """
    if shapes.square:
        _add_bins(axes, shapes, colours)
    else:
        some = np.unique(np.linspace(0, len(shapes) - 1, min(len(shapes), DRAWN)).astype(int))
        xy, r = shapes.xy[some], visible_radius(shapes)[some]
        rgb, marked = (values[some] for values in rgb_and_marks(colours))
        _add_discs(axes, xy, r, rgb)
        if marked.any():
            _add_discs(axes, xy[marked], MARK * r[marked], "white")
    frame(axes, shapes)


def frame(axes: Axes, shapes: SpotShapes) -> None:
    """Show all spots and the tissue's outline, and a scale bar; no ticks."""
    left, top, right, bottom = shapes.box
    if outlined := draw_outline(axes, shapes):
        left, top = min(left, outlined[0]), min(top, outlined[1])
        right, bottom = max(right, outlined[2]), max(bottom, outlined[3])
    edge = MARGIN * max(right - left, bottom - top)
    axes.set(xlim=(left - edge, right + edge), ylim=(bottom + edge, top - edge), aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    scale_bar(axes, shapes.um_per_px)


def visible_radius(shapes: SpotShapes) -> np.ndarray:
    """Return at least a third of the side over the root of the number of spots as radii, so that none vanishes."""
    side = float(np.ptp(shapes.xy, axis=0).max()) if len(shapes) > 1 else 1.0
    return np.maximum(shapes.r, 0.3 * side / max(len(shapes) ** 0.5, 1))


def draw_outline(axes: Axes, shapes: SpotShapes) -> tuple[float, float, float, float] | None:
    """Draw the tissue's outline, seen on stained tissue and on white.

    Return its left, top, right and bottom, or None if there is no outline.
    """
    if shapes.tissue is None or not 0 < shapes.tissue.mean() < 1:
        return None
    step, mask = shapes.tissue_step, np.pad(shapes.tissue, 1).astype(float)  # closed at the image's edge, too
    rows, columns = ((np.arange(n) - 0.5) * step for n in mask.shape)
    line = axes.contour(columns, rows, mask, [0.5], colors=OUTLINE, linewidths=0.7, zorder=0.5)
    line.set_path_effects([withStroke(linewidth=2.1, foreground="white")])
    across, down = columns[mask.any(0)], rows[mask.any(1)]
    return across[0], down[0], across[-1], down[-1]


def _add_discs(axes: Axes, xy: np.ndarray, r: np.ndarray, fills: np.ndarray | str) -> None:
    axes.add_collection(
        EllipseCollection(2 * r, 2 * r, np.zeros(len(r)), units="x", linewidths=0, facecolors=fills, offsets=xy,
                          offset_transform=axes.transData, rasterized=len(r) > 3000)
    )  # fmt: skip


def _add_bins(axes: Axes, shapes: SpotShapes, colours: np.ndarray | Sequence[Look]) -> None:
    """Draw all bins as an image: of so many, one by one, a share alone could be drawn, and would be too faint."""
    left, top, right, bottom = shapes.box
    px = BINS_PX / max(right - left, bottom - top)
    size = max(1, round((bottom - top) * px)), max(1, round((right - left) * px))
    rgb, covered = paint_bins(size, (shapes.xy - (left, top)) * px, visible_radius(shapes) * px, colours)
    pixels = np.dstack([rgb, np.where(covered, 255, 0).astype(np.uint8)])
    extent = (left, left + size[1] / px, top + size[0] / px, top)
    axes.imshow(pixels, extent=extent, zorder=1)
