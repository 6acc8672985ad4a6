"""µm per pixel: given by the user or the slide's source, or else estimated from the lattice of the spots."""

from dataclasses import dataclass, replace

import numpy as np

from stimage.slides.catalog import Slide
from stimage.slides.coordinates import Coordinates
from stimage.slides.scale.grids import Grid, Told, grids_of
from stimage.slides.scale.lattice import Lattice, measure_lattice

MAX_STRETCH = 0.05  # real slides have 0.004-0.017
AGREE = 0.1  # by which a given scale may differ from the lattice's
OTHER_PITCHES = (50, 100)  # µm, of DBiT-seq's channels of 25 and 50 µm, which look like an ST array
CHECKERBOARD_RATIOS = (2.5, 3.1)  # of 141 or 150 µm to spots of 100 or 110 µm, with some leeway
USER = "the user"
LAID = ", for its lattice"  # at the end of the source of an image alone, whose lattice is no witness
REMEDY = "if you know the scale, give um_per_px= (--um-per-px, in the meta file: its column)"


@dataclass(frozen=True)
class Scale:
    """µm per pixel, and its source.

    ``um_per_px`` is None if it can't be trusted. ``from_pitch`` is the lattice's own estimate, ``from_r`` the one from
    r, and ``ratio`` is pitch / r. ``source`` is "user", the slide's source, "known" or "lattice". ``either`` has the
    possible values if the lattice leaves several. ``verdict`` is the result of the check: "pass", "warn", "fail", or
    "skipped" without a lattice.
    """

    um_per_px: float | None
    from_pitch: float | None
    ratio: float | None
    reason: str
    lattice: Lattice | None
    source: str | None = None
    verdict: str = "pass"
    from_r: float | None = None
    either: tuple[float, ...] = ()


def slide_scale(coordinates: Coordinates, slide: Slide) -> Scale:
    """Return a slide's scale: given by the user or the meta file, else estimated from the lattice, else null.

    The lattice's pitch is the ruler, by the known grids of the technology or of the slide. The radius alone is no
    ruler: r was derived from assumed or measured spot sizes, which differ by chip. The radius is a witness, and so are
    array coordinates in the ids. If witnesses contradict the pitch, or leave several grids possible, no scale is
    estimated. A given scale counts, and the lattice is then its witness.
    """
    own = _lattice_scale(coordinates, slide)
    if slide.um_per_px is None:
        return own
    return _given(own, slide.um_per_px, slide.um_per_px_source or USER, slide.tech)


def scale_given_by(slide: Slide) -> str:
    """Return who gives a slide's scale; or, without opening a file, how it becomes known."""
    if slide.um_per_px is None:
        return "not given: measured on the lattice of the spots when the slide is read"
    return slide.um_per_px_source or USER


def _lattice_scale(coordinates: Coordinates, slide: Slide) -> Scale:
    lattice = measure_lattice(coordinates.x, coordinates.y)
    if lattice is None:
        few = f"not trusted: {len(coordinates)} spots are too few to see a lattice in; {REMEDY}"
        return Scale(None, None, None, few, None, None, "skipped")
    told, ratio = grids_of(slide, coordinates, lattice), lattice.pitch / float(np.median(coordinates.r))
    fitting = [grid for grid in told.grids if grid.reading(ratio)]
    grid = fitting[0] if len(fitting) == 1 else None if told.open else told.grids[0]
    verdict, problem = _problem(told, grid, ratio, lattice, len(coordinates), slide.tech)
    seen = f"pitch {lattice.pitch:.2f} px"
    if grid is None:
        either = tuple(um / lattice.pitch for um in told.pitches)
        seen = f"{seen}, so one of {', '.join(f'{um:.3g}' for um in either)} µm/px; pitch / r = {ratio:.3f}"
        reason = f"not trusted: {problem} ({seen}); {REMEDY}"
        return Scale(None, None, ratio, reason, lattice, None, verdict, None, either)
    from_pitch = grid.pitch_um / lattice.pitch
    nearest = min(grid.ratios, key=lambda known: abs(ratio / known - 1))
    seen = f"{seen}, {from_pitch:.3g} µm/px if it is {grid.pitch_um:g} µm; pitch / r = {ratio:.3f}"
    scale = Scale(None, from_pitch, ratio, "", lattice, None, verdict, from_pitch * ratio / nearest)
    if problem:
        return replace(scale, reason=f"not trusted: {problem} ({seen}); {REMEDY}")
    known = f" (known of this slide: {grid.source})" if grid.source else ""
    reason = f"trusted: {lattice.kind} lattice, {seen}: {grid.reading(ratio)}{known}"
    return replace(scale, um_per_px=from_pitch, reason=reason, source="known" if known else "lattice")


def _problem(told: Told, grid: Grid | None, ratio: float, lattice: Lattice, n: int, tech: str) -> tuple[str, str]:
    """Return what the checks say of a slide's lattice, and why no scale is estimated from it."""
    kind = told.grids[0].kind
    if lattice.kind != kind:
        return "skipped", f"the lattice is {lattice.kind} (order {lattice.order:.2f}), but {tech}'s is {kind}"
    if lattice.stretch > MAX_STRETCH:
        return "skipped", f"the lattice is stretched by {lattice.stretch:.0%} in one direction"
    if told.problem:
        return "fail", told.problem
    if grid is None:
        return "warn", told.open
    if not grid.reading(ratio):
        ratios = ", ".join(f"{known:g}" for one in told.grids for known in one.ratios)
        disagree = f"pitch and r disagree: known ratios are {ratios}"
        if told.pitches and CHECKERBOARD_RATIOS[0] <= ratio <= CHECKERBOARD_RATIOS[1]:
            return "warn", f"{disagree}; or is it a checkerboard (2k array) of 141 or 150 µm?"
        return "fail", disagree
    other = f"more than {tech} arrays of {grid.pitch_um:g} µm have: it is another grid, such as DBiT-seq's"
    if n > grid.most_spots:
        return "warn", f"{n:,} spots are {other}"
    if told.rows > grid.most_rows:
        return "warn", f"{told.rows:g} rows or columns are {other}"
    return "pass", ""


def _given(own: Scale, um: float, source: str, tech: str) -> Scale:
    """Take the scale that is given for a slide, and hold it against what its lattice tells."""
    if source.endswith(LAID):
        return replace(own, um_per_px=um, reason=f"trusted: {um:.4g} µm/px by {source}", source=source, verdict="pass")
    told = own.reason.partition(": ")[2].removesuffix(f"; {REMEDY}")
    verdict, witness = _witness(own, um, tech)
    reason = f"trusted: {um:.4g} µm/px by {source}; {witness}: {told}"
    return replace(own, um_per_px=um, reason=reason, source=source, verdict=verdict)


def _witness(own: Scale, um: float, tech: str) -> tuple[str, str]:
    """Return what the checks say of a given scale, and what the lattice says of it."""
    may_be = (own.um_per_px,) if own.um_per_px else own.either
    if not may_be:
        return "warn" if own.verdict == "fail" else "pass", "the lattice does not tell"
    nearest = min(may_be, key=lambda one: abs(np.log(one / um)))
    if abs(um / nearest - 1) <= AGREE:
        return "pass", f"the lattice gives {nearest:.4g}"
    factor = f"{nearest / um:.3g} times as much" if nearest > um else f"{um / nearest:.3g} times less"
    contradicts = f"but the lattice gives {nearest:.4g}, {factor}"
    if own.um_per_px is None:
        return "warn", contradicts
    pitch_um = um * (own.lattice.pitch if own.lattice else 0)
    if tech == "ST" and any(abs(pitch_um / other - 1) <= AGREE / 2 for other in OTHER_PITCHES):
        return "warn", f"{contradicts}, unless it is DBiT-seq, of {pitch_um:.0f} µm"
    return "fail", contradicts
