"""Whether cells lie where the slide's image has cells: in its pixels, on its tissue, on what is darker than around."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stimage.core.errors import DataError
from stimage.slides.images.reader import ImageInfo, read_patches
from stimage.slides.images.tissue import part_tissue
from stimage.slides.images.views import read_views, whole

SMALL = 64, 800  # pixels of the longer side of the image on which tissue is found: so many that no nucleus shows
BEYOND = 0.005  # share of the cells that may lie outside the image: rounding at its edge
PARTED = 0.8  # how well tissue and glass must part to ask which cells are on: see `part_tissue`
GLASS = (0.02, 0.9)  # shares of tissue between which cells on it can be told from cells anywhere
DENSER = 1.5  # times as many cells as on glass, at least, an area of tissue has
SAMPLE = 300  # cells that are looked at closely
LEAST = 2.0  # pixels of a cell's radius, for it to be seen
DARKER = 0.6  # share of the cells whose middle is darker than what is around; anywhere else it is half of them
USUAL_UM = 4.0  # radius of a nucleus, where the source tells none
WORKED_AT = (0.25, 0.5, 1.0)  # µm/px that segmenters work at


@dataclass(frozen=True, eq=False)
class Witness:
    """What an image says of where its cells are.

    ``tissue`` tells which squares of ``step`` pixels are tissue; None where they can't be told from glass.
    """

    path: str
    info: ImageInfo
    um_per_px: float | None
    tissue: np.ndarray | None
    step: int
    max_pixels: int

    @classmethod
    def of(cls, path: str, info: ImageInfo, um_per_px: float | None, max_pixels: int) -> "Witness":
        """Look at an image."""
        nuclei = max(info.width, info.height) * (um_per_px or 0) / (2 * USUAL_UM)  # along the longer side
        longest = int(np.clip(nuclei, *SMALL)) if um_per_px else SMALL[1]
        (view,) = read_views(path, [whole(info, longest)], max_pixels)
        tissue, parted = part_tissue(view.pixels)
        told = parted > PARTED and GLASS[0] < tissue.mean() < GLASS[1]
        return cls(path, info, um_per_px, tissue if told else None, int(view.step), max_pixels)

    def coarse_fault(self, xy: np.ndarray) -> str:
        """Say what is wrong with where cells are, as far as a small image tells; "" if nothing is."""
        outside = ((xy < 0) | (xy > (self.info.width, self.info.height))).any(1)
        if outside.mean() > BEYOND:
            return (f"{outside.sum():,} of {len(xy):,} cells lie outside the image of {self.info.width:,} x "
                    f"{self.info.height:,} pixels")  # fmt: skip
        if self.tissue is None:
            return ""
        column, row = (xy // self.step).astype(int).clip(0, (self.tissue.shape[1] - 1, self.tissue.shape[0] - 1)).T
        on, area = float(self.tissue[row, column].mean()), float(self.tissue.mean())
        if on * (1 - area) < DENSER * (1 - on) * area:
            return f"{1 - on:.0%} of the cells lie on background, which is {1 - area:.0%} of the image"
        return ""

    def darker(self, many: list[np.ndarray], radius: list[float]) -> list[float]:
        """Return which share of cells is darker in the middle than around, of several places of the cells each."""
        boxes, of = [], []
        for k, (xy, r) in enumerate(zip(many, radius)):
            some = xy[np.linspace(0, len(xy) - 1, min(len(xy), SAMPLE)).astype(int)]
            half = np.full((len(some), 2), max(2 * r, 3.0))
            boxes.append(np.rint(np.concatenate([some - half, some + half], 1)).astype(int))
            of.append(np.full(len(some), k))
        every, of = np.concatenate(boxes), np.concatenate(of)
        order = np.argsort(every[:, 1], kind="stable")
        seen = list(self._middles(every[order], np.array(radius)[of[order]]))
        return [float(np.mean([one for one, j in zip(seen, of[order]) if j == k])) for k in range(len(many))]

    def _middles(self, boxes: np.ndarray, radius: np.ndarray) -> Iterator[bool]:
        for patch, r in zip(read_patches(self.path, boxes, self.max_pixels), radius):
            grey = patch.mean(2)
            mid, half = grey.shape[0] // 2, max(int(r / 2), 1)
            yield bool(grey[mid - half : mid + half + 1, mid - half : mid + half + 1].mean() < grey.mean())


def check_frame(
    witness: Witness,
    xy: np.ndarray,
    area: np.ndarray | None,
    where: object,
    factor: float = 1.0,
    swap: bool = False,
) -> None:
    """Refuse cells that lie where the image has none, and say what would make them fit.

    Parameters
    ----------
    xy
        Centres (n x 2), as they are to be taken for pixels of the image.
    area
        Areas of the cells, in the same unit squared; None if they are not known.
    where
        The file, for errors.
    factor, swap
        What the places were already multiplied by, and whether x and y were already swapped.

    Raises
    ------
    DataError
        If cells lie outside the image, on background as often as on tissue, or on what is no darker than around it.
    """
    radius = _radius(area)
    fault = witness.coarse_fault(xy) or _close_fault(witness, xy, radius)
    if not fault:
        return
    candidates = []
    for more, turn in _candidates(witness):
        moved = more * (xy[:, ::-1] if turn else xy)
        if not witness.coarse_fault(moved):
            candidates.append((more, turn, moved))
    raise DataError(f"{where}: {fault}; {_remedy(witness, candidates, radius, factor, swap)}")


def _close_fault(witness: Witness, xy: np.ndarray, radius: float | None) -> str:
    r = _pixels(witness, radius, 1.0)
    r = r if r >= LEAST else _pixels(witness, None, 1.0)  # areas may be wrong, too
    if r < LEAST:
        return ""
    (share,) = witness.darker([xy], [r])
    if share >= DARKER:
        return ""
    return f"only {share:.0%} of the cells are darker in the middle than around, as if they lay anywhere"


def _radius(area: np.ndarray | None) -> float | None:
    return float(np.sqrt(np.nanmedian(area) / np.pi)) if area is not None and np.isfinite(area).any() else None


def _pixels(witness: Witness, radius: float | None, factor: float) -> float:
    """Return the usual radius of cells in pixels; where neither it nor a scale is known, one that can't be seen."""
    return factor * radius if radius else USUAL_UM / witness.um_per_px if witness.um_per_px else 0.0


def _candidates(witness: Witness) -> Iterator[tuple[float, bool]]:
    """Yield by what places may be wrong: a factor, and whether x and y are swapped; the likeliest first."""
    um = witness.um_per_px
    factors = [1.0, *([1 / um, um] if um else []), 2, 4, 8, 16, 32, 0.5, 0.25, 0.125, 0.0625]
    factors += [target / um for target in WORKED_AT] if um else []
    for swap in (False, True):
        seen: list[float] = []
        for factor in factors:
            if (factor != 1 or swap) and not any(abs(factor / one - 1) < 0.005 for one in seen):
                seen.append(factor)
                yield factor, swap


def _remedy(witness: Witness, candidates: list, radius: float | None, given: float, swapped: bool) -> str:
    """Say which factor fits best, if one does."""
    unless = "if they are right as they are, pass unchecked=True (--unchecked)"
    sizes = [_pixels(witness, radius, more) for more, *_ in candidates]
    seen = [k for k, r in enumerate(sizes) if r >= LEAST]
    shares = dict(zip(seen, witness.darker([candidates[k][2] for k in seen], [sizes[k] for k in seen]))) if seen else {}
    unseen = 0.0 if witness.um_per_px is None or USUAL_UM / witness.um_per_px >= LEAST else 1.0  # of cells too small
    fitting = [k for k in range(len(candidates)) if shares.get(k, unseen) >= DARKER]
    if not fitting:
        return f"no factor makes them fit, nor x and y swapped: are they another slide's? {unless}"
    more, turn, _ = candidates[max(fitting, key=lambda k: (shares.get(k, 0.0), -k))]
    factor, swap, um = given * more, swapped != turn, witness.um_per_px
    plain = abs(factor - 1) < 1e-9
    what = [f"factor={factor:.6g} (--factor {factor:.6g})"] * (not plain) + ["swap=True (--swap)"] * swap
    what = what or ["neither factor= (--factor) nor swap= (--swap)"]
    why = ", for they are in µm" if um and not plain and abs(factor * um - 1) < 0.005 else ""
    return f"they fit{why} if you pass {' and '.join(what)}; {unless}"
