"""Checks of a slide of another format: its values, and its image against its positions."""

import logging
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from stimage.core.errors import DataError
from stimage.formats.imported import ImportedSlide, reading
from stimage.formats.stored.image import StoredImage
from stimage.slides.images.alignment import fit_spots
from stimage.slides.images.patches import covers_none, lies_outside
from stimage.slides.images.reader import MAX_IMAGE_PIXELS, image_info, too_dark
from stimage.slides.images.views import Part, read_views, whole

log = logging.getLogger(__name__)

THUMBNAIL = 800  # pixels of the longer side
SIDE = 400  # pixels of images that are compared
FLAT = 2.0  # standard deviation, of 255, below which there is nothing to see
ALIKE, GAIN = 0.5, 0.05  # correlations: of two pictures of one slide 0.9 and more
PART = "is not the image that the positions are of, or a part of it"
CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # characters that no name has, and that no CSV gives back
ANOTHER = 0.5  # share of the spots beyond an image from which on it is another one


def check_frame(found: ImportedSlide, trust_coordinates: bool = False) -> None:
    """Refuse a slide that could not be loaded, or whose image is not the one that its positions are of.

    All of the image is decoded, in the memory of some rows, and held against the source's small one, if there is one.
    The spots must lie on its tissue, unless ``trust_coordinates``; where that is in doubt, a warning says so.

    Raises
    ------
    DataError
        Naming the file and the cause.
    """
    _check_values(found)
    if found.image_alone:  # its spots were laid on the image, which was read for that
        return
    _check_frame(found)
    _check_radius(found)
    _check_places(found)
    thumbnail, step = _thumbnail(found)
    if found.preview is not None and found.frame:
        _check_picture(found, thumbnail)
    if not trust_coordinates:
        _check_tissue(found, thumbnail, step)


def without_beyond(found: ImportedSlide) -> ImportedSlide:
    """Leave out the spots that lie wholly beyond the image, and count them; not if they are half of the spots or more.

    The user knows in this case that the image is a part of the source's.
    """
    inside = ~beyond(found)
    if inside.all() or inside.sum() <= ANOTHER * len(inside):
        return found
    if found.frame and _misfit(found) == PART:
        found = replace(found, frame=None, preview=None)
    barcodes = [barcode for barcode, kept in zip(found.barcodes, inside.tolist()) if kept]
    left_out = {**found.left_out, "spots that lie beyond the image": int((~inside).sum())}
    return replace(found, barcodes=barcodes, counts=found.counts[inside], x=found.x[inside], y=found.y[inside],
                   left_out=left_out)  # fmt: skip


def beyond(found: ImportedSlide) -> np.ndarray:
    """Return which spots lie wholly beyond the image (bool, n)."""
    _, width, height = _size(found)
    return lies_outside(found.x, found.r, width) | lies_outside(found.y, found.r, height)


def _check_values(found: ImportedSlide) -> None:
    where, spots = found.where, np.asarray(found.barcodes, object)
    if not len(spots) or not (found.genes or found.image_alone):
        raise DataError(f"{where}: has {len(spots)} spots and {len(found.genes)} genes; a slide has some of each")
    if found.counts.shape != (len(spots), len(found.genes)) or {len(found.x), len(found.y)} != {len(spots)}:
        raise DataError(f"{where}: has counts {found.counts.shape} and {len(found.x)} places for {len(spots)} spots")
    (spot, times), *_ = Counter(found.barcodes).most_common(1)
    if times > 1:
        raise DataError(f"{where}: has spot {spot!r} {times} times; keep one row of each spot")
    if garbled := next((name for name in (*found.barcodes, *found.genes) if CONTROL.search(name)), None):
        raise DataError(f"{where}: has the name {garbled!r}, which is no text; get it again")
    lost = ~np.isfinite(found.x + found.y)
    if lost.any():
        raise DataError(
            f"{where}: {lost.sum():,} of {len(spots):,} spots have no place, such as {spots[lost][0]!r}; leave these "
            "spots out of the file, or give them their places"
        )
    if not 0 < found.r < np.inf:
        raise DataError(f"{where}: says that a spot's radius is {found.r:g} pixels; correct spot_diameter_fullres")


def _check_frame(found: ImportedSlide) -> None:
    """Refuse an image of another size than the source says, with the factor."""
    if not found.frame or not (what := _misfit(found)):
        return
    (where, width, height), (wide, high, said) = _size(found), found.frame
    remedy = _remedy(found) + (_drop(found) if PART in what else "")
    raise DataError(
        f"{where}: {what}: it is {width:,} x {height:,} pixels, that one {wide:,.0f} x {high:,.0f} by {said}; {remedy}"
    )


def _misfit(found: ImportedSlide) -> str:
    """Say how the image's size is not that of the source's frame; "" if it is."""
    (_, width, height), (wide, high, _) = _size(found), found.frame or (0, 0, "")
    small = THUMBNAIL if found.preview is None else max(_pixels(found.preview).shape)
    slack = 2 + 1.5 * max(wide, high) / small  # the small image's size is rounded to whole pixels
    if abs(width - wide) <= slack and abs(height - high) <= slack:
        return ""
    across, down = width / wide, height / high
    if abs(across - down) < 0.01 * down:
        part = ", or a part of it" if across < 1 else ""
        return f"is {across:.3g} x the size of the image that the positions are of{part}"
    if abs(width - high) <= slack and abs(height - wide) <= slack:
        return "is turned by a quarter, against the image that the positions are of"
    return PART


def _check_picture(found: ImportedSlide, thumbnail: np.ndarray) -> None:
    """Refuse an image that shows another picture than the source's small one, or that one shifted or turned."""
    (where, width, height), small = _size(found), _pixels(found.preview)
    one, other = _darkness(thumbnail), _darkness(small)
    if min(one.std(), other.std()) < FLAT:  # there is nothing to compare
        return
    turns = {"mirrored left to right": one[:, ::-1], "mirrored top to bottom": one[::-1]}
    turns["turned by half"] = np.rot90(one, 2)
    as_is, (best, right, down) = _likeness(one, other), _shifted(one, other)
    turn = max(turns, key=lambda name: _likeness(turns[name], other))
    right, down = round(right * width / one.shape[1]), round(down * height / one.shape[0])
    if _likeness(turns[turn], other) > max(as_is + GAIN, ALIKE):
        what = f"is {turn}"
    elif best > max(as_is + GAIN, ALIKE) and max(abs(right), abs(down)) > 0:
        what = f"is shifted by {right:,} pixels to the right and {down:,} down"
    elif as_is < ALIKE:
        what = "shows another picture"
    else:
        return
    small_one = found.preview if isinstance(found.preview, Path) else f"the small image of {found.where}"
    raise DataError(f"{where}: {what}, against {small_one} (they correlate by {as_is:.2f}); {_remedy(found)}")


def _check_tissue(found: ImportedSlide, thumbnail: np.ndarray, step: int) -> None:
    """Refuse an image on whose tissue the spots do not lie, and say what would bring them there."""
    fit = fit_spots(thumbnail, step, found.x, found.y)
    status, message, remedy = fit.judge() if fit else ("pass", "", "")
    if status == "pass":
        return
    where, what = _size(found)[0], "is not the image that the positions are of"
    trust = "pass trust_coordinates=True (--trust-coordinates)"
    if found.mirrored and fit and fit.best and fit.best.mirrors:
        raise DataError(
            f"{found.where}: x and y run the other way round than its array coordinates do, and {message}; {remedy}, "
            "as by adata.obsm['spatial'] = adata.obsm['spatial'][:, ::-1] where x and y are swapped. If they are "
            f"right, {trust}"
        )
    if status == "warn":
        log.warning("%s: perhaps %s: %s; look at it with stimage show-spots: %s", where, what, message, remedy)
        return
    end = "" if remedy.endswith("?") else "."
    raise DataError(f"{where}: {what}: {message}; {remedy}{end} If it is that image, {trust}")


def _darkness(pixels: np.ndarray) -> np.ndarray:
    """Return how dark an image is, brought to SIDE x SIDE pixels."""
    small = Image.fromarray(np.ascontiguousarray(pixels)).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    return 255.0 - np.asarray(small, float)


def _likeness(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def _shifted(one: np.ndarray, other: np.ndarray) -> tuple[float, int, int]:
    """Return the correlation where one lies best on the other, and how far right and down it has to come from."""
    one, other = (pixels - pixels.mean() for pixels in (one, other))
    product = np.fft.irfft2(np.fft.rfft2(one) * np.conj(np.fft.rfft2(other)), one.shape)
    down, right = np.unravel_index(product.argmax(), product.shape)
    best = float(product.max() / (one.std() * other.std() * one.size))
    right, down = ((int(n) + SIDE // 2) % SIDE - SIDE // 2 for n in (right, down))
    return best, right, down


def _pixels(image: Path | np.ndarray | None) -> np.ndarray:
    if isinstance(image, Path):
        with reading(image, "an image"):
            return np.asarray(Image.open(image).convert("RGB"))
    return np.asarray(image)


def _check_radius(found: ImportedSlide) -> None:
    """Refuse spots that are larger than the image, or that cover no pixel."""
    where, width, height = _size(found)
    radius, remedy = (
        f"a spot's radius is {found.r:g} pixels",
        "correct spot_diameter_fullres, or pass spot_diameter= (--spot-diameter)",
    )
    if 2 * found.r > max(width, height):
        raise DataError(f"{found.where}: {radius}, and {where} has {width:,} x {height:,}; {remedy}")
    if (none := covers_none(found.x, found.y, found.r)).any():
        spot = found.barcodes[int(none.argmax())]
        raise DataError(
            f"{found.where}: {radius}, so that {spot!r} covers none; pass the full-resolution image as image= "
            f"(--image), or {remedy}"
        )


def _check_places(found: ImportedSlide) -> None:
    """Refuse an image that is smaller than the positions reach."""
    outside = int(beyond(found).sum())
    if not outside:
        return
    for name, places in (("x", found.x), ("y", found.y)):
        if places.max() < 0:
            raise DataError(
                f"{found.where}: {name} is negative, {places.min():,.0f} to {places.max():,.0f}: places are counted "
                f"from the image's upper left corner; give -{name}, if it was turned to be drawn upwards"
            )
    (where, width, height), drop = _size(found), _drop(found)
    reach = f"it is {width:,} x {height:,} pixels, positions reach x={found.x.max():,.0f}, y={found.y.max():,.0f}"
    what = "does not show all spots" if drop else "is not the image that the positions are of"
    remedy = _remedy(found) + ("" if found.tech == "ST" else ", not its tissue_hires_image.png") + drop
    raise DataError(f"{where}: {what}: {reach}, and {outside:,} of {len(found.x):,} spots lie beyond it; {remedy}")


def _remedy(found: ImportedSlide) -> str:
    given = "the spot detector" if found.tech == "ST" else "Space Ranger"
    return f"pass as image= (--image) the one that {given} was given"


def _drop(found: ImportedSlide) -> str:
    """Offer to leave out the spots that lie beyond the image, if these are fewer than half."""
    n = int(beyond(found).sum())
    if not 0 < n < ANOTHER * len(found.x):
        return ""
    drop = "on_mismatch='drop' (--on-mismatch drop)"
    return f"; if it is that image, {drop} leaves out the {n:,} of {len(found.x):,} spots beyond it"


def _size(found: ImportedSlide) -> tuple[str, int, int]:
    """Return what errors call the image, and its width and height."""
    if not isinstance(found.image, Path):
        where = found.image.where if isinstance(found.image, StoredImage) else found.where
        return where, found.image.shape[1], found.image.shape[0]
    info = image_info(str(found.image))
    return str(found.image), info.width, info.height


def _thumbnail(found: ImportedSlide) -> tuple[np.ndarray, int]:
    """Return the image made small (uint8 RGB), after all of it was decoded, and how many times smaller."""
    if not isinstance(found.image, Path):
        step = max(1, max(found.image.shape) // THUMBNAIL)
        return found.image[::step, ::step], step
    return small_image(found.image)


def small_image(path: Path) -> tuple[np.ndarray, int]:
    """Return an image file made small (uint8 RGB), after all of it was decoded, and how many times smaller."""
    info = image_info(str(path))
    last = Part(0, info.height - 1, info.width, info.height, 1)  # which a thumbnail may lack
    small = whole(info, THUMBNAIL)
    pixels = read_views(str(path), [small, last], MAX_IMAGE_PIXELS)[0].pixels
    if problem := too_dark(str(path), info, pixels):
        raise DataError(f"{path}: {problem}")
    return pixels, small.step
