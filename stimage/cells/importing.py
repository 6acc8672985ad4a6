"""Read a file of cells for a slide: outlines, centres, areas and classes, checked against the slide's image."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stimage.cells.cells import SCHEMA, Cells, box_of
from stimage.cells.classes import named_classes
from stimage.cells.frame import Witness, check_frame
from stimage.cells.reading.outlines import Found
from stimage.cells.reading.recognise import read_file
from stimage.core.errors import DataError
from stimage.core.extras import needs
from stimage.core.storage import local_copy
from stimage.slides.catalog import Slide
from stimage.slides.coordinates import read_coordinates
from stimage.slides.images.reader import MAX_IMAGE_PIXELS, ImageInfo, image_info
from stimage.slides.scale.scale import slide_scale

ROUNDED = 0.01  # share by which the sides of a label image made smaller may differ from the image's
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImportOptions:
    """The options of reading a file of cells; see `stimage.import_cells`."""

    classes: str | os.PathLike | Mapping[str, str] | None = None
    factor: float = 1.0
    swap: bool = False
    drop_broken: bool = False
    unchecked: bool = False
    max_pixels: int = MAX_IMAGE_PIXELS


def read_foreign(path: Path, slide: Slide, options: ImportOptions = ImportOptions()) -> Cells:
    """Read a segmenter's file as the cells of a slide.

    Raises
    ------
    DataError
        As in `read_file`, `named_classes` and `check_frame`, and if an outline or a centre is broken.
    """
    found = read_file(path)
    image = local_copy(slide.image, slide.access)
    info = image_info(image, options.max_pixels)
    um_per_px = slide_scale(read_coordinates(local_copy(slide.coord, slide.access)), slide).um_per_px
    classes = named_classes(found.classes or [None] * len(found), path, options.classes)
    _check_size(path, found, info, options)
    table = _table(path, found, classes, options)
    xy, area = np.stack([table["x"].to_numpy(), table["y"].to_numpy()], 1), table["area"].to_numpy()
    if not options.unchecked:
        known = area if table["area"].null_count < len(table) else None
        witness = Witness.of(image, info, um_per_px, options.max_pixels)
        check_frame(witness, xy, known, path, options.factor, options.swap)
    if um_per_px:
        um2 = pa.array(area * um_per_px**2, from_pandas=True)
        table = table.set_column(SCHEMA.get_field_index("area"), "area", um2)
    region = box_of(xy) if found.size is None else _labelled(found.size, info, options)
    return Cells(table, slide.name, (info.width, info.height), region, um_per_px, found.kind)


def _check_size(path: Path, found: Found, info: ImageInfo, options: ImportOptions) -> None:
    """Refuse a label image that has not the slide's pixels, and say which factor it has."""
    if found.size is None or options.unchecked:
        return
    wide, high = found.size[::-1] if options.swap else found.size
    across, down = info.width / wide, info.height / high
    sizes = f"has {found.size[0]:,} x {found.size[1]:,} pixels, and the slide's image {info.width:,} x {info.height:,}"
    if abs(across / down - 1) > ROUNDED:
        if not options.swap and abs(info.width / high / (info.height / wide) - 1) <= ROUNDED:
            raise DataError(f"{path}: {sizes}: rows are columns; pass swap=True (--swap)")
        raise DataError(f"{path}: {sizes}: it is of another image, or of a part of it")
    if abs(across / options.factor - 1) > ROUNDED:
        raise DataError(f"{path}: {sizes}; pass factor={across:.6g} (--factor {across:.6g})")


def _labelled(size: tuple[int, int], info: ImageInfo, options: ImportOptions) -> tuple[float, float, float, float]:
    """Return the box that a label image covers; unchecked, it may be of a part of the slide's image."""
    covered = [options.factor * side for side in (size[::-1] if options.swap else size)]
    right, bottom = (float(full) if abs(full / side - 1) <= ROUNDED else min(side, float(full))
                     for side, full in zip(covered, (info.width, info.height)))  # fmt: skip
    return 0.0, 0.0, right, bottom


def _table(path: Path, found: Found, classes: list[str | None], options: ImportOptions) -> pa.Table:
    """Return a row a cell, as the schema has them, in pixels of the image."""
    kept = _whole(path, found, options)
    xy, area, wkb = _measured(found, kept, options)
    if found.area is not None:
        area = found.area[kept] * options.factor**2
    ids = pa.array([str(k) for k in range(len(found))] if found.ids is None else list(found.ids)).filter(pa.array(kept))
    if pc.count_distinct(ids).as_py() < len(ids):
        (twice, *_) = pc.filter(counts := pc.value_counts(ids), pc.greater(counts.field("counts"), 1))
        raise DataError(
            f"{path}: the id {twice['values'].as_py()!r} is that of {twice['counts'].as_py()} cells; "
            "give each cell an id of its own, or no cell one"
        )
    if flat := int((area == 0).sum()):
        log.warning("%s: %d of %d outlines have no area, as their points lie on a line, or they cross themselves; "
                    "these cells are kept", path, flat, len(area))  # fmt: skip
    names = pa.array(classes, pa.string()).filter(pa.array(kept))
    return pa.table([ids, xy[:, 0], xy[:, 1], names, pa.array(area, from_pandas=True), wkb], schema=SCHEMA)


def _measured(found: Found, kept: np.ndarray, options: ImportOptions) -> tuple[np.ndarray, np.ndarray, pa.Array]:
    """Return cells' centres (n x 2) and areas (n, NaN without outlines) in pixels of the image, and outlines as WKB."""
    n, outlines = int(kept.sum()), found.outlines
    xy, area, wkb = np.empty((n, 2)), np.full(n, np.nan), []
    if outlines:
        shapely, at = needs("shapely"), 0
        for some in outlines.polygons(_moved(outlines.xy, options), kept):
            here = slice(at, at := at + len(some))
            area[here], xy[here] = shapely.area(some), shapely.get_coordinates(shapely.centroid(some))
            wkb.append(pa.array(shapely.to_wkb(some), pa.binary()))
    if found.xy is not None:
        xy = _moved(found.xy, options)[kept]
    return xy, area, pa.chunked_array(wkb) if wkb else pa.nulls(n, pa.binary())


def _whole(path: Path, found: Found, options: ImportOptions) -> np.ndarray:
    """Return which cells have a place and an outline; refuse the others, or count them."""
    bad = found.outlines.broken() if found.outlines else {}
    if found.xy is not None:
        lost = np.flatnonzero(~np.isfinite(found.xy).all(1))
        bad |= dict.fromkeys(lost.tolist(), "has a centre that is no number")
    kept = np.ones(len(found), bool)
    if not bad:
        return kept
    first = min(bad)
    what = f"cell {first + 1} {bad[first]} ({len(bad):,} of {len(found):,} cells have such faults)"
    if not options.drop_broken or len(bad) == len(found):
        raise DataError(f"{path}: {what}; pass drop_broken=True (--drop-broken) to leave them out")
    log.warning("%s: left out: %s", path, what)
    kept[[*bad]] = False
    return kept


def _moved(xy: np.ndarray, options: ImportOptions) -> np.ndarray:
    """Return places (n x 2) in pixels of the image."""
    return options.factor * (xy[:, ::-1] if options.swap else xy)
