"""A slide's cells in the form that pictures take, and the part of the slide with most to see."""

import numpy as np
import pyarrow as pa

from stimage.cells.cells import Cells
from stimage.core.extras import needs
from stimage.figures.pixels.cells import CellShapes
from stimage.slides.images.views import Part


def shapes_within(cells: Cells, part: Part) -> CellShapes:
    """Return the cells whose centre lies in a part of the image, or within 50 pixels of it."""
    low, high = np.array([part.left, part.top]) - 50, np.array([part.right, part.bottom]) + 50
    some = ((cells.xy >= low) & (cells.xy <= high)).all(1)
    table = cells.table.filter(pa.array(some))
    rings, ring_of = [], []
    outlined = np.flatnonzero(table["polygon"].is_valid().to_numpy())
    if len(outlined):
        shapely = needs("shapely")
        shapes = shapely.from_wkb(table["polygon"].drop_null().to_numpy(zero_copy_only=False))
        lines, of = shapely.get_rings(shapes, return_index=True)
        points, at = shapely.get_coordinates(lines, return_index=True)
        rings = np.split(points, np.flatnonzero(np.diff(at)) + 1)
        ring_of = outlined[of].tolist()
    return CellShapes(cells.xy[some], table["class"].to_pylist(), rings, ring_of)


def square_at(cells: Cells, um: float, at: tuple[float, float] | None = None) -> Part:
    """Return a square of the image with a side in µm, or of twice as many pixels where the scale is unknown.

    Parameters
    ----------
    at
        Its centre, in pixels. None takes the square of a grid that has the most cells.
    """
    width, height = cells.image_size
    side = min(um / cells.um_per_px if cells.um_per_px else 2 * um, width, height)
    if at is None:
        across, down = max(int(width / side), 1), max(int(height / side), 1)
        edges = np.linspace(0, width, across + 1), np.linspace(0, height, down + 1)
        counts, _, _ = np.histogram2d(cells.xy[:, 0], cells.xy[:, 1], [*edges])
        places = np.unravel_index(int(counts.argmax()), counts.shape)
        x, y = (float(edge[k : k + 2].mean()) for edge, k in zip(edges, places))
        at = x, y
    left, top = (int(np.clip(c - side / 2, 0, n - side)) for c, n in zip(at, (width, height)))
    return Part(left, top, left + int(side), top + int(side), 1)
