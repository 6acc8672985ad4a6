"""Cells per spot as columns of examples: the number of each class, and their density."""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from stimage.cells.cells import Cells, cells_of
from stimage.cells.counting import SpotArea, classes_of, count_classes, um_per_px_of
from stimage.core.errors import DataError
from stimage.slides.catalog import Slide
from stimage.slides.spots import Spots

CELLS, DENSITY = "cells", "cells_per_mm2"


def root_classes(slides: Iterable[Slide], where: str) -> tuple[str, ...]:
    """Return the classes of cells of all slides of a root, in the order of `classes_of`.

    Parameters
    ----------
    where
        The root, for the error.

    Raises
    ------
    DataError
        As in `cells_of`, and if no slide has cells, or none of them has a class.
    """
    found = [cells_of(slide, ["class"]) for slide in slides if slide.cells]
    if not found:
        raise DataError(f"{where}: no slide has cells; add them by import_cells or detect_cells, or leave out cells= "
                        "(--cells)")  # fmt: skip
    if not (classes := tuple(classes_of(found))):
        raise DataError(
            f"{where}: the files of cells have no cell; import or detect cells, or leave out cells= (--cells)"
        )
    return classes


def cell_columns(spots: Spots, classes: Sequence[str], begin: int, end: int) -> dict[str, pa.Array]:
    """Return the columns of spots ``begin`` to ``end``: null where a spot is not wholly in the segmented region.

    Returns
    -------
    dict
        ``cells``, a struct with the number of cells of each class; and ``cells_per_mm2``, the density of all cells,
        which is also null where neither the slide's scale nor the scale of its import is known.
    """
    kind, n = pa.struct([(name, pa.int32()) for name in classes]), end - begin
    if not spots.slide.cells:
        return {CELLS: pa.nulls(n, kind), DENSITY: pa.nulls(n, pa.float32())}
    x, y, r = (values[begin:end] for values in (spots.x, spots.y, spots.r))
    area, cells = SpotArea.of(spots.slide.tech, spots.scale.lattice), cells_of(spots.slide, ["x", "y", "class"])
    inside = area.within(x, y, r, cells.region)
    counts = count_classes(_near(cells, x, y, r), classes, np.stack([x, y], 1), r, area)
    each = [pa.array(column.astype(np.int32)) for column in counts.T]
    found = {CELLS: pa.StructArray.from_arrays(each, fields=list(kind), mask=pa.array(~inside))}
    um = um_per_px_of(cells, spots.scale)
    density = counts.sum(1) / area.mm2(r, um) if um else np.zeros(n)
    return found | {DENSITY: pa.array(density, pa.float32(), mask=~inside | (um is None))}


def _near(cells: Cells, x: np.ndarray, y: np.ndarray, r: np.ndarray) -> Cells:
    """Return the cells that may lie in some of these spots: a huge slide's are read range by range."""
    if not len(x):
        return cells
    reach = np.sqrt(2) * r.max()
    low, high = (x.min() - reach, y.min() - reach), (x.max() + reach, y.max() + reach)
    return cells.take(np.all((cells.xy >= low) & (cells.xy <= high), axis=1))
