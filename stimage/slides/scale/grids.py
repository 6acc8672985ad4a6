"""The grids on which each technology prints its spots, and the evidence for one of them in a slide.

The name of a slide is no evidence. Positions, r, the ids behind the name, and the table of known slides are.
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stimage.core.tables import read_table
from stimage.slides.catalog import Slide
from stimage.slides.coordinates import Coordinates
from stimage.slides.counts.numbered_ids import extremes
from stimage.slides.names import fold_name
from stimage.slides.scale.lattice import Lattice

RATIO_TOLERANCE = 0.025
STEP_TOLERANCE = 0.1  # of the pitch in steps of array coordinates: 1, or the root of 2 on a checkerboard
APART, MISFITS = 0.5, 0.05  # pitches a spot may be off its array coordinates, and the share of spots that may be more
BIN = r"s_(?P<um>\d{3})um_\d{5}_\d{5}(?:-\d+)?$"  # a Visium HD barcode
ARRAY = r"(?P<a>\d+(?:\.\d+)?)x(?P<b>\d+(?:\.\d+)?)$"  # legacy ST's array coordinates
BINS = (2, 8, 16)  # µm, that Space Ranger makes by itself
CHECKERBOARD = (141.4, 150)  # µm between diagonal neighbours of 2k arrays, by source: places 100 or 106 µm apart
OPEN = "by the ids it is a checkerboard (2k array) of 141 or 150 µm, by source, and r is not that of 110 µm spots"
KNOWN = Path(__file__).with_name("known_scales.csv")


@dataclass(frozen=True)
class Grid:
    """A grid of spots: its pitch in µm, pitch / r as seen in real slides, with its reading, and what an array holds.

    ``source`` says where it is known from, of a grid that is known of one slide.
    """

    kind: str
    pitch_um: float
    ratios: dict[float, str]
    most_spots: float = np.inf
    most_rows: float = np.inf
    source: str = ""

    def reading(self, ratio: float) -> str | None:
        """Say what r is, if pitch / r is one of the known ratios."""
        known = min(self.ratios, key=lambda known: abs(ratio / known - 1))
        return self.ratios[known] if abs(ratio / known - 1) <= RATIO_TOLERANCE else None


def _bins(um: float, source: str = "") -> Grid:
    """Return the grid of square bins side by side."""
    return Grid("square", um, {2.0: "r is half of a bin's side"}, source=source)


GRIDS = {
    "ST": (
        Grid("square", 200, {4.0: "r is half of a 100 µm spot", 4.27: "r is of a 94 µm spot, as in HER2+ slides"},
             most_spots=1007, most_rows=36),  # 33 x 35 places, and one for jitter
        Grid("square", 150, {2.727: "r is half of a 110 µm spot"}, most_spots=1934, most_rows=70),
    ),
    "Visium": (
        Grid("hexagonal", 100, {
            2.857: "r is of a 70 µm spot (CytAssist), not of the nominal 55 µm",
            3.07: "r is of a 65 µm spot (6.5 mm chips), not of the nominal 55 µm",
            3.317: "r is of a 60 µm spot (11 mm chips), not of the nominal 55 µm",
            3.636: "r is half of the nominal 55 µm spot",
        }, most_spots=14336),
    ),
    "VisiumHD": tuple(map(_bins, BINS)),
}  # fmt: skip


@dataclass(frozen=True)
class Told:
    """What a slide tells of its grid: those that it can be on, the first being the nominal one.

    ``problem`` is what contradicts itself; ``open`` what is not told; ``pitches`` the µm that it can be else; ``rows``
    the farthest row or column by places and array coordinates.
    """

    grids: tuple[Grid, ...]
    problem: str = ""
    rows: float = 0
    open: str = ""
    pitches: tuple[float, ...] = ()


def grids_of(slide: Slide, coordinates: Coordinates, lattice: Lattice) -> Told:
    """Return the grids that a slide can have, by the table of known slides and the ids behind its name.

    For Visium HD, barcodes tell the size of bins. For ST, array coordinates tell a checkerboard.
    """
    known, grids = _known_slides().get(fold_name(slide.name)), GRIDS[slide.tech]
    ids = coordinates.ids
    if slide.tech == "VisiumHD" and (found := extremes(ids)):  # which say of barcodes all that the millions say
        ids = pa.chunked_array([pa.array([part.tobytes() for part in found]).cast(pa.string())])
    ids = _behind_name(ids, slide.name)
    if slide.tech == "VisiumHD" and (um := _bin_um(ids)):
        if known and known.pitch_um != um:
            return Told((known,), f"the barcodes say bins of {um:g} µm, but known of this slide are {known.source}")
        return Told((_bins(um),))
    if known:
        return Told((known,))
    if slide.grid_um:
        return Told((_told_grid(slide.tech, *slide.grid_um),))
    if slide.tech == "ST" and (array := _array_places(ids)) is not None:
        return _by_array(array, coordinates, lattice)
    if slide.tech == "VisiumHD":
        return Told(grids, open="the barcodes do not say the bins' size: 2, 8 or 16 µm", pitches=BINS)
    return Told(grids, rows=lattice.rows, pitches=CHECKERBOARD if slide.tech == "ST" else ())


def _told_grid(tech: str, pitch: float, spot: float) -> Grid:
    """Return the grid whose pitch and spots, in µm, the slide's source says."""
    own = next((grid for grid in GRIDS[tech] if grid.pitch_um == pitch), Grid(GRIDS[tech][0].kind, pitch, {}))
    return replace(own, ratios={2 * pitch / spot: f"r is half of a {spot:g} µm spot", **own.ratios}, source="")


def _by_array(array: np.ndarray, coordinates: Coordinates, lattice: Lattice) -> Told:
    """Hold an ST slide's places against the array coordinates (n, 2) in its ids."""
    grids, rows = GRIDS["ST"], max(float(array.max()), lattice.rows)
    steps, off = _fit(array, np.stack([coordinates.x, coordinates.y], 1))
    misfits = int((off > APART * lattice.pitch).sum())
    if misfits > MISFITS * len(array) or not steps.all():
        return Told(grids, f"{misfits} spots are not where the array coordinates in their ids say", rows)
    step = lattice.pitch / steps.mean()
    if abs(step / np.sqrt(2) - 1) <= STEP_TOLERANCE:
        return Told(tuple(grid for grid in grids if grid.pitch_um == max(CHECKERBOARD)), "", rows, OPEN, CHECKERBOARD)
    if abs(step - 1) > STEP_TOLERANCE:
        return Told(grids, f"by the array coordinates in the ids, neighbours are {step:.2f} steps apart, not 1", rows)
    return Told(grids, rows=rows)


def _fit(array: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Map array coordinates to places (n, 2 each), but for few; return the two steps, and how far spots are off (n)."""
    design = np.column_stack([array, np.ones(len(array))])
    kept = np.ones(len(array), bool)
    for _ in range(3):
        fit = np.linalg.lstsq(design[kept], places[kept], rcond=None)[0]
        off = np.hypot(*(design @ fit - places).T)
        kept = off <= 3 * np.median(off)
    return np.hypot(*fit[:2].T), off


def _behind_name(ids: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Return what of the ids stands behind the slide's name, which may look like anything."""
    named = pc.starts_with(ids, f"{name}_", ignore_case=True)
    return pc.utf8_slice_codeunits(ids, len(name) + 1) if pc.all(named).as_py() else ids


def _bin_um(ids: pa.ChunkedArray) -> float | None:
    """Read the bins' size in µm out of Visium HD barcodes (``s_008um_00012_00034-1``), if all say the same."""
    sizes = pc.unique(pc.struct_field(pc.extract_regex(ids, f"(?:^|_){BIN}"), "um")).to_pylist()
    return float(sizes[0] or 0) or None if len(sizes) == 1 else None


def _array_places(ids: pa.ChunkedArray) -> np.ndarray | None:
    """Read array coordinates (n, 2) out of legacy ST's ids (``10x13``, ``10.02x13.1``), if all have them."""
    found = pc.extract_regex(ids, f"(?:^|_){ARRAY}").combine_chunks()
    if found.null_count:
        return None
    return np.stack([pc.cast(found.field(name), pa.float64()).to_numpy() for name in "ab"], 1)


@cache
def _known_slides() -> dict[str, Grid]:
    """Return what is known of the grids of the collection's own slides, by folded name."""
    grids = {}
    for row in read_table(KNOWN)[1]:
        pitch, spot = float(row["pitch_um"]), row["spot_um"]
        grid = _bins(pitch, row["source"])
        if spot:
            ratios = {2 * pitch / float(spot): f"r is half of a {spot} µm spot"}
            grid = Grid("square", pitch, ratios, source=row["source"])
        grids[fold_name(row["slide"])] = grid
    return grids
