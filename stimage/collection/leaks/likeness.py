"""The likeness of two slides: the same counts, the same image, or sections of one piece of tissue."""

from dataclasses import dataclass

import numpy as np

from stimage.collection.leaks.fingerprints import KEPT, CountsPrint, ImagePrint

SHARED = 0.02  # of the smaller slide's spots, and FEWEST: so many have the same counts
FEWEST = 5
TOTALS, EQUAL = 10, 0.5  # counts of a gene that is compared; share of such genes with the same total in twins
GENES = 100  # that must be comparable; of unrelated slides, 3 in 100 have the same total
NEAR = 0.9  # correlation of two pictures of one patch
PLACED = 6  # pairs of patches that must lie alike
APART = 0.5  # pitches by which they may be off
WHOLE, ASPECT = 0.985, 0.03  # correlation of pictures of all tissue, and how much its shape may differ
COUNTED, SECTION_GENES = 50, 200  # counts of a gene on both slides together, and such genes, for sections
SECTIONS = 0.3  # expression that differs by less beyond counting noise: natural logarithms, standard deviation
TURNS = [(turn, flip) for flip in (False, True) for turn in range(4)]


@dataclass(frozen=True)
class Likeness:
    """``what`` is "counts", "image" or "sections"; ``evidence`` says in words what was found."""

    what: str
    evidence: str


def alike_counts(a: CountsPrint, b: CountsPrint) -> Likeness | None:
    """Tell whether two slides have the same counts, whatever the order of spots and genes, or with some of them."""
    for one, other, how in ((a.spots, b.spots, ""), (a.profiles, b.profiles, ", whatever their genes are called")):
        least = min(len(one), len(other))
        same = len(np.intersect1d(one, other, assume_unique=True))
        if same >= max(FEWEST, SHARED * least):
            return Likeness("counts", f"{same:,} of {least:,} spots have the same counts{how}")
    x, y = _totals(a, b)
    compared = (x >= TOTALS) | (y >= TOTALS)
    if compared.sum() >= GENES and (equal := (x == y)[compared].mean()) >= EQUAL:
        return Likeness("counts", f"{equal:.0%} of {compared.sum():,} genes have the same total")
    return None


def alike_images(a: ImagePrint, b: ImagePrint) -> Likeness | None:
    """Tell whether two images show the same tissue: cut, scaled, turned, mirrored or stored otherwise."""
    if len(a.patches) and len(b.patches):
        best = max(_placed_alike(a, b, turn, flip) for turn, flip in TURNS)
        if best >= PLACED:
            return Likeness("image", f"{best} of {min(len(a.patches), len(b.patches), KEPT)} patches of most contrast "
                            "are the same, and lie alike")  # fmt: skip
    if abs(np.log(a.aspect / b.aspect)) <= ASPECT and (r := float((a.tissue * b.tissue).sum())) >= WHOLE:
        return Likeness("image", f"their tissue, made small, correlates by {r:.3f}")
    return None


def alike_sections(a: CountsPrint, b: CountsPrint) -> Likeness | None:
    """Tell whether two slides express genes so alike that they may be sections of one piece of tissue.

    What is compared are the genes' shares of all counts, as logarithms: the median square of their differences, less
    what counting alone makes of it. Sections of one tumour differ by 0.07 to 0.2, two tumours by 0.5 (legacy ST).
    """
    x, y = _totals(a, b)
    some = x + y >= COUNTED
    if some.sum() < SECTION_GENES:
        return None
    x, y = x[some] + 0.5, y[some] + 0.5
    apart = np.log(x / x.sum()) - np.log(y / y.sum())
    apart -= np.median(apart)
    spread = float(np.sqrt(max(np.median(apart**2) / 0.455 - np.median(1 / x + 1 / y), 0)))  # 0.455: of chi-square
    if spread >= SECTIONS:
        return None
    return Likeness("sections", f"{len(x):,} genes differ by {spread:.2f} (standard deviation of the logarithm) "
                    "beyond counting noise; sections of one tumour do by 0.2 or less, two tumours by 0.5")  # fmt: skip


def _totals(a: CountsPrint, b: CountsPrint) -> tuple[np.ndarray, np.ndarray]:
    """Return the totals of the genes that both slides have."""
    _, of_a, of_b = np.intersect1d(a.genes, b.genes, assume_unique=True, return_indices=True)
    return a.totals[of_a], b.totals[of_b]


def _placed_alike(a: ImagePrint, b: ImagePrint, turn: int, flip: bool) -> int:
    """Return how many patches of ``b``, turned, are patches of ``a`` and lie as these do to each other."""
    patches, places = np.rot90(b.patches, turn, (1, 2)), b.places
    patches = patches[:, :, ::-1] if flip else patches
    near = a.patches.reshape(len(a.patches), -1) @ patches.reshape(len(patches), -1).T
    pairs = [(i, j) for i, j in enumerate(near.argmax(1)) if near[i, j] >= NEAR and near[:, j].argmax() == i]
    if len(pairs) < PLACED:
        return 0
    of_a, of_b = np.array(pairs).T
    off = a.places[of_a] - _turned(places[of_b], turn, flip)
    return int((np.abs(off[:, None] - off).max(2) <= APART).sum(1).max())


def _turned(places: np.ndarray, turn: int, flip: bool) -> np.ndarray:
    """Turn places (x, y downwards) as ``np.rot90`` turns a picture, and mirror them."""
    x, y = places.T
    for _ in range(turn):
        x, y = y, -x
    return np.stack([-x if flip else x, y], 1)


def likenesses(
    counts: tuple[CountsPrint, CountsPrint] | None, images: tuple[ImagePrint, ImagePrint] | None
) -> list[Likeness]:
    """Return the content that two slides share; sections only if they share nothing else."""
    found = [alike_counts(*counts) if counts else None, alike_images(*images) if images else None]
    if not any(found) and counts:
        found = [alike_sections(*counts)]
    return [one for one in found if one]
