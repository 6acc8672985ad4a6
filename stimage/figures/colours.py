"""Which colour a label has, in every picture: colours that the colour-blind tell apart (Okabe and Ito, 2008)."""

from collections import Counter
from collections.abc import Iterable

OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
GREY = "#BBBBBB"  # of no label, and of rare ones


def in_order_of_colours(labels: Iterable[str | None], most: int = len(OKABE_ITO)) -> list[str]:
    """Return the commonest labels in the order in which `OKABE_ITO` is theirs: by name, whatever their case.

    Of more labels than colours, the commonest eight come first, by name, then the next eight.
    """
    counts = Counter(label for label in labels if label)
    names = sorted(counts, key=lambda name: (-counts[name], name))[:most]
    eights = [names[k : k + len(OKABE_ITO)] for k in range(0, len(names), len(OKABE_ITO))]
    return [name for eight in eights for name in sorted(eight, key=lambda name: (name.casefold(), name))]
