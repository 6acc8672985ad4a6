"""The spots of a slide: coordinates, counts, image and annotation, joined and read together in the image's order."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stimage.core.errors import DataError
from stimage.core.storage import file_state, local_copy
from stimage.slides.catalog import Slide
from stimage.slides.coordinates import read_coordinates
from stimage.slides.counts.count_file import SPARSE, read_genes, rows_at
from stimage.slides.counts.numbered_ids import take_ids
from stimage.slides.counts.row_index import forget, kept_index
from stimage.slides.counts.rows import CountRows
from stimage.slides.images.patches import Patch
from stimage.slides.images.reader import MAX_IMAGE_PIXELS, ImageInfo, image_info
from stimage.slides.labels import read_labels
from stimage.slides.matching import check_size, match_spots, unique_ids, without_spot
from stimage.slides.missing import need_counts
from stimage.slides.scale.scale import Scale, slide_scale

BATCH_SPOTS = 64  # tables of this size stream fastest
BLOCK_SPOTS, BLOCK_BYTES = 512, 1 << 23  # of counts alone; fewer spots where rows are long
BATCH_BYTES = 1 << 24  # of count rows, and of pixels; fewer spots make a batch where either is larger
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Spots:
    """The n readable spots of a slide, from top to bottom, then from left to right, then in the file's order.

    ``ids`` are unique across slides: an id that does not begin with the slide's name gets the name in front.
    ``file_ids`` are the ids in the files. ``x``, ``y`` and ``r`` are float64, in pixels. ``row_start`` and ``row_end``
    are the place of each spot's counts in the file ``counts_path``. ``image_path``, ``counts_path`` and ``labels_path``
    are files on this machine, or "". ``left_out`` has the ids of spots that were left out. An image alone has no count
    file and no genes.
    """

    slide: Slide
    ids: pa.ChunkedArray
    file_ids: pa.ChunkedArray
    x: np.ndarray
    y: np.ndarray
    r: np.ndarray
    labels_path: str
    counts_path: str
    row_start: np.ndarray
    row_end: np.ndarray
    image_path: str
    max_pixels: int
    scale: Scale
    left_out: pa.ChunkedArray

    def __len__(self) -> int:
        return len(self.x)

    @property
    def dropped(self) -> int:
        """The number of spots that are left out."""
        return len(self.left_out)

    @cached_property
    def image_info(self) -> ImageInfo:
        """The header of the image."""
        return image_info(self.image_path, self.max_pixels)

    @cached_property
    def genes(self) -> list[str]:
        """The genes of the count file, one per column; none for an image alone."""
        return [] if self.slide.image_alone else read_genes(self.counts_path)

    @cached_property
    def annotation(self) -> pa.Array | pa.ChunkedArray:
        """The label of each spot, null where there is none."""
        if not self.labels_path:
            return pa.nulls(len(self), pa.string())
        labels = read_labels(self.labels_path)
        at = pc.index_in(
            pa.chunked_array([*self.file_ids.chunks, *self.left_out.chunks]), pa.array(labels, pa.string())
        )
        if strange := len(labels) - pc.count_distinct(at).as_py():
            log.warning(
                "%s: %d of %d labels are of spots that the slide does not have", self.labels_path, strange, len(labels)
            )
        return pa.array(labels.values(), pa.string()).take(at[: len(self)])

    def rows(self, some: slice | np.ndarray) -> CountRows:
        """Read the counts of some spots, and check the ids of their rows, since a file may have changed in place.

        Raises
        ------
        DataError
            As in `rows_at`. If the rows have other ids; the rows of the slide are then indexed again. If there are no
            counts, as for an image alone.
        """
        need_counts([self.slide], "reading expression")
        ids = self.file_ids[some] if isinstance(some, slice) else self.file_ids.take(pa.array(some))
        try:
            rows = rows_at(self.counts_path, self.genes, self.row_start[some], self.row_end[some])
            if len(rows) == len(ids) and rows.ids in ((), ids.to_pylist()):  # a sparse file looks at the places itself
                return rows
            raise DataError(f"{self.counts_path}: changed while it was read; start again")
        except DataError:
            forget(self.counts_path)
            _open_spots.cache_clear()
            raise

    def blocks(self, at: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, CountRows]]:
        """Yield the counts of all spots, or of those at some places, block by block as they lie in the file.

        Each block comes with its places, counted from 0. Raises as `rows` does.
        """
        at = np.arange(len(self)) if at is None else at
        order = self.row_start[at].argsort()
        longest = (self.row_end[at] - self.row_start[at]).max(initial=1)
        size = int(np.clip(BLOCK_BYTES // longest, 1, BLOCK_SPOTS))
        for some in np.split(order, range(size, len(order), size)):
            yield some, self.rows(at[some])


@dataclass(frozen=True)
class SpotBlock:
    """Consecutive spots ``begin`` to ``end`` of a slide: a patch each (uint8 RGB), and their counts in CSR form.

    Patches or counts are None if they were not asked for.
    """

    begin: int
    end: int
    patches: list[np.ndarray] | None
    rows: CountRows | None


def open_spots(
    slide: Slide, on_mismatch: str = "error", max_pixels: int = MAX_IMAGE_PIXELS, with_image: bool = True
) -> Spots:
    """Join the files of a slide; only the coord file is read whole.

    Parameters
    ----------
    slide
        The slide. Its files are fetched first if they are remote.
    on_mismatch
        What to do with spots that only one of the coord and count files has, that lie wholly outside the image, or
        whose radius is impossible: "error", or "drop", which leaves them out and logs their number.
    max_pixels
        Largest number of pixels of an image; larger images are refused.
    with_image
        False if no patch is needed: the image is then opened only to know which spots to leave out.

    Raises
    ------
    DataError
        As in `read_coordinates`, `index_rows` and `read_patches`, and if spots do not match or occur twice.
    NoSpotLeft
        If every spot is left out.
    """
    with_image |= on_mismatch == "drop"
    urls = (slide.coord, "" if slide.image_alone else slide.counts, slide.image if with_image else "", slide.annotation)
    files = tuple(local_copy(url, slide.access) if url else "" for url in urls)
    stamps: tuple = tuple((path, *file_state(path)) for path in files if path)
    stamps += ((slide.cells or "",),)  # a slide equals itself without cells, and spots keep their slide
    return _open_spots(slide, files, stamps, on_mismatch, max_pixels)


@lru_cache(maxsize=8)  # so that the ranges of a huge slide share one index; a changed file changes the stamps
def _open_spots(slide: Slide, files: tuple[str, ...], stamps: tuple, on_mismatch: str, max_pixels: int) -> Spots:
    coord, counts, image, labels = files
    info = image_info(image, max_pixels) if image else None
    if info:
        check_size(slide, image, info)
    if counts.endswith(SPARSE):  # indexed soon, and then kept in a file: before the coordinates need memory
        kept_index(counts)
    coordinates = read_coordinates(coord)
    index = kept_index(counts) if counts else None
    row, kept = match_spots(coord, coordinates, counts, index, image, info, on_mismatch)
    scale = slide_scale(coordinates if kept.all() else coordinates.filter(kept), slide)
    if scale.um_per_px and scale.verdict != "pass":
        log.warning("%s: %s", slide.name, scale.reason)
    ids, (x, y, r) = coordinates.ids, (coordinates.x, coordinates.y, coordinates.r)
    out, order = ids.filter(pa.array(~kept)).chunks, _reading_order(x, y, kept)
    place = (row if index else np.arange(len(x)))[order]
    start = end = np.broadcast_to(0, len(place))
    if index:
        out += index.ids.filter(pa.array(without_spot(row, index))).chunks
        ids, start, end = index.ids, index.start[place], index.end[place]  # the same ids, which are in a file
    del coordinates  # ids that may take as much memory as all else
    file_ids = take_ids(ids, place)
    pa.default_memory_pool().release_unused()  # what joining took would else be kept beside what reading takes
    return Spots(
        slide, unique_ids(file_ids, slide.name), file_ids, x[order], y[order], r[order], labels_path=labels,
        counts_path=counts, row_start=start, row_end=end, image_path=image, max_pixels=max_pixels, scale=scale,
        left_out=pa.chunked_array(out, pa.string()),
    )  # fmt: skip


def _reading_order(x: np.ndarray, y: np.ndarray, kept: np.ndarray) -> slice | np.ndarray:
    """Return where the kept spots are, from top to bottom, then from left to right, then in the file's order."""
    if kept.all() and ((y[1:] > y[:-1]) | ((y[1:] == y[:-1]) & (x[1:] >= x[:-1]))).all():
        return slice(None)  # they are so already, and nothing is copied
    order = np.lexsort((x, y))  # stable
    return order[kept[order]]


def read_batches(
    spots: Spots, patch: Patch | None, begin: int = 0, end: int | None = None, with_counts: bool = True
) -> Iterator[SpotBlock]:
    """Read spots ``begin`` to ``end`` of a slide, block by block, in one pass over the image.

    In an image that is not a tiled TIFF, the rows above the first of these spots are decoded, too, unless the spots
    that were read last lie just above them.

    Parameters
    ----------
    patch
        The size of patches. None reads no patches.
    with_counts
        False leaves the count file closed. An image alone never has counts.

    Raises
    ------
    DataError
        If a row of the counts or of the image can't be read; see `Spots.rows` and `read_patches`.
    """
    end, with_counts = len(spots) if end is None else end, with_counts and not spots.slide.image_alone
    part, rows = slice(begin, end), None
    x, y, r = (values[part] for values in (spots.x, spots.y, spots.r))
    patches = patch.cut(spots.image_path, x, y, r, spots.scale, spots.max_pixels) if patch else None
    side = (patch.px or 2 * r.max(initial=1) + 1) if patch else 0
    row_bytes = (spots.row_end[part] - spots.row_start[part]).max(initial=1) if with_counts else 0
    size = int(np.clip(BATCH_BYTES // max(3 * side * side, row_bytes, 1), 1, BATCH_SPOTS))
    for at in range(begin, end, size):
        stop = min(at + size, end)
        if with_counts:
            rows = spots.rows(slice(at, stop))
        yield SpotBlock(at, stop, [next(patches) for _ in range(stop - at)] if patches else None, rows)
