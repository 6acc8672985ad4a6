"""Outlines of cells while a file is read: plain arrays of numbers, and polygons at the end."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from stimage.cells.reading.lifted import Lifted
from stimage.core.extras import needs

AT_ONCE = 20_000  # cells whose polygons are held


@dataclass
class Outlines:
    """Rings of points, which polygons are made of, which cells are made of; and the centres of cells without any.

    ``points`` are x, y, x, y, …; ``ring_sizes`` how many points each ring has; ``polygon_of_ring`` and
    ``cell_of_polygon`` whose each is, counted from 0. Of a polygon's rings, the first is the outline, others are holes.
    """

    points: Any = field(default_factory=lambda: array("d"))  # arrays of Python's or NumPy's
    ring_sizes: Any = field(default_factory=lambda: array("q"))
    polygon_of_ring: Any = field(default_factory=lambda: array("q"))
    cell_of_polygon: Any = field(default_factory=lambda: array("q"))
    cells: int = 0

    @classmethod
    def of_lists(cls, lists: Lifted) -> "Outlines":
        """Return a cell a ring of lists that are 2 deep, and a cell a polygon of deeper ones."""
        rings = np.flatnonzero(lists.after >= 2)
        ends = lists.after[rings] >= min(lists.depth, 3)
        n = int(ends.sum())
        sizes, of = np.diff(rings, prepend=-1), np.cumsum(ends) - ends
        return cls(lists.xy.ravel(), sizes, of, np.arange(n), n)

    def add(self, polygons: Iterable[Sequence]) -> None:
        """Add a cell of some polygons, each a list of rings, each a list of [x, y].

        Raises
        ------
        TypeError, ValueError
            If these are no such lists.
        """
        for rings in polygons:
            for ring in rings:
                if not {*map(len, ring)} <= {2}:
                    raise ValueError("points are no pairs [x, y]")
                self.points.extend(chain.from_iterable(ring))
                self.ring_sizes.append(len(ring))
                self.polygon_of_ring.append(len(self.cell_of_polygon))
            self.cell_of_polygon.append(self.cells)
        self.cells += 1

    def broken(self) -> dict[int, str]:
        """Return cell → what is wrong with its outline."""
        points, sizes = self.xy, np.asarray(self.ring_sizes)
        ring = np.repeat(np.arange(len(sizes)), sizes)
        cell = np.asarray(self.cell_of_polygon, int)[np.asarray(self.polygon_of_ring, int)]
        found = dict.fromkeys(np.setdiff1d(np.arange(self.cells), cell).tolist(), "has no outline")
        found |= dict.fromkeys(cell[_distinct(points, ring, len(sizes)) < 3].tolist(), "has less than 3 points")
        lost = np.unique(ring[~(np.isfinite(points[:, 0]) & np.isfinite(points[:, 1]))])
        return found | dict.fromkeys(cell[lost].tolist(), "has a point that is no number")

    @property
    def xy(self) -> np.ndarray:
        """All points (m x 2)."""
        return np.asarray(self.points).reshape(-1, 2)

    def polygons(self, xy: np.ndarray, kept: np.ndarray) -> Iterator[np.ndarray]:
        """Yield a polygon a cell, or a multipolygon of one that has several, of cells that are kept, some at a time.

        Parameters
        ----------
        xy
            The points (m x 2), which may have been moved.
        kept
            bool, one a cell: none that is `broken` may be.
        """
        shapely = needs("shapely")
        cell, polygon, sizes = map(np.asarray, (self.cell_of_polygon, self.polygon_of_ring, self.ring_sizes))
        if not kept.all():
            of_polygon, of_ring = kept[cell], kept[cell][polygon]
            xy, sizes = xy[np.repeat(of_ring, sizes)], sizes[of_ring]
            cell, polygon = (np.cumsum(kept) - 1)[cell[of_polygon]], (np.cumsum(of_polygon) - 1)[polygon[of_ring]]
        starts, n = np.concatenate([[0], np.cumsum(sizes)]), int(kept.sum())
        for first in range(0, n, AT_ONCE):
            p0, p1 = np.searchsorted(cell, [first, first + AT_ONCE])
            r0, r1 = np.searchsorted(polygon, [p0, p1])
            points, ring = xy[starts[r0] : starts[r1]], np.repeat(np.arange(r1 - r0), sizes[r0:r1])
            each = shapely.polygons(shapely.linearrings(points, indices=ring), indices=polygon[r0:r1] - p0)
            yield _joined(each, cell[p0:p1] - first, min(AT_ONCE, n - first))


def _distinct(points: np.ndarray, ring: np.ndarray, rings: int) -> np.ndarray:
    """Return how many different points each ring has, as far as three."""
    first = np.searchsorted(ring, np.arange(rings)).clip(max=max(len(points) - 1, 0))
    if not len(points):
        return np.zeros(rings, int)
    other = _differ(points, points[first][ring])
    second = np.full(rings, -1)
    at = np.flatnonzero(other)
    second[ring[at][::-1]] = at[::-1]
    third = other & (second[ring] >= 0) & _differ(points, points[second[ring]])
    some = np.bincount(ring, minlength=rings) > 0
    return some.astype(int) + (second >= 0) + (np.bincount(ring[third], minlength=rings) > 0)


def _differ(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    return (some[:, 0] != others[:, 0]) | (some[:, 1] != others[:, 1])  # any(1) takes ten times as long


def _joined(each: np.ndarray, cell: np.ndarray, cells: int) -> np.ndarray:
    """Return the polygons of a cell as one."""
    if len(each) == cells:
        return each
    shapely = needs("shapely")
    parts = np.bincount(cell, minlength=cells)
    found = np.empty(cells, object)
    single = parts[cell] == 1
    found[cell[single]] = each[single]
    if len(several := np.unique(cell[~single])):
        found[several] = shapely.multipolygons(each[~single], indices=np.searchsorted(several, cell[~single]))
    return found


@dataclass
class Found:
    """What a file of cells has: n cells, as the file has them.

    Attributes
    ----------
    kind
        What the file is, in words.
    outlines
        Those of the cells; None where the file has centres alone, or ``polygons`` instead.
    xy
        Centres (n x 2); None where outlines tell them.
    classes
        The names of classes, or their numbers as texts, None where a cell has none; None where no cell has one.
    ids
        What the file calls its cells; None if it doesn't.
    size
        Width and height of the label image that it is.
    area
        Pixels of each cell; None where outlines tell them.
    """

    kind: str
    outlines: Outlines | None = None
    xy: np.ndarray | None = None
    classes: Sequence[str | None] | None = None
    ids: Sequence[str] | None = None
    size: tuple[int, int] | None = None
    area: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.xy) if self.xy is not None else self.outlines.cells if self.outlines else 0
