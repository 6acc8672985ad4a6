"""A slide's spots: coordinates, counts, image and annotation joined, and read together in the image's order."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stimage.errors import DataError
from stimage.slides.catalog import Slide
from stimage.slides.coordinates import Coordinates, check_unique, read_coordinates
from stimage.slides.counts import RowIndex, Rows, index_rows, read_header, rows_at
from stimage.slides.images import MAX_PIXELS, ImageInfo, image_info
from stimage.slides.patches import Patch, lies_outside
from stimage.slides.scale import Scale, estimate_scale
from stimage.slides.storage import local_copy, read_table

BATCH_SPOTS = 64  # tables of this size stream fastest
BATCH_BYTES = 1 << 24  # of count rows, and of pixels; fewer spots make a batch where either is larger
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Spots:
    """The n spots of a slide that can be read, from top to bottom, then from left to right, then in the file's order.

    ``x``, ``y``, ``r`` are float64 pixels; ``row_start`` and ``row_end`` say where each spot's counts lie in the file
    ``counts``, whose columns are ``genes``; ``annotation`` has null where there is no label. ``image`` and ``counts``
    are files of this machine. ``dropped`` counts the spots left out.
    """

    slide: Slide
    ids: pa.Array
    x: np.ndarray
    y: np.ndarray
    r: np.ndarray
    annotation: pa.Array
    counts: str
    genes: list[str]
    row_start: np.ndarray
    row_end: np.ndarray
    image: str
    image_info: ImageInfo
    max_pixels: int
    scale: Scale
    dropped: int

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Batch:
    """Consecutive spots ``begin`` to ``end`` of a slide: a patch each (uint8 RGB), and their counts in CSR form."""

    begin: int
    end: int
    patches: list[np.ndarray]
    rows: Rows


def open_spots(slide: Slide, on_mismatch: str = "error", max_pixels: int = MAX_PIXELS) -> Spots:
    """Join the files of a slide; only the coord and annotation files are read whole.

    Parameters
    ----------
    slide
        Its files are fetched first if they are remote.
    on_mismatch
        What to do with spots that only one of the coord and count files lists, or that lie wholly outside the image:
        "error" or "drop" (and log how many).
    max_pixels
        Images of more pixels are refused.

    Raises
    ------
    DataError
        As `read_coordinates`, `index_rows` and `read_patches` do, and for spots that do not match or occur twice.
    """
    urls = (slide.coord, slide.counts, slide.image, slide.annotation)
    files = tuple(local_copy(url, slide.access) if url else "" for url in urls)
    stamps = tuple((path, (stat := os.stat(path)).st_size, stat.st_mtime_ns) for path in files if path)
    return _open_spots(slide, files, stamps, on_mismatch, max_pixels)


@lru_cache(maxsize=8)  # so that the ranges of a huge slide share one index; a changed file changes the stamps
def _open_spots(slide: Slide, files: tuple[str, ...], stamps: tuple, on_mismatch: str, max_pixels: int) -> Spots:
    coord, counts, image, annotation = files
    info = image_info(image, max_pixels)
    coordinates = read_coordinates(coord)
    index = index_rows(counts)
    row, kept = _match(coordinates, index, info, files, on_mismatch)
    order = np.lexsort((coordinates.x, coordinates.y))  # stable: of spots at one place, in the file's order
    order = order[kept[order]]
    ids = coordinates.ids.take(pa.array(order)).combine_chunks()
    dropped = len(kept) - len(order) + len(index.start) - np.count_nonzero(row >= 0)
    pa.default_memory_pool().release_unused()  # what joining took would else be kept beside what reading takes
    return Spots(
        slide, ids, coordinates.x[order], coordinates.y[order], coordinates.r[order],
        annotation=_labels(annotation, ids), counts=counts, genes=read_header(counts)[0],
        row_start=index.start[row[order]], row_end=index.end[row[order]],
        image=image, image_info=info, max_pixels=max_pixels,
        scale=estimate_scale(coordinates, slide.tech), dropped=int(dropped),
    )  # fmt: skip


def read_batches(spots: Spots, patch: Patch, begin: int = 0, end: int | None = None) -> Iterator[Batch]:
    """Read spots ``begin`` to ``end`` of a slide, some at a time, in one pass over the image.

    Of an image that is not a tiled TIFF, the rows above the first of these spots are decoded too, and not kept.

    Raises
    ------
    DataError
        Where a row of the counts or the image can't be read; see `rows_at` and `read_patches`.
    """
    end = len(spots) if end is None else end
    x, y, r = (values[begin:end] for values in (spots.x, spots.y, spots.r))
    patches = patch.cut(spots.image, x, y, r, spots.scale, spots.max_pixels)
    side = patch.px or 2 * r.max(initial=1) + 1
    row_bytes = (spots.row_end - spots.row_start)[begin:end].max(initial=1)
    size = int(np.clip(BATCH_BYTES // max(3 * side * side, row_bytes), 1, BATCH_SPOTS))
    for at in range(begin, end, size):
        stop = min(at + size, end)
        rows = rows_at(spots.counts, spots.genes, spots.row_start[at:stop], spots.row_end[at:stop])
        if rows.ids != spots.ids[at:stop].to_pylist():
            raise DataError(f"{spots.counts}: changed while it was read; start again")
        yield Batch(at, stop, [next(patches) for _ in range(stop - at)], rows)


def _match(
    coordinates: Coordinates, index: RowIndex, info: ImageInfo, files: tuple[str, ...], on_mismatch: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return each spot's row in the count file (-1 where it has none), and which spots are kept."""
    coord, counts, image, _ = files
    row = pc.fill_null(pc.index_in(coordinates.ids, index.ids), -1).to_numpy().astype(np.int64)
    times = np.bincount(row[row >= 0], minlength=len(index.start))
    lone = times == 0
    if lone.any() or (times > 1).any():  # only then can a spot occur twice
        check_unique(coord, coordinates.ids)
        check_unique(counts, index.ids)
    outside = lies_outside(coordinates.x, coordinates.r, info.width)
    outside |= lies_outside(coordinates.y, coordinates.r, info.height)
    size = f"{info.width} x {info.height} image {os.path.basename(image)}; are x and y swapped or scaled?"
    for path, ids, bad, what in (
        (coord, coordinates.ids, row < 0, f"has no row in {counts}"),
        (counts, index.ids, lone, f"has no row in {coord}"),
        (coord, coordinates.ids, outside, f"lies wholly outside the {size}"),
    ):
        if bad.any():
            message = f"{path}: spot {ids[int(bad.argmax())].as_py()!r} {what} ({bad.sum()} of {len(bad)} spots)"
            if on_mismatch == "error":
                raise DataError(
                    f"{message}; pass on_mismatch='drop' (in scripts: --on-mismatch drop) to leave such spots out"
                )
            log.warning("left out: %s", message)
    kept = (row >= 0) & ~outside
    if not kept.any():
        raise DataError(f"{coord}: no spot is left that {counts} and the image have too")
    return row, kept


def _labels(path: str, ids: pa.Array) -> pa.Array:
    """Return the label of each spot out of an annotation file, null where there is none."""
    if not path:
        return pa.nulls(len(ids), pa.string())
    columns, table = read_table(path)
    if len(columns) < 2 or "V2" not in columns:
        raise DataError(f"{path}: has no column 'V2' with the labels; its columns are {', '.join(map(repr, columns))}")
    labels = {row[columns[0]]: row["V2"] or None for row in table}
    if unknown := len(labels.keys() - set(ids.to_pylist())):
        log.warning("%s: %d of %d labels are of spots that the slide does not have", path, unknown, len(labels))
    return pa.array([labels.get(spot) for spot in ids.to_pylist()], pa.string())
