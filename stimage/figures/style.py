"""The common parts of all figures: the style, the canvas, the legend of labels, and saving."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from stimage.core.files import replacing
from stimage.figures.colours import Look

STYLE: Any = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "pdf.fonttype": 42,
              "savefig.dpi": 200, "axes.titlesize": 9, "legend.frameon": False, "svg.hashsalt": "stimage"}  # fmt: skip
UNDATED: Any = {"png": {"Software": None}, "pdf": {"CreationDate": None}}  # the same figure has the same bytes


styled = matplotlib.rc_context(STYLE)  # a decorator of what draws


@styled
def save(figure: Figure, path: Path, kinds: Sequence[str] = ("png", "pdf")) -> list[Path]:
    """Write a figure as files of some kinds, and return their paths; text in a PDF stays text.

    Parameters
    ----------
    path
        The path without a suffix.
    """
    paths = [path.with_name(f"{path.name}.{kind}") for kind in kinds]
    for kind, file in zip(kinds, paths):
        with replacing(file) as unfinished:
            figure.savefig(unfinished, metadata=UNDATED[kind])
    return paths


def canvas(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, np.ndarray]:
    """Return a figure of so many inches, and its axes (rows x columns)."""
    figure = Figure((width, height), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.05))
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def add_legend(place: Figure | SubFigure | Axes, entries: Sequence[tuple[str, Look]], **options: Any) -> None:
    """Name labels at a figure's right, or where the options of matplotlib's ``legend`` say."""
    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=4.2 if look.marked else 5.5, markeredgecolor=look.colour,
               markerfacecolor="white" if look.marked else look.colour, markeredgewidth=1.8 if look.marked else 0)
        for _, look in entries
    ]  # fmt: skip
    names = [shortened(name) for name, _ in entries]
    where: Any = {"loc": "outside right center", "fontsize": 8} | options
    place.legend(handles, names, **where)


def shortened(text: str, longest: int = 34) -> str:
    """Return a text with … for its middle, if it is beyond so many characters: names often differ at their end."""
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]}…{text[half + 1 - longest :]}"
