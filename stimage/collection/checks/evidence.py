"""The content of a slide's files, read once for all checks; each part by itself, so one bad file hides no other."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa

from stimage.cells.cells import Cells, cells_file, read_cells
from stimage.core.errors import DataError
from stimage.core.storage import local_copy
from stimage.figures.pixels.check_picture import SIDE
from stimage.figures.shapes import SpotShapes, View
from stimage.genes.vocabulary import load_vocabulary
from stimage.slides.catalog import Slide
from stimage.slides.coordinates import Coordinates, read_coordinates
from stimage.slides.counts.count_file import read_counts, read_genes, rows_at
from stimage.slides.counts.row_index import kept_index
from stimage.slides.images.patches import filled_boxes, square_boxes
from stimage.slides.images.reader import MAX_IMAGE_PIXELS, ImageInfo, image_info, read_patches, too_dark
from stimage.slides.images.views import around, read_views, shapes_of, whole
from stimage.slides.labels import read_labels
from stimage.slides.matching import check_size, match_spots
from stimage.slides.scale.scale import Scale, slide_scale

THUMBNAIL = 800  # pixels of the longer side
SAMPLED, LOOKED_AT = 64, 128  # patches whose sharpness is looked at, and their pixels a side, at least
CELLS = ["x", "y", "class"]  # what is read of cells
VARYING_OVER = 500  # spots by which the most varying genes are chosen
MITOCHONDRIAL_PREFIXES = ("MT-", "Mt-", "mt-", "MT.", "mt.")
Part = TypeVar("Part")


@dataclass(frozen=True)
class Picture:
    """A slide's image: its header, a thumbnail (uint8 RGB) ``step`` times smaller, and a digest of its file.

    ``view`` is larger: the part of the image where the spots are. ``problem`` says what makes the pixels useless.
    """

    info: ImageInfo
    thumbnail: np.ndarray
    step: int
    view: View
    file_digest: str
    problem: str | None = None


@dataclass(frozen=True)
class Counts:
    """Sums over a count file, spot by spot in its order; ``digest`` does not depend on that order.

    ``totals`` and ``mitochondrial`` are sums of counts (float64, n each); ``fractional`` the cells that are no whole
    number; ``of_genes`` the counts (n each) of the genes that were asked for, without those that the slide lacks.
    """

    ids: pa.Array
    genes: list[str]
    totals: np.ndarray
    mitochondrial: np.ndarray
    fractional: int
    digest: str
    of_genes: dict[str, np.ndarray]


@dataclass(frozen=True)
class Evidence:
    """A slide's parts; None where a part is missing or could not be read. ``faults`` has the errors of parts.

    ``broken`` is what the catalog says keeps the slide from being read, ``refused`` what the loader says of parts that
    can be read each on its own. ``image_path`` is the image on this machine, ``cells`` their places and classes.
    """

    slide: Slide
    meta: Mapping[str, str] | None
    broken: str | None
    faults: dict[str, str]
    picture: Picture | None = None
    coordinates: Coordinates | None = None
    scale: Scale | None = None
    counts: Counts | None = None
    labels: dict[str, str | None] | None = None
    patches: list[np.ndarray] | None = None
    refused: str | None = None
    image_path: str | None = None
    cells: Cells | None = None


def gather(
    slide: Slide,
    meta: Mapping[str, str] | None,
    genes: Sequence[str] = (),
    broken: str | None = None,
    genes_file: str | None = None,
    max_pixels: int = MAX_IMAGE_PIXELS,
    varying: int = 0,
    cells_root: str | None = None,
) -> Evidence:
    """Read all parts of a slide.

    ``meta`` is the slide's row of the meta file, ``genes`` those whose counts are wanted, besides the ``varying`` ones
    that differ most between spots; ``broken`` is what the catalog says of the slide, ``genes_file`` the root's own
    ``genes.parquet``; images of more than ``max_pixels`` are refused. ``cells_root`` is the root, if it has the slide's
    cells.

    Memory is that of a strip of the image, a block of the counts, and a few numbers a spot.
    """
    faults = {}

    def part(name: str, url: str | None, read: Callable[[str], Part]) -> Part | None:
        if not url:
            return None
        try:
            return read(local_copy(url, slide.access))
        except (DataError, OSError) as error:
            faults[name] = str(error)
            return None

    coordinates = part("coord", slide.coord, read_coordinates)
    scale = slide_scale(coordinates, slide) if coordinates else None
    shapes = shapes_of(coordinates, slide, scale) if coordinates else None
    picture = part("image", slide.image, lambda path: _read_picture(path, shapes, max_pixels))
    patches = None
    if picture and coordinates:
        patches = (
            part("image", slide.image, lambda path: _sample_patches(path, picture.info, coordinates, max_pixels)) or []
        )
    counts = part("counts", slide.counts, lambda path: _read_counts(path, genes, varying))
    labels = part("annotation", slide.annotation, read_labels)
    refused = None
    if picture and coordinates and (counts or slide.image_alone):
        refused = _refused(slide, coordinates, counts, picture.info, genes_file)
    image = local_copy(slide.image, slide.access) if picture else None
    cells = None
    if cells_root and picture:
        cells = part("cells", cells_file(cells_root, slide.name), lambda _: read_cells(cells_root, slide, CELLS))
    return Evidence(
        slide, meta, broken, faults, picture, coordinates, scale, counts, labels, patches, refused, image, cells
    )


def _refused(
    slide: Slide, coordinates: Coordinates, counts: Counts | None, info: ImageInfo, genes_file: str | None
) -> str | None:
    """Return why the loader refuses a slide, by the functions that the loader calls; None if it takes the slide."""
    urls = (slide.coord, slide.counts, slide.image)
    coord, table, image = (local_copy(url, slide.access) if url else "" for url in urls)
    try:
        check_size(slide, image, info)
        match_spots(coord, coordinates, table, kept_index(table) if counts else None, image, info, "error")
        filled_boxes(image, coordinates.x, coordinates.y, coordinates.r)
        if genes_file and counts:
            load_vocabulary(genes_file).ids_of(counts.genes, slide.counts)
    except DataError as error:
        return str(error)
    return None


def _read_picture(path: str, shapes: SpotShapes | None, max_pixels: int) -> Picture:
    info = image_info(path, max_pixels)
    parts = whole(info, THUMBNAIL), around(shapes, info, SIDE) if shapes else whole(info, SIDE)
    small, view = read_views(path, parts, max_pixels)
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return Picture(info, small.pixels, parts[0].step, view, digest.hexdigest(),
                   too_dark(path, info, small.pixels))  # fmt: skip


def _sample_patches(
    path: str, info: ImageInfo, coordinates: Coordinates, max_pixels: int = MAX_IMAGE_PIXELS
) -> list[np.ndarray]:
    """Read patches around spots, from all over the image; small spots with what lies around them."""
    least = min(LOOKED_AT, max(min(info.width, info.height) // 4, 16)) / 2
    boxes = square_boxes(coordinates.x, coordinates.y, np.maximum(coordinates.r, least))
    inside = (boxes[:, :2] >= 0).all(1) & (boxes[:, 2] <= info.width) & (boxes[:, 3] <= info.height)
    boxes = boxes[inside][np.argsort(boxes[inside, 1], kind="stable")]
    some = np.unique(np.linspace(0, len(boxes) - 1, min(SAMPLED, len(boxes))).astype(int))
    return list(read_patches(path, boxes[some], max_pixels))


def _read_counts(path: str, wanted: Sequence[str], varying: int) -> Counts:
    genes = read_genes(path)
    mitochondrial = np.array([gene.startswith(MITOCHONDRIAL_PREFIXES) for gene in genes])
    with suppress(DataError):  # the same is raised below, in the words of a reader of all rows
        wanted = [*wanted, *(genes[k] for k in _most_varying(path, genes, mitochondrial, varying))]
    column = {gene: k for k, gene in enumerate(genes) if gene in {*wanted}}
    column = {gene: column[gene] for gene in dict.fromkeys(wanted) if gene in column}
    ids, totals, shares, fractional, digest = [], [], [], 0, 0
    of_genes: dict[str, list[np.ndarray]] = {gene: [] for gene in column}
    for rows in read_counts(path):
        totals.append(rows.totals())
        shares.append(rows.totals(rows.values * mitochondrial[rows.columns]))
        for gene, k in column.items():
            of_genes[gene].append(rows.totals(rows.values * (rows.columns == k)))
        fractional += int(np.count_nonzero(rows.values % 1))
        for columns, values in rows:
            row = hashlib.blake2b(columns.tobytes() + values.tobytes(), digest_size=8)
            digest = (digest + int.from_bytes(row.digest(), "little")) % (1 << 64)
        ids.append(pa.array(rows.ids))
    if not ids:
        raise DataError(f"{path}: has no spot")
    return Counts(
        pa.concat_arrays(ids), genes, np.concatenate(totals), np.concatenate(shares), fractional, f"{digest:016x}",
        {gene: np.concatenate(parts) for gene, parts in of_genes.items()},
    )  # fmt: skip


def _most_varying(path: str, genes: list[str], left_out: np.ndarray, n: int) -> np.ndarray:
    """Return the n genes (columns) whose log(1 + normalised count) varies most over spots from all over the slide."""
    if not n:
        return np.empty(0, int)
    index = kept_index(path)
    some = np.unique(np.linspace(0, len(index.start) - 1, min(VARYING_OVER, len(index.start))).astype(int))
    rows = rows_at(path, genes, index.start[some], index.end[some])
    totals = np.repeat(rows.totals(), np.diff(rows.indptr))
    logs = np.log1p(rows.values * (totals.mean() / totals)) if len(totals) else rows.values
    means, squares = (np.bincount(rows.columns, values, len(genes)) / len(rows) for values in (logs, logs**2))
    variance = np.where(left_out, 0, squares - means**2)
    first = np.argsort(-variance, kind="stable")[:n]
    return first[variance[first] > 0]
