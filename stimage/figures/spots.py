"""Spots as they lie on the slide, with the outline of the tissue and a scale bar."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection, PolyCollection

from stimage.figures.colours import Look, rgb_and_marks
from stimage.figures.scale import scale_bar
from stimage.figures.shapes import SpotShapes

DRAWN = 20_000  # spots; of more an even share is drawn
MARK = 0.5  # of the radius: the white in the middle of spots that have a mark
MARGIN = 0.02  # of the longer side, around the spots


def draw_spots(axes: Axes, shapes: SpotShapes, colours: np.ndarray | Sequence[Look]) -> None:
    """Draw spots where they are on the slide, y downwards, inside the tissue's outline, above a scale bar.

    Parameters
    ----------
    colours
        RGB from 0 to 1 (n x 3), or n looks.
    """
    some = np.unique(np.linspace(0, len(shapes) - 1, min(len(shapes), DRAWN)).astype(int))
    xy, r = shapes.xy[some], visible_radius(shapes)[some]
    rgb, marked = (values[some] for values in rgb_and_marks(colours))
    _add(axes, xy, r, rgb, shapes.square)
    if marked.any():
        _add(axes, xy[marked], MARK * r[marked], "white", shapes.square)
    frame(axes, shapes)


def frame(axes: Axes, shapes: SpotShapes) -> None:
    """Show all spots and the tissue's outline, and a scale bar; no ticks."""
    left, top, right, bottom = shapes.box
    if shapes.tissue is not None and 0 < shapes.tissue.mean() < 1:
        step, mask = shapes.tissue_step, np.pad(shapes.tissue, 1).astype(float)  # closed at the image's edge, too
        rows, columns = ((np.arange(n) - 0.5) * step for n in mask.shape)
        axes.contour(columns, rows, mask, [0.5], colors="#555555", linewidths=0.7, zorder=0.5)
        across, down = columns[mask.any(0)], rows[mask.any(1)]
        left, right = min(left, across[0]), max(right, across[-1])
        top, bottom = min(top, down[0]), max(bottom, down[-1])
    edge = MARGIN * max(right - left, bottom - top)
    axes.set(xlim=(left - edge, right + edge), ylim=(bottom + edge, top - edge), aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    scale_bar(axes, shapes.um_per_px)


def visible_radius(shapes: SpotShapes) -> np.ndarray:
    """Return at least a third of the side over the root of the number of spots as radii, so that none vanishes."""
    side = float(np.ptp(shapes.xy, axis=0).max()) if len(shapes) > 1 else 1.0
    return np.maximum(shapes.r, 0.3 * side / max(len(shapes) ** 0.5, 1))


def _add(axes: Axes, xy: np.ndarray, r: np.ndarray, fills: np.ndarray | str, square: bool) -> None:
    corners = xy[:, None] + r[:, None, None] * np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]])
    axes.add_collection(
        PolyCollection(corners, linewidths=0, facecolors=fills, rasterized=True) if square
        else EllipseCollection(2 * r, 2 * r, np.zeros(len(r)), units="x", linewidths=0, facecolors=fills,
                               offsets=xy, offset_transform=axes.transData, rasterized=len(r) > 3000)
    )  # fmt: skip
