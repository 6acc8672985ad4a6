"""How many cells of each class a spot has."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from stimage.cells.cells import Cells
from stimage.cells.classes import shipped_maps
from stimage.core.errors import DataError
from stimage.core.storage import local_copy
from stimage.slides.catalog import Slide
from stimage.slides.coordinates import Coordinates, read_coordinates
from stimage.slides.matching import unique_ids

VALUES = ("counts", "shares", "density")
UNCLASSED = "unclassed"  # the column of cells without a class
AT_ONCE = 50_000  # cells whose spots are looked up
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
            raise DataError(f"{self.slide}: cells per mm² need µm per pixel, which were not known when they were "
                            "imported; import them again with um_per_px= (--um-per-px)")  # fmt: skip
        return self.table.assign(**counts.div(self.mm2, axis=0))


def classes_of(many: Iterable[Cells]) -> list[str]:
    """Return the columns of some slides' cells: PanNuke's classes in its order, then others, then those without one."""
    many = list(many)
    found = {name for cells in many for name in cells.classes}
    order = [name for name in dict.fromkeys(shipped_maps()["pannuke"].values()) if name in found]
    unclassed = any(cells.table["class"].null_count for cells in many)
    return [*order, *sorted(found - {*order}), *([UNCLASSED] if unclassed else [])]


def count_per_spot(cells: Cells, slide: Slide, classes: Sequence[str] | None = None) -> SpotCells:
    """Count the cells whose centre lies within r of a spot's; of Visium HD, within the square of the bin.

    Parameters
    ----------
    classes
        The columns: by default, the classes that there are.

    Raises
    ------
    DataError
        If no spot lies wholly in the region that was segmented.
    """
    at = read_coordinates(local_copy(slide.coord, slide.access))
    left, top, right, bottom = cells.region
    inside = (at.x - at.r >= left) & (at.x + at.r <= right) & (at.y - at.r >= top) & (at.y + at.r <= bottom)
    if not inside.any():
        raise DataError(f"{slide.coord}: none of {len(at):,} spots lies wholly in the region whose cells are known, "
                        f"x {left:.0f} to {right:.0f} and y {top:.0f} to {bottom:.0f}")  # fmt: skip
    spots, names = at.filter(inside), classes_of([cells]) if classes is None else list(classes)
    column = {name: k for k, name in enumerate(names)}
    kind = np.array([column[name or UNCLASSED] for name in cells.table["class"].to_pylist()], int)
    counts = _counted(spots, cells.xy, kind, len(names), slide.tech == "VisiumHD")
    ids = unique_ids(spots.ids, slide.name).to_pylist()
    table = pd.DataFrame({name: getattr(spots, key) for key, name in PLACES.items()}, index=pd.Index(ids, name="SPOT"))
    table[names] = counts
    shape = 4 if slide.tech == "VisiumHD" else np.pi
    mm2 = shape * (spots.r * cells.um_per_px / 1000) ** 2 if cells.um_per_px else None
    return SpotCells(table, names, mm2, int((~inside).sum()), slide.name)


def as_obs(cells: Cells, slide: Slide, classes: Sequence[str]) -> pd.DataFrame:
    """Return cells per spot as columns of ``obs``, by spot id: ``cells``, and ``cells_CLASS`` of each class."""
    found = count_per_spot(cells, slide, classes)
    counts = found.table[found.classes]
    return counts.add_prefix("cells_").assign(cells=counts.sum(axis=1))


def _counted(spots: Coordinates, xy: np.ndarray, kind: np.ndarray, kinds: int, square: bool) -> np.ndarray:
    """Return the number of cells of each kind in each spot (n x kinds, float64), of spots that may overlap."""
    centres, counts = np.stack([spots.x, spots.y], 1), np.zeros(len(spots) * kinds)
    reach = float(spots.r.max()) * (1 + 1e-9)  # what is at r is decided below
    tree = cKDTree(centres)
    for first in range(0, len(xy), AT_ONCE):
        some = xy[first : first + AT_ONCE]
        near = tree.query_ball_point(some, reach, p=np.inf if square else 2)
        cell = np.repeat(np.arange(len(some)), [*map(len, near)])
        spot = np.concatenate([*near, np.empty(0, int)]).astype(int)
        apart, r = some[cell] - centres[spot], spots.r[spot]
        in_bin = ((apart >= -r[:, None]) & (apart < r[:, None])).all(1)  # bins share edges, and a cell is in one
        within = in_bin if square else (apart**2).sum(1) <= r**2
        place = spot[within] * kinds + kind[first:][cell[within]]
        counts += np.bincount(place, minlength=len(counts))
    return counts.reshape(len(spots), kinds)
