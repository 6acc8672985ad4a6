"""The colours of labels, the same in every picture, and distinct also for the colour-blind."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
MORE = ("#772200", "#000099", "#774466", "#AACC99", "#441144", "#006644", "#8877FF", "#3300EE", "#22CC00", "#EEAACC",
        "#888844", "#CC00AA")  # fmt: skip
GREY = "#999999"  # labels beyond the palette, and what is only there to compare with
FAINT = "#DDDDDD"  # spots without a label


class Look(NamedTuple):
    """The look of a label: its colour, and whether the middle of each spot has a mark."""

    colour: str
    marked: bool = False


LOOKS = (*map(Look, OKABE_ITO), *(Look(colour, True) for colour in MORE))
OTHER, UNLABELLED = Look(GREY), Look(FAINT)
UNCLASSED = Look("#22CC00")  # cells without a class: outlines must be seen on nuclei


def label_looks(labels: Iterable[str | None], most: int = len(LOOKS)) -> dict[str, Look]:
    """Return the looks of the commonest labels, in the order of their names; 10 comes after 9.

    The first eight colours are Okabe and Ito's (2008). The other twelve were found by a search: they differ most from
    all others for normal eyes, and for eyes without red, green or blue cones (Machado et al., IEEE TVCG 15, 1291,
    2009). Spots with one of these also have a mark in the middle, so that no label depends on colour alone.

    Parameters
    ----------
    labels
        One label per spot; None and "" are no labels.
    most
        Largest number of labels that get a look of their own.
    """
    counts = Counter(label for label in labels if label)
    common = sorted(counts, key=lambda name: (-counts[name], _natural(name)))[:most]
    return dict(zip(sorted(common, key=_natural), LOOKS))


def look_of(label: str | None, looks: dict[str, Look], none: Look = UNLABELLED) -> Look:
    """Return the look of a spot's label; a rarer label has the common look of others, and no label has ``none``."""
    return looks.get(label, OTHER) if label else none


def legend_of(
    labels: Iterable[str | None], looks: dict[str, Look], none: tuple[str, Look] = ("no label", UNLABELLED)
) -> list[tuple[str, Look]]:
    """Return the legend's entries: labels in order, the number of other labels, and ``none`` for spots without one."""
    present = set(labels)
    others = len({label for label in present if label} - looks.keys())
    entries = [*looks.items()]
    if others:
        entries.append((f"{others} rarer label{'s' * (others > 1)}", OTHER))
    return entries + [none] * any(not label for label in present)


def rgb_and_marks(colours: np.ndarray | Sequence[Look]) -> tuple[np.ndarray, np.ndarray]:
    """Return RGB from 0 to 1 (n x 3) and which spots have a mark (n), of such colours (n x 3 or more) or of looks."""
    if isinstance(colours, np.ndarray):
        return colours[:, :3], np.zeros(len(colours), bool)
    rgb = np.array([[*bytes.fromhex(look.colour[1:])] for look in colours]).reshape(-1, 3) / 255
    return rgb, np.array([look.marked for look in colours], bool)


def _natural(name: str) -> list:
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part.casefold()) for part in re.split(r"(\d+)", name)]
