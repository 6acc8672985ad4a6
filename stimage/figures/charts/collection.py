"""Draw charts of the collection: bars and pies of its slides and spots."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stimage.figures.colours import OKABE_ITO
from stimage.figures.style import canvas, styled

SPECIES_ORDER = ("human", "mouse", "human & mouse")
MOST_TISSUES = 10


def parts_of(slides: Sequence[tuple[str, str, str, int]]) -> dict[str, list[str]]:
    """Return the technologies and the species of slides, in order; either is empty if there is only one."""
    techs = list(dict.fromkeys(slide[0] for slide in slides))
    found = {_species(slide) for slide in slides}
    parts = {"technology": techs, "species": [name for name in (*SPECIES_ORDER, "other") if name in found]}
    return {kind: names for kind, names in parts.items() if len(names) > 1}


def _species(slide: tuple[str, str, str, int]) -> str:
    return slide[1] if slide[1] in SPECIES_ORDER else "other"


@styled
def collection_pies(slides: Sequence[tuple[str, str, str, int]]) -> Figure:
    """Draw pies of slides and of spots, by technology and by species, where there are several; see `parts_of`."""
    parts = parts_of(slides)
    figure, axes = canvas(4.9 * len(parts), 5, 2, len(parts))
    for column, (kind, order) in enumerate(parts.items()):
        for row, what in enumerate(("slides", "spots")):
            totals = Counter()
            for slide in slides:
                totals[slide[0] if kind == "technology" else _species(slide)] += slide[3] if row else 1
            _pie(axes[row, column], {name: totals[name] for name in order})
            axes[row, column].set_title(f"{sum(totals.values()):,} {what} by {kind}", pad=2)
    return figure


def _pie(axes: Axes, totals: Mapping[str, int]) -> None:
    """Draw a pie; parts are named, with numbers, in a legend, where small ones do not overlap."""
    whole = sum(totals.values())
    wedges, *_ = axes.pie(list(totals.values()), colors=OKABE_ITO, startangle=90, counterclock=False,
                          wedgeprops={"linewidth": 0.6, "edgecolor": "white"})  # fmt: skip
    names = [f"{name}: {n:,} ({100 * n / whole:.1f} %)" for name, n in totals.items()]
    axes.legend(wedges, names, loc="center left", bbox_to_anchor=(0.93, 0.5), fontsize=8)


@styled
def collection_bars(slides: Sequence[tuple[str, str, str, int]]) -> Figure:
    """Draw bars of slides and of spots by tissue and technology: the ten commonest tissues, and all others as one."""
    commonest = [name for name, _ in Counter(slide[2] for slide in slides).most_common(MOST_TISSUES)]
    names = [*commonest, "others"] if len({slide[2] for slide in slides}) > len(commonest) else commonest
    techs = list(dict.fromkeys(slide[0] for slide in slides))
    figure, axes = canvas(8.5, 3.8, 1, 2, sharey=True)
    for one, what in zip(axes.flat, ("slides", "spots")):
        left = np.zeros(len(names))
        for colour, tech in zip(OKABE_ITO, techs):
            totals = Counter()
            for kind, _, tissue, spots in slides:
                if kind == tech:
                    totals[tissue if tissue in commonest else "others"] += spots if what == "spots" else 1
            values = np.array([totals[name] for name in names], float)
            one.barh(names, values, left=left, color=colour, label=tech)
            left += values
        for place, total in enumerate(left):
            one.text(total, place, f" {total:,.0f}", va="center", fontsize=7)
        one.set_xlim(0, left.max() * 1.18)
        one.set_xlabel(what)
        one.xaxis.set_major_formatter(lambda value, _: f"{value / 1e6:g} M" if value >= 1e5 else f"{value:,g}")
    axes[0, 0].invert_yaxis()
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(techs))
    return figure
