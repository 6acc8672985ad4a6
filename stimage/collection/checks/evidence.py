"""What a slide's files contain, read once for all checks; each part on its own, so one bad file hides no other."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa

from stimage.core.errors import DataError
from stimage.core.storage import local_copy
from stimage.figures.pixels.check_picture import SIDE
from stimage.figures.shapes import SpotShapes, View
from stimage.genes.vocabulary import load_vocabulary
from stimage.slides.catalog import Slide
from stimage.slides.coordinates import Coordinates, read_coordinates
from stimage.slides.counts.count_file import read_counts, read_genes
from stimage.slides.counts.row_index import kept_index
from stimage.slides.images.patches import filled_boxes, square_boxes
from stimage.slides.images.reader import MAX_IMAGE_PIXELS, ImageInfo, image_info, read_patches, too_dark
from stimage.slides.images.views import around, read_views, shapes_of, whole
from stimage.slides.labels import read_labels
from stimage.slides.matching import check_size, match_spots
from stimage.slides.scale.scale import Scale, slide_scale

THUMBNAIL = 800  # pixels of the longer side
SAMPLED, LOOKED_AT = 64, 128  # patches whose sharpness is looked at, and their pixels a side, at least
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
    number; ``of_gene`` the counts of the gene that was asked for (n), None if the slide lacks it.
    """

    ids: pa.Array
    genes: list[str]
    totals: np.ndarray
    mitochondrial: np.ndarray
    fractional: int
    digest: str
    of_gene: np.ndarray | None


@dataclass(frozen=True)
class Evidence:
    """A slide's parts; None where a part is missing or could not be read. ``faults`` has the errors of parts.

    ``broken`` is what the catalog says keeps the slide from being read, ``refused`` what the loader says of parts that
    can be read each on its own.
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


def gather(
    slide: Slide,
    meta: Mapping[str, str] | None,
    gene: str | None = None,
    broken: str | None = None,
    genes_file: str | None = None,
    max_pixels: int = MAX_IMAGE_PIXELS,
) -> Evidence:
    """Read all parts of a slide.

    ``meta`` is the slide's row of the meta file, ``gene`` one whose counts are wanted, ``broken`` what the catalog says
    of the slide, ``genes_file`` the root's own ``genes.parquet``; images of more than ``max_pixels`` are refused.

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
    counts = part("counts", slide.counts, lambda path: _read_counts(path, gene))
    labels = part("annotation", slide.annotation, read_labels)
    refused = None
    if picture and coordinates and (counts or slide.image_alone):
        refused = _refused(slide, coordinates, counts, picture.info, genes_file)
    return Evidence(slide, meta, broken, faults, picture, coordinates, scale, counts, labels, patches, refused)


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


def _read_counts(path: str, gene: str | None) -> Counts:
    genes = read_genes(path)
    mitochondrial = np.array([gene.startswith(MITOCHONDRIAL_PREFIXES) for gene in genes])
    wanted = genes.index(gene) if gene in genes else -1
    ids, totals, shares, of_gene, fractional, digest = [], [], [], [], 0, 0
    for rows in read_counts(path):
        totals.append(rows.totals())
        shares.append(rows.totals(rows.values * mitochondrial[rows.columns]))
        of_gene.append(rows.totals(rows.values * (rows.columns == wanted)))
        fractional += int(np.count_nonzero(rows.values % 1))
        for columns, values in rows:
            row = hashlib.blake2b(columns.tobytes() + values.tobytes(), digest_size=8)
            digest = (digest + int.from_bytes(row.digest(), "little")) % (1 << 64)
        ids.append(pa.array(rows.ids))
    if not ids:
        raise DataError(f"{path}: has no spot")
    return Counts(
        pa.concat_arrays(ids), genes, np.concatenate(totals), np.concatenate(shares), fractional, f"{digest:016x}",
        np.concatenate(of_gene) if wanted >= 0 else None,
    )  # fmt: skip
