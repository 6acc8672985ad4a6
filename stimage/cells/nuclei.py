"""Find the nuclei of a whole slide without a GPU, tile by tile.

It is a baseline beside trained segmenters: it knows no classes, and does not separate nuclei that overlap.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.ndimage import find_objects

from stimage.cells.cells import SCHEMA, Cells, density_of
from stimage.cells.parting import Parted, Stain, find_threshold, part_nuclei, smaller, steps_to_work
from stimage.cells.reading.outlines import Outlines
from stimage.core.errors import DataError
from stimage.core.extras import needs
from stimage.slides.images.reader import MAX_IMAGE_PIXELS, ImageInfo, image_info, read_patches

COARSEST = 2.5  # µm/px, at which a nucleus is three pixels wide
TILE, EDGE_UM = 1024, 20.0  # pixels at which tiles are worked at, and what is seen around each
LOOKS, LOOK = 150, 128  # places that the threshold is learnt from, and pixels of each
SOURCE = "nuclei by colour deconvolution"
OWN = ("ellipticity", "haematoxylin", "density")  # columns besides those of all cells


def detect(
    image: str,
    slide: str,
    um_per_px: float,
    max_pixels: int = MAX_IMAGE_PIXELS,
    done: Callable[[int], object] = int,
) -> Cells:
    """Find the nuclei of an H&E image, in one pass after a look at some places, in the memory of a row of tiles.

    Parameters
    ----------
    um_per_px
        µm per pixel of the image. Nuclei of 4 to 23 µm are looked for.
    done
        Function that is called with the number of image rows after each row of tiles.

    Returns
    -------
    Cells
        Cells without classes. Their table also has ``ellipticity`` (0 for a circle, at most 1), ``haematoxylin`` (mean
        optical density in the nucleus) and ``density`` (nuclei per mm² within 50 µm).

    Raises
    ------
    DataError
        As in `read_patches`, and if the image is coarser than 2.5 µm per pixel, or has no tissue or no nuclei.
    """
    if um_per_px > COARSEST:
        raise DataError(f"{image}: has {um_per_px:.3g} µm per pixel, where nuclei can't be seen; they can up to "
                        f"{COARSEST:g}: take the slide's full image")  # fmt: skip
    info, stain = image_info(image, max_pixels), Stain.usual()
    step = steps_to_work(um_per_px)
    um = um_per_px * step
    threshold = _threshold(image, info, step, um, stain, max_pixels)
    found: list[np.ndarray] = []
    outlines = Outlines()
    for tile in _tiles(image, info, step, um, max_pixels, done):
        found += _nuclei(tile, um, threshold, stain, outlines)
    if not found:
        raise DataError(f"{image}: no nuclei are found in it")
    return _as_cells(np.array(found), outlines, info, slide, um_per_px)


@dataclass(frozen=True, eq=False)
class _Tile:
    """Pixels of a tile with its edge, made ``step`` times smaller; where they begin in the image, and its core."""

    pixels: np.ndarray
    left: int
    top: int
    step: int
    core: tuple[int, int, int, int]


def _tiles(
    image: str, info: ImageInfo, step: int, um: float, max_pixels: int, done: Callable[[int], object]
) -> Iterator[_Tile]:
    """Yield tiles from top to bottom; what lies beyond the image is white."""
    side, edge = TILE * step, round(EDGE_UM / um) * step
    cores = [(x, y, min(x + side, info.width), min(y + side, info.height))
             for y in range(0, info.height, side) for x in range(0, info.width, side)]  # fmt: skip
    boxes = np.array([(x - edge, y - edge, x + side + edge, y + side + edge) for x, y, *_ in cores])
    for core, (left, top, *_), pixels in zip(cores, boxes.tolist(), read_patches(image, boxes, max_pixels)):
        pixels[: max(-top, 0)] = pixels[max(info.height - top, 0) :] = 255
        pixels[:, : max(-left, 0)] = pixels[:, max(info.width - left, 0) :] = 255
        yield _Tile(smaller(pixels, step), left, top, step, core)
        if core[2] == info.width:
            done(core[3] - core[1])


def _threshold(image: str, info: ImageInfo, step: int, um: float, stain: Stain, max_pixels: int) -> float:
    """Return the haematoxylin that parts nuclei from other tissue, by some places over all of the image."""
    side = LOOK * step
    across = max(1, round((LOOKS * info.width / info.height) ** 0.5))
    rows, columns = (np.unique(np.linspace(0, max(n - side, 0), k).astype(int))
                     for n, k in ((info.height, max(1, LOOKS // across)), (info.width, across)))  # fmt: skip
    boxes = np.array([(x, y, min(x + side, info.width), min(y + side, info.height)) for y in rows for x in columns])
    small = (smaller(pixels, step) for pixels in read_patches(image, boxes, max_pixels))
    threshold = find_threshold(small, um, stain)
    if threshold is None:
        raise DataError(f"{image}: has no stained tissue, as far as is seen")
    return threshold


def _nuclei(tile: _Tile, um: float, threshold: float, stain: Stain, outlines: Outlines) -> list[np.ndarray]:
    """Return x, y, pixels, ellipticity and haematoxylin of each nucleus of a tile's core, and add their outlines."""
    parted = part_nuclei(tile.pixels, um, threshold, stain)
    if parted is None:
        return []
    xy = tile.step * parted.xy + (tile.left, tile.top)
    kept = np.all((xy >= tile.core[:2]) & (xy < tile.core[2:]), axis=1)
    own = parted.take(kept)
    _add_outlines(own, tile, outlines)
    return list(np.stack([*xy[kept].T, own.pixels * tile.step**2, own.ellipticity, own.haematoxylin], 1))


def _add_outlines(parted: Parted, tile: _Tile, outlines: Outlines) -> None:
    find, labels = needs("skimage.measure").find_contours, parted.labels
    boxes = find_objects(labels)
    for k in parted.label.tolist():
        rows, columns = boxes[k - 1]
        ring = max(find(np.pad(labels[rows, columns] == k, 1).astype(np.uint8), 0.5), key=len)
        places = tile.step * (ring[:, ::-1] + (columns.start - 0.5, rows.start - 0.5)) + (tile.left, tile.top)
        outlines.add([[places.tolist()]])


def _as_cells(found: np.ndarray, outlines: Outlines, info: ImageInfo, slide: str, um_per_px: float) -> Cells:
    x, y, pixels, ellipticity, haematoxylin = found.T
    shapely, n = needs("shapely"), len(found)
    wkb = [pa.array(shapely.to_wkb(some), pa.binary()) for some in outlines.polygons(outlines.xy, np.ones(n, bool))]
    density = density_of(found[:, :2] * um_per_px)
    base = pa.table([pa.array([str(k) for k in range(n)]), x, y, pa.nulls(n, pa.string()), pixels * um_per_px**2,
                     pa.chunked_array(wkb)], schema=SCHEMA)  # fmt: skip
    for name, values in zip(OWN, (ellipticity, haematoxylin, density)):
        base = base.append_column(name, pa.array(values, pa.float64()))
    region = (0.0, 0.0, float(info.width), float(info.height))
    return Cells(base, slide, (info.width, info.height), region, um_per_px, SOURCE)
