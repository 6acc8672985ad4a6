"""How much tissue the patches of a run show: mixed magnifications are refused, and too coarse slides told."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from stimage.core.errors import DataError, shown
from stimage.core.storage import local_copy
from stimage.examples.published import published_sides
from stimage.loading.sources import Source, open_source
from stimage.slides.catalog import Slide
from stimage.slides.coordinates import read_coordinates
from stimage.slides.images.patches import LEEWAY
from stimage.slides.scale.scale import slide_scale
from stimage.training.data.parts import Parts
from stimage.training.settings.groups import Settings

ONE_SIZE_UM = 112  # the side that the shipped configurations ask for
MIXED = 1.2  # times as large as the smallest patch that the largest may be
SPOT_UM = {"ST": 100.0, "Visium": 55.0, "VisiumHD": 8.0}  # a spot's diameter, where a slide's scale is not known


def without_coarse(settings: Settings, parts: Parts, say: Callable[[str], None]) -> tuple[Parts, list[str]]:
    """Return the parts without slides that are coarser than the patch, and these, if the settings leave them out.

    Raises
    ------
    DataError
        If none is left to train on, with the most pixels that all slides have.
    """
    data, source = settings.data, _source(settings)
    if data.too_coarse != "drop" or data.patch_um is None or data.patch_px is None:
        return parts, []
    if data.upsample or data.image_vectors or source.published:
        return parts, []
    scales = {slide.name: scale_of(slide) for slide in _of(source, (*parts.train, *parts.validation))}
    known = {name: scale for name, scale in scales.items() if scale is not None}
    coarse = sorted(name for name, scale in known.items() if data.patch_um / scale * LEEWAY < data.patch_px)
    if not coarse:
        return parts, []
    most = int(data.patch_um / max(known[name] for name in coarse))
    told = f"{len(coarse)} of {len(scales)} slides are coarser than {data.patch_um:g} µm in {data.patch_px} px"
    remedy = f"data.patch_px={most} takes them all"
    left = replace(parts, train=tuple(n for n in parts.train if n not in coarse),
                   validation=tuple(n for n in parts.validation if n not in coarse))  # fmt: skip
    if not left.train:
        raise DataError(f"{data.source}: no slide is left to train on: {told}; {remedy}")
    say(f"note: {told}, and left out: {shown(coarse, 10)}; {remedy}")
    return left, coarse


def check_magnification(settings: Settings, parts: Parts) -> None:
    """Refuse slides whose patches show more tissue on one than on another, by more than a fifth.

    Raises
    ------
    DataError
        If there are such, and the settings do not ask for them.
    """
    data, source = settings.data, _source(settings)
    if data.mixed_magnification or data.image_vectors or data.patch_um is not None:
        return
    if source.published and (source.patch is None or source.patch.um is not None):
        return  # all of one size, or a folder that does not say what it has
    sides = spot_sides(source, (*parts.train, *parts.validation))
    least, most = min(sides, key=sides.__getitem__), max(sides, key=sides.__getitem__)
    if sides[most] > MIXED * sides[least]:
        remedy = "publish the root again with one size, by patch= (--patch-um, --patch-px)"
        if not source.published:
            scales = filter(None, map(scale_of, _of(source, sides)))
            px = int(min([224, *(ONE_SIZE_UM / scale for scale in scales)]))
            remedy = f"pass data.patch_um={ONE_SIZE_UM} and data.patch_px={px} for one size"
        differ = f"of {sides[least]:.0f} µm on {least} but {sides[most]:.0f} µm on {most}"
        raise DataError(
            f"data.patch_um: is null, so patches are squares of 2r, {differ}; {remedy}, or pass "
            "data.mixed_magnification=true to train on both sizes"
        )


def spot_sides(source: Source, names: Iterable[str]) -> dict[str, float]:
    """Return slide name → how many µm the square of 2r is; by its technology where the scale is not known."""
    slides = _of(source, names)
    if source.published:
        told = published_sides(source.location, source.access)
        return {slide.name: told.get(slide.name) or SPOT_UM[slide.tech] for slide in slides}
    return {slide.name: _side(slide) or SPOT_UM[slide.tech] for slide in slides}


def scale_of(slide: Slide) -> float | None:
    """Return a slide's µm per pixel, given or of its lattice; None where it is not known."""
    return slide_scale(read_coordinates(local_copy(slide.coord, slide.access)), slide).um_per_px


def _side(slide: Slide) -> float | None:
    coordinates = read_coordinates(local_copy(slide.coord, slide.access))
    scale = slide_scale(coordinates, slide).um_per_px
    return None if scale is None else 2 * float(np.median(coordinates.r)) * scale


def _of(source: Source, names: Iterable[str]) -> list[Slide]:
    wanted = set(names)
    return [slide for slide in source.catalog.slides if slide.name in wanted]


def _source(settings: Settings) -> Source:
    source = open_source(settings.data.source)
    if source.published or settings.data.um_per_px is None:
        return source
    return open_source(settings.data.source, um_per_px=settings.data.um_per_px)
