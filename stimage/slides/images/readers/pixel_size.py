"""The size of an image's pixels, as its file gives it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import tifffile

MOST = 10.0  # µm per pixel: more is said by default values of printers and screens, such as 72 per inch
ALIKE = 0.01  # of the size, by which two that agree may differ: they are rounded
RESOLUTION = {2: (25_400.0, "inch"), 3: (10_000.0, "cm")}  # TIFF's unit → µm
UNITS = {"m": 1e6, "dm": 1e5, "cm": 1e4, "mm": 1e3, "µm": 1.0, "\u03bcm": 1.0, "um": 1.0, "nm": 1e-3, "pm": 1e-6,
         "Å": 1e-4, "in": 25_400.0}  # fmt: skip


@dataclass(frozen=True)
class PixelSize:
    """µm per pixel of level 0, and what says so."""

    um_per_px: float
    source: str


def contradiction(sizes: tuple[PixelSize, ...]) -> str:
    """Return which two sizes differ by more than rounding, in words; "" if none do."""
    for one in sizes[1:]:
        if abs(one.um_per_px / sizes[0].um_per_px - 1) > ALIKE:
            return f"{sizes[0].source} says {sizes[0].um_per_px:.6g} µm per pixel, {one.source} {one.um_per_px:.6g}"
    return ""


def told_by_tiff(tiff: tifffile.TiffFile, page: Any) -> tuple[PixelSize, ...]:
    """Return what a TIFF says of its slide's page, the most trusted first."""
    return tuple(_sound([*_aperio(page.description), *_ome(tiff), *_tags(page)]))


def told_by_openslide(properties: Mapping[str, str]) -> tuple[PixelSize, ...]:
    """Return what OpenSlide gives: of pixels that are not square, both sides."""
    names = "openslide.mpp-x", "openslide.mpp-y"
    return tuple(_sound([*_pair(*((properties.get(name), name) for name in names))]))


def _sound(sizes: list[PixelSize]) -> Iterator[PixelSize]:
    return (size for size in sizes if 0 < size.um_per_px < MOST)


def _aperio(description: str) -> Iterator[PixelSize]:
    if description.startswith("Aperio") and (found := re.search(r"\|\s*MPP\s*=\s*([^|\s]+)", description)):
        yield from _pair((found[1], "Aperio's MPP"))


def _ome(tiff: tifffile.TiffFile) -> Iterator[PixelSize]:
    if not (tiff.is_ome and tiff.ome_metadata):
        return
    images = tifffile.xml2dict(tiff.ome_metadata).get("OME", {}).get("Image", {})
    pixels = (images[0] if isinstance(images, list) else images).get("Pixels", {})
    sides = [
        (pixels.get(f"PhysicalSize{side}"), f"OME's PhysicalSize{side}", pixels.get(f"PhysicalSize{side}Unit", "µm"))
        for side in "XY"
    ]
    yield from _pair(*((value, name, UNITS[unit]) for value, name, unit in sides if unit in UNITS))


def _tags(page: Any) -> Iterator[PixelSize]:
    unit = page.tags.valueof("ResolutionUnit", 2)
    if unit not in RESOLUTION:
        return
    um, name = RESOLUTION[unit]
    sides = []
    for tag in ("XResolution", "YResolution"):
        value = page.tags.valueof(tag)
        if isinstance(value, tuple) and len(value) == 2 and value[0] > 0:
            sides.append((um * value[1] / value[0], f"TIFF's {tag} per {name}"))
    yield from _pair(*sides)


def _pair(*sides: tuple) -> Iterator[PixelSize]:
    """Yield the size across, and the one down where it differs; each of (number, what says so, µm of its unit)."""
    found: list[PixelSize] = []
    for number, source, *um in sides:
        try:
            found.append(PixelSize(float(number) * (um[0] if um else 1.0), source))
        except (TypeError, ValueError):  # it says nothing
            continue
    yield from found if contradiction(tuple(found)) else found[:1]
