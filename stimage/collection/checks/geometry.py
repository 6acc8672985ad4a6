"""Checks of where a slide's spots are: inside the image, on a lattice, on tissue, at a scale that can be."""

from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, laplace

from stimage.collection.checks.evidence import Picture
from stimage.collection.checks.findings import Result
from stimage.slides.catalog import Slide
from stimage.slides.coordinates import Coordinates
from stimage.slides.images.alignment import fit_spots
from stimage.slides.images.patches import lies_outside
from stimage.slides.matching import MAX_RADIUS_RATIO
from stimage.slides.scale.grids import GRIDS
from stimage.slides.scale.scale import MAX_STRETCH, Scale

COARSE_UM = 5.0  # µm a pixel, beyond which not even a nucleus of 10 µm is two pixels wide, the least that shows it
COARSE_PX = 12  # across a spot, nearly so of Visium's 55 µm; where no scale is trusted, r may be wrong as well
PLAUSIBLE_UM = (0.1, 20)  # µm a pixel: from a 100x objective to a photograph of the slide
# Below it, made half as large, an image loses nothing: of a blur of 1.5 pixels, 0.5 % of the energy is finer.
# Four real slides of ST have 5.2 to 5.7, also as JPEG of quality 30, blurred by a pixel 3.4 to 3.7, by two at most
# 2.3; enlarged 2 times 2.5 to 3.2, 3 times at most 2.3, 5 times at most 1.9. Noise alone, as of a grey and smooth
# picture of CytAssist, has 11.5, enlarged 3 times 4.1 to 4.6, 5 times 2.5 to 3.1, the most that any such image has.
BLURRED = 3.2

REMEDIES = {
    "fail": "is r of another image, or the pitch or the given scale not the right one?",
    "warn": "look at the study which grid it is",
}


def check_inside(coordinates: Coordinates, picture: Picture) -> Result:
    info, (x, y, r) = picture.info, (coordinates.x, coordinates.y, coordinates.r)
    outside = int((lies_outside(x, r, info.width) | lies_outside(y, r, info.height)).sum())
    over = int(((x - r < 0) | (y - r < 0) | (x + r > info.width) | (y + r > info.height)).sum()) - outside
    values = {"outside": outside, "over_the_border": over}
    if outside:
        message = f"{outside} of {len(x)} spots are outside the image of {info.width:,} x {info.height:,} pixels"
        return Result("fail", message, "are x and y swapped, or of another image?", values)
    border = f", {over} reach over its border, which is black there" if over else ""
    return Result("pass", f"all are inside the image{border}", "", values)


def check_radius(coordinates: Coordinates) -> Result:
    low, high = float(coordinates.r.min()), float(coordinates.r.max())
    values = {"r_min": low, "r_max": high}
    if high > MAX_RADIUS_RATIO * np.median(coordinates.r):
        spot = coordinates.ids[int(coordinates.r.argmax())].as_py()
        message = f"r is {low:g} to {high:g}, that of {spot!r}, more than {MAX_RADIUS_RATIO} times the median"
        return Result("fail", message, "correct it, or pass on_mismatch='drop' (--on-mismatch drop)", values)
    if high - low > 1e-6 * high:
        return Result(
            "warn", f"r is {low:g} to {high:g}", "one radius a slide is usual: patches differ in size", values
        )
    return Result("pass", f"r is {low:g} pixels on all spots", "", values)


def check_lattice(slide: Slide, scale: Scale) -> Result:
    lattice, kind = scale.lattice, GRIDS[slide.tech][0].kind
    if lattice is None:
        return Result("warn", "too few neighbouring spots to see a lattice", "look at the picture", {})
    message = f"{lattice.kind}, pitch {lattice.pitch:.2f} px, order {lattice.order:.2f}, stretch {lattice.stretch:.1%}"
    values = {"kind": lattice.kind, "pitch": lattice.pitch, "order": lattice.order, "stretch": lattice.stretch}
    if lattice.kind != kind:
        return Result("fail", f"{message}, but that of {slide.tech} is {kind}", "is the technology right?", values)
    if lattice.stretch > MAX_STRETCH:
        return Result("fail", f"{message}: it is stretched", "were x and y scaled by different factors?", values)
    return Result("pass", message, "", values)


def check_scale(scale: Scale) -> Result:
    """Report the scale that the loader uses; see `stimage.slides.scale.scale.slide_scale`."""
    if scale.verdict == "skipped":
        return Result("skipped", "needs the technology's lattice")
    values = {"um_per_px": scale.um_per_px, "um_per_px_from_pitch": scale.from_pitch,
              "um_per_px_from_r": scale.from_r, "pitch_to_r": scale.ratio}  # fmt: skip
    values = {key: value for key, value in values.items() if value is not None}
    if scale.um_per_px and not PLAUSIBLE_UM[0] <= scale.um_per_px <= PLAUSIBLE_UM[1]:
        message = f"{scale.reason}: no microscope image has {scale.um_per_px:.3g} µm a pixel"
        return Result("fail", message, "are the coordinates of this image?", values)
    return Result(scale.verdict, scale.reason, REMEDIES.get(scale.verdict, ""), values)


def check_resolution(slide: Slide, coordinates: Coordinates, scale: Scale) -> Result:
    across, um = 2 * float(np.median(coordinates.r)), scale.um_per_px
    message = f"a spot is {across:.0f} pixels across" + (f", a pixel {um:.3g} µm" if um else "")
    limit = 0 if slide.tech == "VisiumHD" else COARSE_PX
    if across < limit or (um or 0) > COARSE_UM:
        return Result(
            "warn", f"{message}: the image is too coarse to see cells", "look for the full image", {"across": across}
        )
    return Result("pass", message, "", {"across": across})


def check_tissue(coordinates: Coordinates, picture: Picture) -> Result:
    """Lay the spots over the tissue; see `stimage.slides.images.alignment.fit_spots`."""
    fit = fit_spots(picture.thumbnail, picture.step, coordinates.x, coordinates.y)
    if fit is None:
        return Result("skipped", "no glass is to be told from the tissue, or there are hardly any spots")
    status, message, remedy = fit.judge()
    values: dict[str, Any] = {"correlation": fit.as_is.fit, "on_tissue": fit.as_is.on_tissue}
    if fit.best:
        values |= {"best": fit.best.fit, "move": str(fit.best), "factor": fit.best.factor}
    return Result(status, message, f"look at the picture; {remedy}" if remedy else "", values)


def check_sharpness(patches: list[np.ndarray]) -> Result:
    """Compare edges after a blur of one pixel and of two.

    The ratio does not depend on stain or contrast. Without the first blur it would depend on rounding to whole greys;
    for the same reason, patches count by how much there is to see in them.
    """
    grey = [patch.mean(2) for patch in patches]
    edges = [(laplace(gaussian_filter(one, 1)).var(), laplace(gaussian_filter(one, 2)).var()) for one in grey]
    sharp, soft = (float(sum(some)) for some in zip(*edges)) if edges else (0.0, 0.0)
    if soft <= 0.01 * len(edges):
        return Result("skipped", "needs spots inside the image with something in them")
    value, times = sharp / soft, int(np.median([_repeats(one) for one in grey]))
    if times > 1:
        message = f"each pixel is there {times} times in a row: the image was enlarged"
        return Result("warn", message, "look for the image before that", {"sharpness": value, "repeats": times})
    message = f"a blur of two pixels leaves {1 / value:.0%} of the edges that one of one pixel leaves"
    if value < BLURRED:
        return Result(
            "warn", f"{message}: the image is out of focus, or was enlarged", "look at a patch", {"sharpness": value}
        )
    return Result("pass", message, "", {"sharpness": value})


def _repeats(grey: np.ndarray) -> int:
    """Return how many pixels in a row are one that is repeated, as an enlarged image has them that was not smoothed.

    Then most change from pixel to pixel lies where a repeated pixel ends, all of it but for what JPEG adds; else no
    place has more than another.
    """
    change = np.abs(np.diff(grey, axis=1)).sum(0)
    for times in range(8, 1, -1):
        if max(change[start::times].sum() for start in range(times)) > (1 + 1 / times) / 2 * change.sum() > 0:
            return times
    return 1
