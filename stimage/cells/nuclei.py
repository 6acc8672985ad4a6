"""Nuclei found without a GPU: haematoxylin by colour deconvolution, a threshold, and a watershed, tile by tile.

A. Ruifrok and D. Johnston, Anal. Quant. Cytol. Histol. 23, 291 (2001), have the colours of the stains. It is a baseline
beside segmenters that were trained: it knows no classes, and parts no nuclei that lie on each other.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.ndimage import distance_transform_edt, find_objects, gaussian_filter
from scipy.spatial import cKDTree

from stimage.cells.cells import SCHEMA, Cells
from stimage.cells.reading.outlines import Outlines
from stimage.core.errors import DataError
from stimage.core.extras import needs
from stimage.slides.images.reader import MAX_IMAGE_PIXELS, ImageInfo, image_info, read_patches
from stimage.slides.images.tissue import otsu

WORKED_AT = 0.5  # µm/px, to which finer images are made coarser, by whole factors
COARSEST = 2.5  # µm/px, at which a nucleus is three pixels wide
TILE, EDGE_UM = 1024, 20.0  # pixels at which tiles are worked at, and what is seen around each
SMOOTH_UM = 0.6  # standard deviation of the filter against grain
DARK_UM = 1.0, 4.0  # filters whose difference tells what is darker than around, as a nucleus within a clump is
DARK_WEIGHT = 6.0  # µm of depth that are worth as much as a difference of the threshold
APART_UM = 3.0  # between the middles of two nuclei, at least
AREAS_UM2 = (12.0, 400.0)  # of nuclei; smaller is dust, larger is a fold or a smear
LOOKS, LOOK = 150, 128  # places that the threshold is learnt from, and pixels of each
TISSUE = 0.12  # optical density, mean of the colours, above which a pixel is stained
AROUND_UM = 50.0  # within which neighbours are counted
SOURCE = "nuclei by colour deconvolution"
OWN = ("ellipticity", "haematoxylin", "density")  # columns besides those of all cells


@dataclass(frozen=True)
class Stain:
    """What turns RGB into haematoxylin, in optical density: a table a colour (256 each)."""

    tables: np.ndarray

    @classmethod
    def usual(cls) -> "Stain":
        """Return that of haematoxylin and eosin as they usually are."""
        weights = needs("skimage.color").hed_from_rgb[:, 0]
        density = -np.log10((np.arange(256) + 1) / 256)
        return cls((density * (weights / weights.sum())[:, None]).astype(np.float32))

    def of(self, pixels: np.ndarray) -> np.ndarray:
        """Return the haematoxylin of pixels (height x width x 3, uint8) as float32."""
        red, green, blue = self.tables
        return red[pixels[..., 0]] + green[pixels[..., 1]] + blue[pixels[..., 2]]


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
        Of the image. Nuclei of 4 to 23 µm are looked for.
    done
        Called with the number of rows of the image each time that a row of tiles is done.

    Returns
    -------
    Cells
        Without classes; its table also has ``ellipticity`` (0 of a circle, to 1), ``haematoxylin`` (mean optical
        density in the nucleus) and ``density`` (nuclei per mm² within 50 µm).

    Raises
    ------
    DataError
        If the image is coarser than 2.5 µm per pixel, has no tissue or no nuclei; as `read_patches` does.
    """
    if um_per_px > COARSEST:
        raise DataError(f"{image}: has {um_per_px:.3g} µm per pixel, where nuclei can't be seen; they can up to "
                        f"{COARSEST:g}: take the slide's full image")  # fmt: skip
    info, stain = image_info(image, max_pixels), Stain.usual()
    step = max(1, int(WORKED_AT / um_per_px + 0.01))
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
        yield _Tile(_smaller(pixels, step), left, top, step, core)
        if core[2] == info.width:
            done(core[3] - core[1])


def _smaller(pixels: np.ndarray, step: int) -> np.ndarray:
    if step == 1:
        return pixels
    high, wide = (n // step for n in pixels.shape[:2])
    return pixels[: high * step, : wide * step].reshape(high, step, wide, step, 3).mean((1, 3)).astype(np.uint8)


def _threshold(image: str, info: ImageInfo, step: int, um: float, stain: Stain, max_pixels: int) -> float:
    """Return the haematoxylin that parts nuclei from other tissue, by some places over all of the image."""
    side = LOOK * step
    across = max(1, round((LOOKS * info.width / info.height) ** 0.5))
    rows, columns = (np.unique(np.linspace(0, max(n - side, 0), k).astype(int))
                     for n, k in ((info.height, max(1, LOOKS // across)), (info.width, across)))  # fmt: skip
    boxes = np.array([(x, y, min(x + side, info.width), min(y + side, info.height)) for y in rows for x in columns])
    seen = []
    for pixels in read_patches(image, boxes, max_pixels):
        small = _smaller(pixels, step)
        stained = -np.log10((small.mean(2) + 1) / 256) > TISSUE
        seen.append(gaussian_filter(stain.of(small), SMOOTH_UM / um)[stained])
    values = np.concatenate(seen)
    if not len(values):
        raise DataError(f"{image}: has no stained tissue, as far as is seen")
    return otsu(values)[0]


def _nuclei(tile: _Tile, um: float, threshold: float, stain: Stain, outlines: Outlines) -> list[np.ndarray]:
    """Return x, y, pixels, ellipticity and haematoxylin of each nucleus of a tile's core, and add their outlines."""
    feature, measure, segmentation = (needs(f"skimage.{name}") for name in ("feature", "measure", "segmentation"))
    amount = gaussian_filter(stain.of(tile.pixels), SMOOTH_UM / um)
    mask = amount > threshold
    if not mask.any():
        return []
    depth = _heights(mask, amount, threshold, um)
    peaks = feature.peak_local_max(depth, min_distance=max(1, round(APART_UM / um / 2)), threshold_abs=0.5,
                                   exclude_border=False)  # fmt: skip
    seeds = np.zeros(mask.shape, np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels = segmentation.watershed(-depth, seeds, mask=mask)
    wanted = ("label", "centroid", "area", "axis_major_length", "axis_minor_length", "mean_intensity")
    table = measure.regionprops_table(labels, amount, properties=wanted)
    x, y = (tile.step * (table[f"centroid-{k}"] + 0.5) + begin for k, begin in ((1, tile.left), (0, tile.top)))
    area = table["area"] * um**2
    left, top, right, bottom = tile.core
    kept = (area >= AREAS_UM2[0]) & (area <= AREAS_UM2[1])
    kept &= (x >= left) & (x < right) & (y >= top) & (y < bottom)
    ellipticity = 1 - table["axis_minor_length"] / np.maximum(table["axis_major_length"], 1e-9)
    _add_outlines(labels, table["label"][kept], tile, outlines, measure.find_contours)
    rows = np.stack([x, y, table["area"] * tile.step**2, ellipticity, table["mean_intensity"]], 1)[kept]
    return list(rows)


def _heights(mask: np.ndarray, amount: np.ndarray, threshold: float, um: float) -> np.ndarray:
    """Return a landscape with a hill a nucleus: far from the edge of what is stained, and darker than around."""
    inside = gaussian_filter(distance_transform_edt(mask).astype(np.float32) * um, 0.5 / um)
    local = gaussian_filter(amount, DARK_UM[0] / um) - gaussian_filter(amount, DARK_UM[1] / um)
    heights = inside + DARK_WEIGHT * local / threshold
    return np.where(mask, heights - heights.min() + 1, 0)


def _add_outlines(labels: np.ndarray, some: np.ndarray, tile: _Tile, outlines: Outlines, find: Callable) -> None:
    boxes = find_objects(labels)
    for k in some.tolist():
        rows, columns = boxes[k - 1]
        ring = max(find(np.pad(labels[rows, columns] == k, 1).astype(np.uint8), 0.5), key=len)
        places = tile.step * (ring[:, ::-1] + (columns.start - 0.5, rows.start - 0.5)) + (tile.left, tile.top)
        outlines.add([[places.tolist()]])


def _as_cells(found: np.ndarray, outlines: Outlines, info: ImageInfo, slide: str, um_per_px: float) -> Cells:
    x, y, pixels, ellipticity, haematoxylin = found.T
    shapely, n = needs("shapely"), len(found)
    wkb = [pa.array(shapely.to_wkb(some), pa.binary()) for some in outlines.polygons(outlines.xy, np.ones(n, bool))]
    tree = cKDTree(found[:, :2] * um_per_px)
    around = tree.query_ball_point(tree.data, AROUND_UM, return_length=True)  # of which each is one
    base = pa.table([pa.array([str(k) for k in range(n)]), x, y, pa.nulls(n, pa.string()), pixels * um_per_px**2,
                     pa.chunked_array(wkb)], schema=SCHEMA)  # fmt: skip
    for name, values in zip(OWN, (ellipticity, haematoxylin, around / (np.pi * (AROUND_UM / 1000) ** 2))):
        base = base.append_column(name, pa.array(values, pa.float64()))
    region = (0.0, 0.0, float(info.width), float(info.height))
    return Cells(base, slide, (info.width, info.height), region, um_per_px, SOURCE)
