"""Count the cells of each class in a spot."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stimage.cells.cells import Cells
from stimage.cells.classes import shipped_maps
from stimage.core.errors import DataError
from stimage.core.extras import needs
from stimage.core.storage import local_copy
from stimage.slides.catalog import Slide
from stimage.slides.coordinates import read_coordinates
from stimage.slides.matching import unique_ids
from stimage.slides.scale.lattice import Lattice, measure_lattice
from stimage.slides.scale.scale import Scale, slide_scale

VALUES = ("counts", "shares", "density")
UNCLASSED = "unclassed"  # the column of cells without a class
AT_ONCE = 50_000  # cells whose spots are looked up
LEAST_TURN = 1e-3  # radians; of bins turned by less, edges are those of the image, so that each cell is in one bin
PLACES = {"y": "yaxis", "x": "xaxis", "r": "r"}  # the columns of a coord file


@dataclass(frozen=True, eq=False)
class SpotCells:
    """Cells per spot of a slide.

    Attributes
    ----------
    table
        A row a spot that lies wholly in the region that was segmented, in the coord file's order: the spot's id as
        index, ``yaxis``, ``xaxis`` and ``r`` as the coord file has them, and the number of cells of each class.
    classes
        Those columns.
    mm2
        The area of each spot (n), in mm²; None where the scale is not known.
    left_out
        How many spots do not lie wholly in the region.
    slide
        Its name.
    """

    table: pd.DataFrame
    classes: list[str]
    mm2: np.ndarray | None
    left_out: int
    slide: str

    def valued(self, values: str) -> pd.DataFrame:
        """Return the table with counts, shares of the spot's cells (NaN where it has none), or cells per mm²."""
        counts = self.table[self.classes]
        if values == "counts":
            return self.table
        if values == "shares":
            return self.table.assign(**counts.div(counts.sum(axis=1).replace(0, np.nan), axis=0))
        if self.mm2 is None:
            raise DataError(f"{self.slide}: cells per mm² need µm per pixel, which are not known; import the cells "
                            "again with um_per_px= (--um-per-px)")  # fmt: skip
        return self.table.assign(**counts.div(self.mm2, axis=0))


def classes_of(many: Iterable[Cells]) -> list[str]:
    """Return the columns for some slides' cells: PanNuke's classes in its order, then others, then unclassed cells."""
    many = list(many)
    found = {name for cells in many for name in cells.classes}
    order = [name for name in dict.fromkeys(shipped_maps()["pannuke"].values()) if name in found]
    unclassed = any(cells.table["class"].null_count for cells in many)
    return [*order, *sorted(found - {*order}), *([UNCLASSED] if unclassed else [])]


def count_per_spot(cells: Cells, slide: Slide, classes: Sequence[str] | None = None) -> SpotCells:
    """Count the cells whose centre lies within r of a spot's centre, or within the square of a Visium HD bin.

    Parameters
    ----------
    classes
        The columns; None takes the classes of these cells.

    Raises
    ------
    DataError
        If no spot lies wholly in the segmented region.
    """
    at = read_coordinates(local_copy(slide.coord, slide.access))
    area = SpotArea.of(slide.tech, measure_lattice(at.x, at.y) if slide.tech == "VisiumHD" else None)
    inside = area.within(at.x, at.y, at.r, cells.region)
    if not inside.any():
        left, top, right, bottom = cells.region
        raise DataError(f"{slide.coord}: none of {len(at):,} spots lies wholly in the region whose cells are known, "
                        f"x {left:.0f} to {right:.0f} and y {top:.0f} to {bottom:.0f}")  # fmt: skip
    spots, names = at.filter(inside), classes_of([cells]) if classes is None else list(classes)
    counts = count_classes(cells, names, np.stack([spots.x, spots.y], 1), spots.r, area)
    ids = unique_ids(spots.ids, slide.name).to_pylist()
    table = pd.DataFrame({name: getattr(spots, key) for key, name in PLACES.items()}, index=pd.Index(ids, name="SPOT"))
    table[names] = counts
    um = um_per_px_of(cells, slide_scale(at, slide))
    mm2 = area.mm2(spots.r, um) if um else None
    return SpotCells(table, names, mm2, int((~inside).sum()), slide.name)


def um_per_px_of(cells: Cells, scale: Scale) -> float | None:
    """Return µm per pixel for cells per mm²: the slide's scale, else the one that the cells were imported with."""
    return scale.um_per_px or cells.um_per_px


def as_obs(cells: Cells, slide: Slide, classes: Sequence[str]) -> pd.DataFrame:
    """Return cells per spot as columns of ``obs``, by spot id: ``cells``, and ``cells_CLASS`` for each class."""
    found = count_per_spot(cells, slide, classes)
    counts = found.table[found.classes]
    return counts.add_prefix("cells_").assign(cells=counts.sum(axis=1))


def count_classes(
    cells: Cells, classes: Sequence[str], centres: np.ndarray, r: np.ndarray, area: "SpotArea"
) -> np.ndarray:
    """Return the number of cells of each class in each spot (float64, n x classes), of spots that may overlap.

    Parameters
    ----------
    centres, r
        The spots' (n x 2, n), in pixels of the slide's image.
    """
    column = {name: k for k, name in enumerate(classes)}
    names = cells.table["class"].combine_chunks().dictionary_encode()
    known = np.array([column[name] for name in names.dictionary.to_pylist()] + [column.get(UNCLASSED, 0)], int)
    kind = known[names.indices.fill_null(len(known) - 1).to_numpy()]
    counts = np.zeros(len(centres) * len(classes))
    for spot, cell in area.cells_in(centres, r, cells.xy):
        counts += np.bincount(spot * len(classes) + kind[cell], minlength=len(counts))
    return counts.reshape(len(centres), len(classes))


def area_of(slide: Slide) -> "SpotArea":
    """Return what belongs to a spot of a slide; the lattice is that of all its spots."""
    if slide.tech != "VisiumHD":
        return SpotArea()
    at = read_coordinates(local_copy(slide.coord, slide.access))
    return SpotArea.of(slide.tech, measure_lattice(at.x, at.y))


@dataclass(frozen=True)
class SpotArea:
    """What belongs to a spot: the circle of its radius; of Visium HD, a square of twice that, ``turn`` radians turned.

    ``turn`` is None of circles.
    """

    turn: float | None = None

    @classmethod
    def of(cls, tech: str, lattice: Lattice | None) -> "SpotArea":
        """Return that of a technology's spots, which lie on a lattice."""
        if tech != "VisiumHD":
            return cls()
        turned = lattice is not None and lattice.kind == "square" and abs(lattice.turn) >= LEAST_TURN
        return cls(lattice.turn if lattice and turned else 0.0)

    def within(self, x: np.ndarray, y: np.ndarray, r: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
        """Tell which spots (n) lie wholly in a box: left, top, right and bottom."""
        left, top, right, bottom = box
        reach = r * (abs(np.cos(self.turn or 0)) + abs(np.sin(self.turn or 0)))
        return (x - reach >= left) & (x + reach <= right) & (y - reach >= top) & (y + reach <= bottom)

    def mm2(self, r: np.ndarray, um_per_px: float) -> np.ndarray:
        """Return the area of spots (n) in mm²."""
        return (np.pi if self.turn is None else 4) * (r * um_per_px / 1000) ** 2

    def cells_in(self, centres: np.ndarray, r: np.ndarray, xy: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield pairs of a spot and a cell in it, by their numbers (m each), some cells at a time.

        Parameters
        ----------
        centres, r
            Of spots (n x 2, n).
        xy
            Of cells (k x 2).
        """
        centres, reach = self._along(centres), float(r.max()) * (1 + 1e-9)  # what is at r is decided below
        tree = needs("scipy.spatial").cKDTree(centres)
        for first in range(0, len(xy), AT_ONCE):
            some = self._along(xy[first : first + AT_ONCE])
            near = tree.query_ball_point(some, reach, p=2 if self.turn is None else np.inf)
            cell = np.repeat(np.arange(len(some)), [*map(len, near)])
            spot = np.concatenate([*near, np.empty(0, int)]).astype(int)
            apart, own = some[cell] - centres[spot], r[spot]
            if self.turn is None:
                within = (apart**2).sum(1) <= own**2
            else:  # bins share edges, and a cell is in one
                within = ((apart >= -own[:, None]) & (apart < own[:, None])).all(1)
            yield spot[within], first + cell[within]

    def _along(self, xy: np.ndarray) -> np.ndarray:
        """Return places along the sides of the squares."""
        if not self.turn:
            return xy
        cos, sin = np.cos(self.turn), np.sin(self.turn)
        return xy @ np.array([[cos, -sin], [sin, cos]])
