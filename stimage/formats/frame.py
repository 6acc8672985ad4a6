"""Whether a slide of another format can be used as it is: its values, and its image against its positions."""

from collections import Counter

import numpy as np

from stimage.core.errors import DataError
from stimage.formats.imported import ImportedSlide
from stimage.slides.images.patches import lies_outside
from stimage.slides.images.reader import MAX_IMAGE_PIXELS, image_info
from stimage.slides.images.views import Part, read_views, whole

THUMBNAIL = 800  # pixels of the longer side
ANOTHER = 0.5  # share of the spots beyond an image from which on it is another one


def check_slide(found: ImportedSlide) -> None:
    """Refuse a slide that could not be loaded, or whose image is not the one that its positions are of.

    All of the image is decoded, in the memory of some rows.

    Raises
    ------
    DataError
        Naming the file and the cause.
    """
    _check_values(found)
    _check_places(found)
    _thumbnail(found)


def beyond(found: ImportedSlide) -> np.ndarray:
    """Return which spots lie wholly beyond the image (bool, n)."""
    _, width, height = _size(found)
    return lies_outside(found.x, found.r, width) | lies_outside(found.y, found.r, height)


def _check_values(found: ImportedSlide) -> None:
    where, spots = found.where, np.asarray(found.barcodes, object)
    if not len(spots) or not found.genes:
        raise DataError(f"{where}: has {len(spots)} spots and {len(found.genes)} genes; a slide has some of each")
    if found.counts.shape != (len(spots), len(found.genes)) or {len(found.x), len(found.y)} != {len(spots)}:
        raise DataError(f"{where}: has counts {found.counts.shape} and {len(found.x)} places for {len(spots)} spots")
    (spot, times), *_ = Counter(found.barcodes).most_common(1)
    if times > 1:
        raise DataError(f"{where}: has spot {spot!r} {times} times; keep one row of each spot")
    lost = ~np.isfinite(found.x + found.y)
    if lost.any():
        raise DataError(
            f"{where}: {lost.sum():,} of {len(spots):,} spots have no place, such as {spots[lost][0]!r}; leave these "
            "spots out of the file, or give them their places"
        )
    if not 0 < found.r < np.inf:
        raise DataError(f"{where}: says that a spot's radius is {found.r:g} pixels; correct spot_diameter_fullres")


def _check_places(found: ImportedSlide) -> None:
    """Refuse an image that is smaller than the positions reach."""
    outside = int(beyond(found).sum())
    if not outside:
        return
    where, width, height = _size(found)
    n, few = len(found.barcodes), outside < ANOTHER * len(found.barcodes)
    reach = f"it is {width:,} x {height:,} pixels, positions reach x={found.x.max():,.0f}, y={found.y.max():,.0f}"
    what = "does not show all spots" if few else "is not the image that the positions are of"
    drop = "; if it is that image, pass --on-mismatch drop to leave these spots out" if few else ""
    raise DataError(
        f"{where}: {what}: {reach}, and {outside:,} of {n:,} spots lie beyond it; pass the image that Space Ranger was "
        f"given as --image, not its tissue_hires_image.png{drop}"
    )


def _size(found: ImportedSlide) -> tuple[str, int, int]:
    """Return what errors call the image, and its width and height."""
    if isinstance(found.image, np.ndarray):
        return found.where, found.image.shape[1], found.image.shape[0]
    info = image_info(str(found.image))
    return str(found.image), info.width, info.height


def _thumbnail(found: ImportedSlide) -> np.ndarray:
    """Return the image made small (uint8 RGB), after all of it was decoded."""
    if isinstance(found.image, np.ndarray):
        step = max(1, max(found.image.shape) // THUMBNAIL)
        return found.image[::step, ::step]
    info = image_info(str(found.image))
    last = Part(0, info.height - 1, info.width, info.height, 1)  # which a thumbnail may lack
    return read_views(str(found.image), [whole(info, THUMBNAIL), last], MAX_IMAGE_PIXELS)[0].pixels
