"""Test whether the spots of a slide lie on the tissue of its image, or would after a move, and after which one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from stimage.slides.images.tissue import part_tissue

LONGEST = 200  # pixels of the longer side, at which spots are laid over the tissue
FACTORS = tuple(0.4 * 1.04**k for k in range(48))  # 0.4 to 2.6, by which coordinates may be off
SAME = 0.05  # nearer to 1, a factor tells nothing
FINER = np.linspace(0.95, 1.05, 21)
SIMPLER = 0.02  # of the correlation, by which a simpler way may be behind
FREE = 0.03  # of the correlation, which a shift gains, as it may lie anywhere
REACH = 0.75  # of the pitch: spots this near cover a lattice without holes
SOME = 0.3  # of a square's pixels, from which on it is tissue
FEW = 20  # spots, below which their outline says nothing
RECTANGLE = 0.85  # of a box, which a disc fills to 0.79: a whole lattice, whose outline is not that of the tissue
MORE, GAIN = 0.05, 0.1  # more centres on tissue, more correlation; right slides gain less than 0.05 of both
GOOD = 0.8  # correlation; right slides have 0.93 or more, those that are off by 5 % of their side 0.84 or less
MUCH, FAIR = 0.15, 0.5  # more of both, and correlation, where tissue goes on beyond the spots
MOST, MANY = 0.5, 0.75  # of the centres on tissue
CLEAR = 0.85  # see `part_tissue`: real slides have 0.87 or more
TURNS: dict[str, Callable[..., tuple[np.ndarray, np.ndarray]]] = {
    "swapped (x is y and y is x)": lambda x, y, w, h: (y, x),
    "mirrored left to right": lambda x, y, w, h: (w - x, y),
    "mirrored top to bottom": lambda x, y, w, h: (x, h - y),
    "turned by half a circle": lambda x, y, w, h: (w - x, h - y),
    "turned a quarter to the right": lambda x, y, w, h: (w - y, x),
    "turned a quarter to the left": lambda x, y, w, h: (y, h - x),
    "swapped and turned by half a circle": lambda x, y, w, h: (w - y, h - x),
}


@dataclass(frozen=True)
class Move:
    """How coordinates are moved: turned, multiplied by ``factor``, and ``dx`` and ``dy`` (image pixels) added.

    ``fit`` is how well the spots then cover the tissue, and it alone, from -1 to 1 (Matthews' correlation);
    ``on_tissue`` the share of their centres that then lie on tissue.
    """

    fit: float
    on_tissue: float
    turn: str = ""
    factor: float = 1.0
    dx: float = 0.0
    dy: float = 0.0

    def __str__(self) -> str:
        parts = [self.turn] if self.turn else []
        parts += [f"multiplied by {self.factor:.2g}"] if self.factor != 1 else []
        parts += [f"shifted by dx={self.dx:+,.0f}, dy={self.dy:+,.0f} pixels"] if self.dx or self.dy else []
        return " and ".join(parts)

    @property
    def mirrors(self) -> bool:
        """Whether left and right, or up and down, but not both, change places."""
        return self.turn.startswith(("swapped", "mirrored"))

    @property
    def merit(self) -> float:
        """How well the move explains the tissue: one that shifts is chosen among many, of which some fit by chance."""
        return self.fit - (FREE if self.dx or self.dy else 0)

    @property
    def remedy(self) -> str:
        """What to do about coordinates that should be moved so."""
        if self.turn:
            return "turn the coordinates back"
        add = f"add {self.dx:.0f} to x and {self.dy:.0f} to y"
        if self.factor == 1:
            return f"{add}, or give the whole image, if this is a part of it or another slide's"
        times = f"{1 / self.factor:.2g} times larger" if self.factor < 1 else f"{self.factor:.2g} times smaller"
        then = f"; then {add}" if self.dx or self.dy else ""
        return f"multiply x, y and r by about {self.factor:.2g}, or give the image that is {times}{then}"


@dataclass(frozen=True)
class Fit:
    """How spots lie as they are, and the move, if any, that brings clearly more of them onto tissue.

    ``shaped`` is whether their outline can be that of tissue; ``clear`` whether tissue and glass are well told apart.
    """

    as_is: Move
    best: Move | None
    shaped: bool
    clear: bool

    def is_worse_than(self, move: Move) -> bool:
        """Return whether a move brings clearly more spots onto tissue, and covers it clearly better."""
        gain, more = move.fit - self.as_is.fit, move.on_tissue - self.as_is.on_tissue
        if move.fit > GOOD:
            return gain > GAIN and more > MORE
        return self.shaped and move.fit > FAIR and gain > MUCH and more > MUCH

    def judge(self) -> tuple[str, str, str]:
        """Return "fail" (the image can't be that of the coordinates), "warn" or "pass", the message and a remedy."""
        here, best = self.as_is, self.best
        seen = f"spots fit the tissue with {here.fit:.2f}; {here.on_tissue:.0%} of the centres are on tissue"
        off = self.shaped and here.on_tissue < MANY
        lost = self.shaped and here.on_tissue < MOST and self.clear
        if best:
            status = "fail" if self.shaped and (best.fit > GOOD or lost) else "warn"
            then = f"{best.fit:.2f} and {best.on_tissue:.0%} if the coordinates were {best}"
            remedy = best.remedy if best.fit > GOOD else f"{best.remedy}; or is the image another slide's?"
            return status, f"{seen}; {then}", remedy
        if off or here.fit < 0:
            why = "is the image another slide's, or are spots listed that lie beside the tissue?"
            return "fail" if lost else "warn", f"{seen}, and no turn, factor or shift brings them there", why
        return "pass", seen, ""


def fit_spots(pixels: np.ndarray, step: float, x: np.ndarray, y: np.ndarray) -> Fit | None:
    """Lay spots over the tissue of a thumbnail that is ``step`` times smaller than the image of the coordinates.

    Parameters
    ----------
    pixels
        The thumbnail, uint8 RGB.
    step
        Number of image pixels to a pixel of the thumbnail.
    x, y
        Spot centres (n each), in pixels of the image.

    Returns
    -------
    Fit or None
        None if the fit can't be judged: glass can't be told from tissue, or there are few spots.
    """
    tissue, parted = part_tissue(pixels)
    if len(x) < FEW or not parted:
        return None
    pitch = _pitch(x, y)
    ground = _Ground(tissue, step, pitch)
    as_is = ground.lay(x, y, pitch)
    fit = Fit(as_is, None, _is_shaped(x, y, pitch), parted > CLEAR)
    if as_is.on_tissue + MORE >= 1:  # no move can be better
        return fit
    moves = [move for move in _moves(ground, x, y, pitch) if fit.is_worse_than(move)]
    if fit.shaped and as_is.on_tissue < MANY and max((move.fit for move in moves), default=0) < GOOD:
        moves += [move for move in _moves_together(ground, x, y, pitch) if fit.is_worse_than(move)]
    most = max((move.merit for move in moves), default=0.0)
    return replace(fit, best=next((move for move in moves if move.merit >= most - SIMPLER), None))  # the simplest first


class _Ground:
    """A map of tissue, in squares of ``unit`` image pixels, on which spots are laid."""

    def __init__(self, tissue: np.ndarray, step: float, pitch: float):
        shrink = max(1, -(-max(tissue.shape) // LONGEST))
        height, width = (side // shrink for side in tissue.shape)
        parts = tissue[: height * shrink, : width * shrink].reshape(height, shrink, width, shrink)
        self.unit = step * shrink
        reach = max(pitch / 2 / self.unit, 1)
        near = distance_transform_edt(parts.mean((1, 3)) < SOME) <= reach  # what lies between nuclei, or walls of fat
        self.tissue = (distance_transform_edt(near) > reach).astype(float)
        self.padded = 2 * height, 2 * width
        self.spectra = [np.fft.rfft2(values, self.padded) for values in (self.tissue, np.ones_like(self.tissue))]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in image pixels."""
        return self.tissue.shape[1] * self.unit, self.tissue.shape[0] * self.unit

    def lay(self, x: np.ndarray, y: np.ndarray, pitch: float, **how: Any) -> Move:
        """Return how spots lie; ``how`` they were moved before is only noted."""
        rows, columns = (np.floor(places / self.unit).astype(int) for places in (y, x))
        height, width = self.tissue.shape
        inside = (rows >= 0) & (columns >= 0) & (rows < height) & (columns < width)
        on = float(self.tissue[rows[inside], columns[inside]].sum() / len(x))
        covered = _covered(rows + height // 2, columns + width // 2, pitch / self.unit, self.padded)  # beyond, too
        part = covered[height // 2 :, width // 2 :][:height, :width]
        return Move(float(self.fit((part * self.tissue).sum(), part.sum(), covered.sum())), on, **how)

    def fit(self, both: np.ndarray, inside: np.ndarray, covered: float) -> np.ndarray:
        """Return Matthews' correlation; squares that are covered beyond the map count as no tissue.

        Parameters
        ----------
        both, inside, covered
            Numbers of squares: covered and tissue, covered within the map, covered at all.
        """
        squares, tissue = self.tissue.size + covered - inside, self.tissue.sum()
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = np.sqrt(covered * (squares - covered)) * np.sqrt(tissue * (squares - tissue))
            return np.nan_to_num((squares * both - covered * tissue) / spread, posinf=0, neginf=0)

    def shift(self, x: np.ndarray, y: np.ndarray, pitch: float, factor: float = 1.0) -> Iterator[Move]:
        """Yield the best of all shifts; none if the spots reach farther than the map."""
        reach = pitch / self.unit
        left, top = x.min() / self.unit - reach, y.min() / self.unit - reach
        rows, columns = np.floor(y / self.unit - top).astype(int), np.floor(x / self.unit - left).astype(int)
        if rows.max() + reach >= self.tissue.shape[0] or columns.max() + reach >= self.tissue.shape[1]:
            return
        covered = _covered(rows, columns, reach, self.tissue.shape).astype(float)
        spectrum = np.conj(np.fft.rfft2(covered, self.padded))
        both, inside = (np.fft.irfft2(own * spectrum, self.padded) for own in self.spectra)
        fit = self.fit(both, inside, covered.sum())
        place = np.unravel_index(fit.argmax(), fit.shape)
        down, right = ((int(n) + side // 2) % side - side // 2 for n, side in zip(place, self.padded))
        dx, dy = (right - left) * self.unit, (down - top) * self.unit
        yield self.lay(x + dx, y + dy, pitch, factor=factor, dx=dx, dy=dy)


def _moves(ground: _Ground, x: np.ndarray, y: np.ndarray, pitch: float) -> Iterator[Move]:
    """Yield how spots lie by a factor, by each turn, and by a shift."""
    rough = [ground.lay(x * f, y * f, pitch * f, factor=f) for f in FACTORS if abs(f - 1) > SAME]
    near = max(rough, key=lambda move: move.fit).factor
    fine = [ground.lay(x * f, y * f, pitch * f, factor=f) for f in near * FINER if abs(f - 1) > SAME]
    top = max(move.fit for move in fine) if fine else 1.0
    good = [move for move in fine if move.fit > top - SIMPLER / 2]  # in order of their factors
    yield from good[len(good) // 2 :][:1]
    for turn, move in TURNS.items():
        yield ground.lay(*move(x, y, *ground.size), pitch, turn=turn)
    yield from ground.shift(x, y, pitch)


def _moves_together(ground: _Ground, x: np.ndarray, y: np.ndarray, pitch: float) -> Iterator[Move]:
    """Yield how spots lie by factors, each with its shift, the best first."""
    found = [move for f in FACTORS for move in ground.shift(x * f, y * f, pitch * f, f)]
    yield from sorted(found, key=lambda move: -move.fit)


def _covered(rows: np.ndarray, columns: np.ndarray, reach: float, size: tuple[int, int]) -> np.ndarray:
    """Return which squares of a map lie within reach of a spot."""
    free = np.ones(size, bool)
    inside = (rows >= 0) & (columns >= 0) & (rows < size[0]) & (columns < size[1])
    free[rows[inside], columns[inside]] = False
    return distance_transform_edt(free) <= max(REACH * reach, 1) if inside.any() else ~free


def _pitch(x: np.ndarray, y: np.ndarray) -> float:
    """Return the distance from a spot to the next, as most have it."""
    xy = np.unique(np.stack([x, y], 1), axis=0)
    some = xy[:: max(1, len(xy) // 2000)]
    return float(np.median(cKDTree(xy).query(some, k=2)[0][:, 1])) if len(xy) > 1 else 1.0


def _is_shaped(x: np.ndarray, y: np.ndarray, pitch: float) -> bool:
    """Return whether the outline of the spots is no rectangle."""
    x, y, reach = (values / max(np.ptp(x), np.ptp(y), pitch) * LONGEST for values in (x - x.min(), y - y.min(), pitch))
    rows, columns = y.astype(int), x.astype(int)
    return float(_covered(rows, columns, reach, (rows.max() + 1, columns.max() + 1)).mean()) < RECTANGLE
