"""What an image file says of its scale: OME-XML, Aperio's description, or its resolution."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
import tifffile

from stimage.core.errors import DataError

MICROSCOPE = (0.05, 25)  # µm a pixel that a microscope or a slide scanner gives; 300 dpi are 85, 72 dpi 353
SQUARE = 0.02  # by which a pixel's sides may differ
UNITS = {"nm": 1e-3, "µm": 1.0, "μm": 1.0, "um": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6, "in": 25400.0}  # both signs of µ
UNIT = tifffile.RESUNIT
PER_UNIT: dict[int, float] = {UNIT.INCH: 25400.0, UNIT.CENTIMETER: 1e4, UNIT.MILLIMETER: 1e3}
MPP = re.compile(r"\bMPP\s*=\s*([\d.]+)")
REMEDY = "pass um_per_px= (--um-per-px)"


def image_scale(path: Path) -> tuple[float, str]:
    """Return µm per pixel of an image, and where the file says so.

    Raises
    ------
    DataError
        If the file says none that a microscope gives, or pixels that are not square.
    """
    beyond = ""
    for (across, down), where in _told(path):
        um = float(np.sqrt(across * down))
        if not MICROSCOPE[0] <= um <= MICROSCOPE[1]:
            beyond = f" of a microscope, but {um:.3g} ({where})"
        elif abs(across / down - 1) > SQUARE:
            raise DataError(f"{path}: its {where} says pixels of {across:.4g} x {down:.4g} µm, which are not square; "
                            "make them so")  # fmt: skip
        else:
            return um, f"the image file ({where})"
    raise DataError(f"{path}: says no µm per pixel{beyond}; {REMEDY}")


def _told(path: Path) -> list[tuple[tuple[float, float], str]]:
    """Return what is said: µm across and down, and where; the surest first."""
    try:
        with tifffile.TiffFile(path) as tiff:
            return _of_tiff(tiff)
    except tifffile.TiffFileError:
        pass  # it is of another type, whose resolution libvips knows
    image = pyvips.Image.new_from_file(str(path), access="sequential")
    return [((1000 / image.xres, 1000 / image.yres), "resolution")] if image.xres > 0 < image.yres else []


def _of_tiff(tiff: tifffile.TiffFile) -> list[tuple[tuple[float, float], str]]:
    pages = [page.aspage() for page in tiff.pages]
    page = max(pages, key=lambda one: one.imagelength * one.imagewidth)
    found = [(sides, "OME-XML") for sides in _of_ome(tiff.ome_metadata)] if tiff.ome_metadata else []
    if match := MPP.search(page.description or pages[0].description or ""):
        found.append(((float(match[1]), float(match[1])), "MPP"))
    unit = PER_UNIT.get(int(page.resolutionunit))
    if unit and min(page.resolution) > 0:
        found.append(((unit / page.resolution[0], unit / page.resolution[1]), "resolution"))
    return found


def _of_ome(xml: str) -> list[tuple[float, float]]:
    """Return the sides of a pixel, of the largest image that has them."""
    images = tifffile.xml2dict(xml).get("OME", {}).get("Image", [])
    pixels = [one.get("Pixels", {}) for one in (images if isinstance(images, list) else [images])]
    for one in sorted(pixels, key=lambda one: -one.get("SizeX", 0) * one.get("SizeY", 0)):
        sides = [_side(one, axis) for axis in "XY"]
        if None not in sides:
            return [(sides[0] or 0, sides[1] or 0)]
    return []


def _side(pixels: Mapping[str, Any], axis: str) -> float | None:
    size, unit = pixels.get(f"PhysicalSize{axis}"), UNITS.get(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
    return float(size) * unit if isinstance(size, int | float) and size > 0 and unit else None
