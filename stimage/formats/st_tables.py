"""Slides of legacy ST: st_pipeline's table of counts, and the spot detector's of places, or an alignment matrix."""

import logging
import re
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix

from stimage.core.errors import DataError, shown
from stimage.core.tables import read_cells
from stimage.formats.imported import ImportedSlide, ImportOptions, raw_counts, refuse_options
from stimage.formats.source_scale import source_scale
from stimage.formats.st_places import Alignment, Places, kind_of, read_places, spot_of
from stimage.slides.catalog import Slide
from stimage.slides.coordinates import Coordinates
from stimage.slides.scale.grids import GRIDS, grids_of
from stimage.slides.scale.lattice import measure_lattice

TABLES = re.compile(r"\.(tsv|csv|txt)(\.gz)?$", re.IGNORECASE)
WORDS = frozenset("stdata spot spots data selection selected all count counts matrix filtered ut aligned alignment "
                  "transformation transform coordinates coords positions tsv csv txt gz".split())  # fmt: skip
TENX = ("*.h5", "*.mtx*", "*bc_matrix")  # Space Ranger's, whose positions may have numbers for barcodes
DAMAGED = "damaged"
NO_GENE = "__"  # what st_pipeline calls reads of no gene or of several begins so
DIAMETER = "pass a spot's diameter in pixels of the image as spot_diameter= (--spot-diameter)"
log = logging.getLogger(__name__)


def is_st_tables(path: Path) -> bool:
    """Tell whether a path is a table of legacy ST, or of text that is damaged, or a folder with such tables."""
    if path.is_dir():
        kinds = set(_kinds(path.iterdir()).values())
        return "counts" in kinds or ("places" in kinds and not any(any(path.glob(one)) for one in TENX))
    return any(_kinds([path]).values())


def read_st_tables(path: Path, options: ImportOptions) -> ImportedSlide:
    """Read a slide of legacy ST: its table of counts, or a folder with one such table.

    Counts are spots x genes or genes x spots, tab-, comma- or semicolon-separated, gzipped or not; spots are called by
    their array coordinates, such as 10x13. Places are in ``options.positions``, or in the one table of the folder that
    has the sample's name. Without ``options.spot_diameter``, a spot is half as wide as the pitch of 200 µm.

    Raises
    ------
    DataError
        If a file is missing or damaged, there of several samples, or another slide's; or if a spot has no place, unless
        ``options.on_mismatch`` is "drop".
    """
    refuse_options(options, path, "is a table of legacy ST", ("layer", "library", "genome", "labels"))
    counts_path = _counts_in(path) if path.is_dir() else path
    if options.image is None:
        raise DataError(
            f"{path}: has no image of its own; pass the one that the spot detector was given as image= (--image)"
        )
    places = read_places(options.positions or _places_beside(counts_path))
    names, array, genes, counts, left_out = _read_counts(counts_path)
    kept, xy, off = _placed(array, names, places, counts_path, options.on_mismatch)
    names, array = [name for name, keep in zip(names, kept.tolist()) if keep], array[kept]
    r = _radius(names, xy, places.path, options.spot_diameter)
    said = source_scale([], 1.0, path, options.um_per_px)
    return ImportedSlide(str(counts_path), names, genes, counts[kept], xy[:, 0], xy[:, 1], r, options.image, {}, "ST",
                         *said, left_out=left_out | off)  # fmt: skip


def _kinds(paths: Iterable[Path]) -> dict[Path, str]:
    """Return what each of these files is, if it is a table of text."""
    kinds = {}
    for path in sorted(paths):
        if path.is_file() and TABLES.search(path.name) and not path.name.startswith("."):
            try:
                kinds[path] = kind_of(path)
            except DataError:
                kinds[path] = DAMAGED
    return kinds


def _tell_damage(kinds: Mapping[Path, str]) -> None:
    """Raise what is wrong with a table that can't be read, if there is one: it may be the one that is missing."""
    for path, kind in kinds.items():
        if kind == DAMAGED:
            kind_of(path)


def _counts_in(folder: Path) -> Path:
    kinds = _kinds(folder.iterdir())
    found = [path for path, kind in kinds.items() if kind == "counts"]
    if not found:
        _tell_damage(kinds)
    if len(found) != 1:
        raise DataError(
            f"{folder}: has {len(found)} tables of counts: {shown([p.name for p in found])}; name one of them"
        )
    return found[0]


def _places_beside(counts: Path) -> Path:
    """Return the table of places, or else the alignment, beside a table of counts, of the same sample by its name."""
    kinds = _kinds(counts.parent.iterdir())
    for kind in ("places", "alignment"):
        found = [path for path, one in kinds.items() if one == kind]
        mine = [path for path in found if _sample(path) == _sample(counts)]
        if len(mine) == 1:
            return mine[0]
        if found:
            raise DataError(
                f"{counts}: no name tells which of these tables has the places of its spots: "
                f"{shown([path.name for path in found])}. Name the right table as positions= (--positions)"
            )
    _tell_damage(kinds)
    raise DataError(
        f"{counts.parent}: has no table of places beside {counts.name}, such as the spot detector's "
        "spot_data-selection.tsv, and no alignment matrix; name it as positions= (--positions)"
    )


def _sample(path: Path) -> list[str]:
    """Return a file's name without the words that tell what it is."""
    words = re.split(r"[\W_]+", path.name.lower().replace("matrix-1", "matrix"))
    return [word for word in words if word and word not in WORDS and not re.fullmatch(r"gsm\d+", word)]


def _read_counts(path: Path) -> tuple[list[str], np.ndarray, list[str], csr_matrix, dict[str, int]]:
    """Return spots' names and array coordinates (n x 2), genes, counts (n x genes), and what was left out."""
    rows = read_cells(path)
    header, first = next(rows, (1, []))[1], next(rows, (2, []))
    header = ["", *header] if len(header) == len(first[1]) - 1 else header  # R names no row names
    by_spot = bool(first[1] and spot_of(first[1][0]))
    if not by_spot and not (len(header) > 1 and spot_of(header[1])):
        raise DataError(
            f"{path}: is no table of legacy ST's counts: neither rows nor columns are called by array coordinates, as "
            f"10x13 is, but {shown(first[1][:1]) or 'nothing'} and {shown(header[1:], 3) or 'nothing'}; of Space "
            "Ranger's, name the folder outs"
        )
    called, counts = _cells(path, header, chain([first], rows))
    spots, genes = (called, header[1:]) if by_spot else (header[1:], called)
    counts = raw_counts(counts if by_spot else counts.T, path, "name the table of raw counts")
    names, array = _spots(path, spots)
    keep = np.array([not gene.startswith(NO_GENE) for gene in genes], bool)
    left_out = {} if keep.all() else {"features that are no gene": int((~keep).sum())}
    genes = [gene for gene, kept in zip(genes, keep.tolist()) if kept]
    return names, array, genes, counts[:, keep] if left_out else counts, left_out


def _cells(path: Path, header: list[str], rows: chain) -> tuple[list[str], csr_matrix]:
    """Return what the rows are called, and their numbers."""
    called, columns, values = [], [], []
    for line, cells in rows:
        if len(cells) != len(header):
            raise DataError(f"{path}: line {line} has {len(cells)} cells for {len(header)} columns; was it cut off?")
        try:
            numbers = np.array(cells[1:], float)
        except ValueError:
            raise DataError(f"{path}: line {line} ({cells[0]!r}): {_no_number(cells[1:])!r} is no count") from None
        called.append(cells[0])
        columns.append(np.flatnonzero(numbers))
        values.append(numbers[columns[-1]])
    starts = np.cumsum([0, *map(len, columns)])
    shape = (len(called), len(header) - 1)
    return called, csr_matrix((np.concatenate(values), np.concatenate(columns), starts), shape)


def _no_number(cells: list[str]) -> str:
    for cell in cells:
        try:
            float(cell)
        except ValueError:
            return cell[:40]
    raise AssertionError("all cells are numbers")


def _spots(path: Path, called: list[str]) -> tuple[list[str], np.ndarray]:
    """Return spots' names, such as 10x13, and their array coordinates; of several slides, none."""
    found = [spot_of(name) for name in called]
    if None in found:
        raise DataError(f"{path}: spot {called[found.index(None)]!r} is not called by array coordinates, such as 10x13")
    spots = [spot for spot in found if spot]
    if len(around := sorted({spot[2] for spot in spots})) > 1:
        raise DataError(
            f"{path}: is of {len(around)} slides by the names of its spots, {shown(around, 5)}; write a table a slide"
        )
    array = np.array([spot[:2] for spot in spots])
    return [f"{a:.12g}x{b:.12g}" for a, b in array.tolist()], array


def _placed(
    array: np.ndarray, names: list[str], places: Places | Alignment, counts: Path, on_mismatch: str
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Return which spots are kept, their x and y in pixels, and how many others there are, by reason."""
    if isinstance(places, Alignment):
        return np.ones(len(array), bool), places.xy(array), {}
    row = places.rows(array)
    lost, chosen = row < 0, np.ones(len(row), bool)
    if lost.all():
        raise DataError(
            f"{places.path}: has none of the spots of {counts.name}, such as {names[0]!r}; take counts and places from "
            "the same slide"
        )
    if lost.any() and on_mismatch != "drop":
        raise DataError(
            f"{places.path}: has no place for {lost.sum():,} of the {len(lost):,} spots of {counts.name}, such as "
            f"{names[int(lost.argmax())]!r}. If the table lists only the spots under the tissue, leave out the others "
            "with on_mismatch='drop' (--on-mismatch drop)"
        )
    if places.selected is not None:
        chosen = np.where(lost, True, places.selected[row])
    kept = ~lost & chosen
    if not kept.any():
        raise DataError(
            f"{places.path}: marks none of the spots of {counts.name} as under the tissue (selected 1); take counts "
            "and places from the same slide"
        )
    told = {"spots that are not selected, outside the tissue": ~chosen, "spots without a place": lost}
    return kept, places.xy[row[kept]], {reason: int(which.sum()) for reason, which in told.items() if which.any()}


def _radius(names: list[str], xy: np.ndarray, where: Path, diameter: float | None) -> float:
    """Return a spot's radius in pixels: half of what the user says, or a quarter of the pitch of a 200 µm array."""
    lattice = measure_lattice(*xy.T)
    if lattice is None or lattice.kind != "square":
        if diameter is None:
            raise DataError(
                f"{where}: places of {len(xy):,} spots form no square lattice that tells their size; {DIAMETER}"
            )
        return diameter / 2
    places = Coordinates(pa.chunked_array([names], pa.string()), xy[:, 0], xy[:, 1], np.ones(len(xy)))
    told = grids_of(Slide("", "ST", "", "", ""), places, lattice)
    if told.problem:
        raise DataError(f"{where}: {told.problem}: is it another slide's?")
    if diameter is not None:
        return diameter / 2
    if told.open or told.rows > GRIDS["ST"][0].most_rows:
        raise DataError(
            f"{where}: by the names of its spots, its array is none of 200 µm, such as a 2k array; {DIAMETER}"
        )
    log.warning("%s: takes a spot for 100 µm wide, %.3g pixels, by the pitch of 200 µm; if it is another, %s", where,
                lattice.pitch / 2, DIAMETER)  # fmt: skip
    return lattice.pitch / 4
