"""Figures, as PNG and PDF, in colours that the colour-blind tell apart (Okabe and Ito, 2008; viridis)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection, PolyCollection
from matplotlib.figure import Figure

from stimage.figures.colours import GREY, OKABE_ITO, in_order_of_colours

MARKERS = "osD^vPX*"
DRAWN = 20_000  # spots; of more an even share is drawn
LABELS = 16  # colours times two markers; rarer labels are drawn as others
STYLE: Any = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "pdf.fonttype": 42,
              "savefig.dpi": 200, "axes.titlesize": 9, "legend.frameon": False, "svg.hashsalt": "stimage"}  # fmt: skip


styled = matplotlib.rc_context(STYLE)  # a decorator of what draws


@styled
def save(figure: Figure, path: Path) -> list[Path]:
    """Write a figure as PNG and as PDF, both without the date, so that the same figure has the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    paths = [path.with_name(path.name + suffix) for suffix in (".png", ".pdf")]
    figure.savefig(paths[0], metadata={"Software": None})
    figure.savefig(paths[1], metadata={"CreationDate": None})
    return paths


def canvas(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, np.ndarray]:
    """Return a figure of so many inches, and its axes (rows x columns)."""
    figure = Figure((width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def label_styles(labels: Sequence[str | None], most: int = LABELS) -> dict[str, tuple[str, str]]:
    """Return a colour and a marker for each of the commonest labels; of the ninth on the marker tells, too."""
    order = in_order_of_colours(labels, most)
    return {name: (OKABE_ITO[k % len(OKABE_ITO)], MARKERS[k // len(OKABE_ITO)]) for k, name in enumerate(order)}


def scatter_by_label(
    axes: Axes, points: np.ndarray, labels: Sequence[str | None], styles: Mapping, size: float
) -> None:
    """Draw points (n x 2), a colour for each label; those without one in grey, below."""
    labels = np.array([label if label in styles else "" for label in labels])
    x, y = points.T
    axes.scatter(x[labels == ""], y[labels == ""], s=size, c=GREY, linewidths=0, rasterized=True)
    for name, (colour, marker) in styles.items():
        of = labels == name
        axes.scatter(x[of], y[of], s=size, c=colour, marker=marker, linewidths=0, rasterized=True)


@styled
def projection_figure(
    points: Mapping[str, np.ndarray], labels: Mapping[str, Sequence[str | None]], method: str
) -> Figure:
    """Draw spots in two dimensions, a panel for each model, coloured by label.

    Parameters
    ----------
    points, labels
        By model: n x 2, and n labels.
    """
    styles = label_styles([label for many in labels.values() for label in many])
    columns = min(3, len(points))
    rows = -(-len(points) // columns)
    figure, axes = canvas(3.2 * columns + 1.8, 3.2 * rows, rows, columns)
    for one in axes.flat[len(points) :]:
        one.set_axis_off()
    for one, (model, where) in zip(axes.flat, points.items()):
        scatter_by_label(one, where, labels[model], styles, float(np.clip(8_000 / len(where), 2, 20)))
        one.set_title(f"{model}, {len(where):,} spots")
        one.set(xticks=[], yticks=[])
        one.spines[:].set(visible=True, color=GREY)
    add_legend(figure, styles, any(label not in styles for many in labels.values() for label in many))
    figure.suptitle(method, fontsize=10)
    return figure


def add_legend(figure: Figure, styles: Mapping, others: bool) -> None:
    """Name labels at the figure's right."""
    entries = list(styles.items()) + [("other or none", (GREY, "o"))] * others
    handles = [
        matplotlib.lines.Line2D([], [], color=colour, marker=marker, linestyle="", markersize=5)
        for _, (colour, marker) in entries
    ]
    figure.legend(handles, [shortened(name) for name, _ in entries], loc="outside right center", fontsize=8)


def shortened(text: str, longest: int = 28) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def draw_spots(axes: Axes, xy: np.ndarray, r: np.ndarray, colours: np.ndarray, square: bool = False) -> None:
    """Draw spots where they are on the slide, y downwards; x, y and r in pixels, colours as matplotlib's."""
    some = np.unique(np.linspace(0, len(xy) - 1, min(len(xy), DRAWN)).astype(int))
    xy, r, colours = xy[some], visible_radius(xy[some], r[some]), np.asarray(colours)[some]
    corners = xy[:, None] + r[:, None, None] * np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]])
    axes.add_collection(
        PolyCollection(corners, linewidths=0, facecolors=colours, rasterized=True) if square
        else EllipseCollection(2 * r, 2 * r, np.zeros(len(r)), units="x", linewidths=0, facecolors=colours,
                               offsets=xy, offset_transform=axes.transData, rasterized=len(r) > 3000)
    )  # fmt: skip
    edge = 2 * r.max()
    axes.set_xlim(xy[:, 0].min() - edge, xy[:, 0].max() + edge)
    axes.set_ylim(xy[:, 1].max() + edge, xy[:, 1].min() - edge)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def visible_radius(xy: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Return at least a hundredth of the slide's side over the root of the number of spots, so that none vanishes."""
    side = float(np.ptp(xy, axis=0).max()) if len(xy) > 1 else 1.0
    return np.maximum(r, 0.3 * side / max(len(xy) ** 0.5, 1))
