"""Match the files of a slide: the spots that all of them have, and ids that are unique across slides."""

import logging
import os
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stimage.core.errors import DataError
from stimage.slides.catalog import Slide
from stimage.slides.coordinates import Coordinates, check_unique, line_of
from stimage.slides.counts.numbered_ids import find_rows
from stimage.slides.counts.rows import RowIndex
from stimage.slides.images.patches import lies_outside
from stimage.slides.images.reader import ImageInfo
from stimage.slides.names import fold_name

MAX_RADIUS_RATIO = 10  # by the median radius: a larger spot is a slip, and its patch may not fit into memory
log = logging.getLogger(__name__)


class NoSpotLeft(DataError):
    """All spots of a slide are left out."""


def match_spots(
    coord: str,
    coordinates: Coordinates,
    counts: str,
    index: RowIndex | None,
    image: str,
    info: ImageInfo | None,
    on_mismatch: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the row of each spot in the count file (-1 for none), and which spots are kept.

    Without ``info``, spots outside the image are kept, too. For an image alone, ``index`` is None, and no row is
    needed.

    Raises
    ------
    DataError
        If a spot would be left out and ``on_mismatch`` is "error", or if a spot occurs twice.
    NoSpotLeft
        If all spots are left out.
    """
    if index:
        row = _rows_of(coord, coordinates, counts, index, on_mismatch)
    else:
        check_unique(coord, coordinates.ids)
        row = np.zeros(len(coordinates), np.int32)
    kept = row >= 0
    median = np.median(coordinates.r)
    large, than = coordinates.r > MAX_RADIUS_RATIO * median, f"the median is {median:g}"
    if info:
        if 2 * median > max(info.width, info.height):
            than = f"the image is {info.width} x {info.height}"
        large |= coordinates.r * 2 > max(info.width, info.height)
        outside = lies_outside(coordinates.x, coordinates.r, info.width)
        outside |= lies_outside(coordinates.y, coordinates.r, info.height)
        what = f"{info.width} x {info.height} image {os.path.basename(image)}; are x and y swapped or scaled?"
        _settle(coord, coordinates.ids, outside, f"lies wholly outside the {what}", on_mismatch)
        kept &= ~outside
    if large.any():
        i = int(large.argmax())
        what = f"(line {line_of(coord, i)}) has an r of {coordinates.r[i]:g}, which cannot be: {than}"
        _settle(coord, coordinates.ids, large, what, on_mismatch)
        kept &= ~large
    if not kept.any():
        both = f"{counts} and the image have" if index else "the image has"
        raise NoSpotLeft(f"{coord}: no spot is left that {both} too")
    return row, kept


def check_size(slide: Slide, image: str, info: ImageInfo) -> None:
    """Refuse an image whose size differs from the one by the slide's source, since coordinates are pixels of that."""
    if slide.image_size and slide.image_size != (info.width, info.height):
        width, height = slide.image_size
        raise DataError(f"{image}: is {info.width:,} x {info.height:,} pixels, but by the metadata of {slide.name} it "
                        f"is {width:,} x {height:,}, and places are in these; get the image again")  # fmt: skip


def _rows_of(coord: str, coordinates: Coordinates, counts: str, index: RowIndex, on_mismatch: str) -> np.ndarray:
    """Return each spot's row in the count file, -1 where it has none."""
    row = find_rows(coordinates.ids, index.ids)
    if row is None:
        row = pc.fill_null(pc.index_in(coordinates.ids, index.ids), -1).to_numpy()
    lone = without_spot(row, index)
    if lone.any() or np.count_nonzero(row >= 0) > len(lone):  # only then can a spot occur twice
        check_unique(coord, coordinates.ids)
        check_unique(counts, index.ids)
    _settle(coord, coordinates.ids, row < 0, f"has no row in {counts}", on_mismatch)
    if counts != coord:  # a file that has both may have counts of spots off the tissue, too
        _settle(counts, index.ids, lone, f"has no row in {coord}", on_mismatch)
    return row


def without_spot(row: np.ndarray, index: RowIndex) -> np.ndarray:
    """Return which rows of the count file (bool) are of none of the spots, whose rows are given."""
    lone = np.ones(len(index.start), bool)
    lone[row[row >= 0]] = False
    return lone


def _settle(path: str, ids: pa.ChunkedArray, bad: np.ndarray, what: str, on_mismatch: str) -> None:
    """Raise for bad spots, or log that they are dropped."""
    if bad.any():
        message = f"{path}: spot {ids[int(bad.argmax())].as_py()!r} {what} ({bad.sum()} of {len(bad)} spots)"
        if on_mismatch == "error":
            raise DataError(f"{message}; pass on_mismatch='drop' (--on-mismatch drop) to leave such spots out")
        log.warning("left out: %s", message)


def unique_ids(ids: pa.ChunkedArray, slide: str) -> pa.ChunkedArray:
    """Return ids that no other slide has: an id that does not begin with the slide's name gets the name in front."""
    if pc.all(pc.starts_with(ids, f"{slide}_")).as_py():  # as in the data set
        return ids
    folded = fold_name(slide)
    other = pc.and_(pc.string_is_ascii(ids), pc.invert(pc.starts_with(ids, folded, ignore_case=True)))
    if pc.all(other).as_py():  # as Space Ranger's, of which there may be millions
        return pc.binary_join_element_wise(pa.scalar(slide), ids, "_")
    begins = re.compile(re.escape(folded) + r"(?![^\W_])")  # slide A1 has not the spots of slide A10
    named = (one if begins.match(fold_name(one)) else f"{slide}_{one}" for one in ids.to_pylist())
    return pa.chunked_array([pa.array(named, pa.string())])
