"""A slide that is an image alone: spots on a lattice, where the image shows tissue, and no counts."""

import logging
from pathlib import Path

import numpy as np
from scipy.ndimage import label, uniform_filter
from scipy.sparse import csr_matrix

from stimage.core.errors import DataError
from stimage.formats.alone.lattice import NOMINAL, LatticePlan
from stimage.formats.frame import small_image
from stimage.formats.imported import ImportedSlide, ImportOptions, refuse_options
from stimage.formats.source_scale import USER
from stimage.slides.images.reader import open_image
from stimage.slides.images.readers.slide_image import SlideImage
from stimage.slides.images.tissue import part_tissue
from stimage.slides.scale.scale import LAID

log = logging.getLogger(__name__)

IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".btf", ".svs", ".ndpi", ".qptiff", ".mrxs", ".scn", ".bif",
          ".svslide", ".vms", ".vmu", ".czi", ".jp2", ".j2k", ".jxl", ".dcm", ".bmp", ".gif", ".webp", ".avif",
          ".heic")  # fmt: skip
HEADS = (b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # of PNG, JPEG, TIFF of any name
MOST_SPOTS = 5_000_000  # which take 2 GB of memory; bins of 8 µm on 3 cm²
SPECK = 30_000  # µm² of tissue, below which it is dust: four Visium spots
SHOWS_TISSUE = 0.5  # share of a spot's square
LEAST_PX = 2  # across a spot
COLOURLESS = 8  # of 255: by which the bands of a picture without colour differ at most


def is_image(path: Path) -> bool:
    """Tell whether a path is an image, by its name or by how it begins."""
    if path.name.lower().endswith(IMAGES):
        return not path.is_dir()
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(4).startswith(HEADS)


def read_image_alone(path: Path, options: ImportOptions) -> ImportedSlide:
    """Lay a lattice on an image's tissue, or on all of it.

    A spot is where at least half of its square is tissue in a small view of the image; specks are no tissue. So there
    are about as many spots as the tissue's area has cells of the lattice.

    Raises
    ------
    DataError
        If the image can't be read, has no scale or no tissue, or spots are too small, too large or too many.
    """
    refuse_options(options, path, "is an image alone", ("layer", "genome", "labels", "library", "positions"))
    if options.image is not None:
        raise DataError(f"{path}: is an image alone, on which spots are laid; leave out image= (--image), or pass the "
                        "slide's spots and counts instead of it")  # fmt: skip
    if options.spot_diameter is not None:
        raise DataError(f"{path}: spots of an image alone are given in µm; pass spot_um= (--spot-um) instead of "
                        "spot_diameter= (--spot-diameter)")  # fmt: skip
    image = open_image(str(path))
    um, source = (options.um_per_px, USER) if options.um_per_px else _scale(image)
    plan = _plan(path, options, um)
    _check_size(path, plan, um, image.width, image.height)
    pixels, step = small_image(path)
    if np.ptp(pixels.astype(int), axis=2).max() < COLOURLESS:
        log.warning("%s: has no colour, so it is no H&E image; is it a mask?", path)
    tissue = np.ones(pixels.shape[:2], bool) if options.whole_image else _tissue(path, pixels, SPECK / (um * step) ** 2)
    if (about := tissue.sum() * step**2 / plan.cell) > MOST_SPOTS:
        raise DataError(f"{path}: a lattice of {plan.pitch_um:g} µm would have about {about:,.0f} spots, more than "
                        f"{MOST_SPOTS:,}; pass a larger pitch_um= (--pitch-um)")  # fmt: skip
    names, x, y = _lay(plan, tissue, step, image.width, image.height)
    if not names:
        raise DataError(f"{path}: no spot of a lattice of {plan.pitch_um:g} µm is on its tissue; pass a smaller "
                        "pitch_um= (--pitch-um), or whole_image=True (--whole-image) if all of it is "
                        "tissue")  # fmt: skip
    return ImportedSlide(
        str(path), names, [], csr_matrix((len(names), 0), dtype=np.float32), x, y, plan.r, path, {}, plan.tech,
        um_per_px=um, um_per_px_source=source + LAID, image_alone=True,
    )  # fmt: skip


def check_lattice(found: ImportedSlide, options: ImportOptions, rebin: int | None) -> None:
    """Refuse a lattice for a slide that has spots, and bins of an image alone."""
    given = [name for name in ("pitch_um", "spot_um", "whole_image") if getattr(options, name)]
    if given and not found.image_alone:
        raise DataError(f"{found.where}: has spots of its own; leave out {given[0]}= "
                        f"(--{given[0].replace('_', '-')}), which is only for an image alone")  # fmt: skip
    if rebin is not None and found.image_alone:
        raise DataError(f"{found.where}: is an image alone, so it has no bins to add together; leave out "
                        "rebin= (--rebin), and pass the side of the bins as pitch_um= (--pitch-um)")  # fmt: skip


def _scale(image: SlideImage) -> tuple[float, str]:
    """Return the µm per pixel that the file says, and where."""
    if not image.um_per_px:
        raise DataError(f"{image.path}: says no µm per pixel; pass um_per_px= (--um-per-px)")
    return image.um_per_px, f"image file ({image.pixel_sizes[0].source})"


def _plan(path: Path, options: ImportOptions, um: float) -> LatticePlan:
    tech = options.tech or "Visium"
    pitch, spot = NOMINAL[tech]
    if tech == "VisiumHD" and options.spot_um is not None:
        raise DataError(f"{path}: bins lie side by side; say their side as pitch_um= (--pitch-um), and leave out "
                        "spot_um= (--spot-um)")  # fmt: skip
    pitch_um = float(options.pitch_um or pitch)
    spot_um = options.spot_um or spot * pitch_um / pitch
    return LatticePlan(tech, pitch_um, pitch_um / um, spot_um / 2 / um)


def _check_size(path: Path, plan: LatticePlan, um: float, width: int, height: int) -> None:
    """Refuse spots that are hardly a pixel, or that no image holds."""
    across = 2 * plan.r
    what = f"a spot of {across * um:.4g} µm is {across:.3g} pixels across at {um:.4g} µm/px"
    if across < LEAST_PX:
        raise DataError(f"{path}: {what}, too few to see anything; correct um_per_px= (--um-per-px), or pass a larger "
                        "spot_um= (--spot-um), or of bins pitch_um= (--pitch-um)")  # fmt: skip
    if across > min(width, height):
        raise DataError(f"{path}: {what}, and the image has {width:,} x {height:,}; correct um_per_px= (--um-per-px), "
                        "or pass a smaller spot_um= (--spot-um), or of bins pitch_um= (--pitch-um)")  # fmt: skip


def _tissue(path: Path, pixels: np.ndarray, speck: float) -> np.ndarray:
    """Return which pixels are tissue, without parts of fewer pixels than a speck has, unless all are such."""
    tissue, parted = part_tissue(pixels)
    if not parted or not tissue.any():
        raise DataError(f"{path}: no tissue is to be told from glass in it; if all of it is tissue, pass "
                        "whole_image=True (--whole-image)")  # fmt: skip
    parts, _ = label(tissue, np.ones((3, 3)))
    sizes = np.bincount(parts.ravel())[1:]
    return np.isin(parts, 1 + np.flatnonzero(sizes >= min(speck, sizes.max())))


def _lay(
    plan: LatticePlan, tissue: np.ndarray, step: int, width: int, height: int
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the ids, x and y of the spots that are on tissue, from top to bottom."""
    share = uniform_filter(tissue.astype(np.float32), max(1, round(2 * plan.r / step)), mode="nearest")
    names, xs, ys = [], [np.zeros(0)], [np.zeros(0)]
    for row, places, x, y in plan.rows(width, height):
        line = share[min(int(y / step), len(share) - 1)]
        on = line[np.minimum((x / step).astype(int), len(line) - 1)] >= SHOWS_TISSUE
        names += plan.names(row, places[on])
        xs.append(x[on])
        ys.append(np.full(int(on.sum()), y))
    return names, np.concatenate(xs), np.concatenate(ys)
