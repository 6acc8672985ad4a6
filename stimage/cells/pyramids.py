"""A slide's image for segmenters: a pyramid of tiles that gives µm per pixel in every form that they read."""

import logging
import math
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import quoteattr

from stimage.core.errors import DataError
from stimage.core.storage import local_copy
from stimage.slides.catalog import Slide
from stimage.slides.coordinates import read_coordinates
from stimage.slides.images.pyramid import TILE, write_pyramid
from stimage.slides.images.reader import MAX_IMAGE_PIXELS, ImageInfo, image_info
from stimage.slides.scale.scale import slide_scale

OBJECTIVES = (1.25, 2.5, 5, 10, 20, 40, 80)  # magnifications; 10 / magnification is about the µm per pixel
OME = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
log = logging.getLogger(__name__)


def known_scale(slide: Slide, what: str) -> float:
    """Return a slide's µm per pixel, given or from its lattice.

    Parameters
    ----------
    what
        The job that needs it, for the error.

    Raises
    ------
    DataError
        If the scale is unknown, or can't be trusted.
    """
    scale = slide_scale(read_coordinates(local_copy(slide.coord, slide.access)), slide)
    if scale.um_per_px is None:
        raise DataError(f"{slide.name}: {what} needs µm per pixel, and this slide's is {scale.reason}")
    if scale.verdict != "pass":
        log.warning("%s: %s", slide.name, scale.reason)
    return scale.um_per_px


def export_one(
    slide: Slide,
    path: Path,
    um_per_px: float,
    compression: str = "jpeg",
    quality: int = 90,
    ome: bool = False,
    max_pixels: int = MAX_IMAGE_PIXELS,
    done: Callable[[int], object] = int,
) -> None:
    """Write a slide's image as a pyramid, whole or not at all.

    Parameters
    ----------
    um_per_px
        µm per pixel, for the resolution tags and the description.
    compression, quality, done
        As in `write_pyramid`.
    ome
        Whether the description is OME-XML, as Bio-Formats and QuPath read it, or Aperio's, as OpenSlide reads it.

    Raises
    ------
    DataError
        As in `write_pyramid`, and if ``path`` is the slide's own image.
    """
    image = local_copy(slide.image, slide.access)
    if path.exists() and path.samefile(image):
        raise DataError(f"{path}: would be replaced, and is what is to be written; choose another folder as out= "
                        "(--out)")  # fmt: skip
    info = image_info(image, max_pixels)
    codec = f"JPEG/RGB Q={quality}" if compression == "jpeg" else f"{compression}/RGB"
    description = as_ome(slide.name, info, um_per_px) if ome else as_aperio(info, um_per_px, codec)
    write_pyramid(image, path, um_per_px, compression, quality, description, max_pixels, subifds=ome, done=done)


def magnification(um_per_px: float) -> float:
    """Return the objective whose pixels are nearest to this size: 40 of 0.25 µm, 20 of 0.5 µm."""
    return min(OBJECTIVES, key=lambda power: abs(math.log(power * um_per_px / 10)))


def as_aperio(info: ImageInfo, um_per_px: float, codec: str) -> str:
    """Return an ImageDescription by which OpenSlide, and what stands on it, knows pixel size and magnification."""
    size = f"{info.width}x{info.height}"
    image = f"{size} [0,0 {size}] ({TILE}x{TILE}) {codec}"
    return f"Aperio-style description by stimage\r\n{image}|AppMag = {magnification(um_per_px):g}|MPP = {um_per_px!r}"


def as_ome(name: str, info: ImageInfo, um_per_px: float) -> str:
    """Return OME-XML of one RGB image; in ASCII, which is all that a TIFF's description may have."""
    sides = " ".join(f'PhysicalSize{side}="{um_per_px!r}"' for side in "XY")  # in µm, unless a unit is named
    name = quoteattr(name).encode("ascii", "xmlcharrefreplace").decode()
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{OME}" Creator="stimage"><Image ID="Image:0" Name={name}>'
        f'<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="{info.width}" SizeY="{info.height}" '
        f'SizeC="3" SizeZ="1" SizeT="1" Interleaved="true" {sides}><Channel ID="Channel:0:0" SamplesPerPixel="3"/>'
        '<TiffData IFD="0" PlaneCount="1"/></Pixels></Image></OME>'
    )
