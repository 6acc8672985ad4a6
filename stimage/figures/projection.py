"""Draw embeddings in two dimensions."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stimage.figures.colours import GREY, label_looks, legend_of, look_of
from stimage.figures.style import add_legend, canvas, styled


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
    every = [label for many in labels.values() for label in many]
    looks = label_looks(every)
    columns = min(3, len(points))
    rows = -(-len(points) // columns)
    figure, axes = canvas(3.2 * columns + 1.8, 3.2 * rows, rows, columns)
    for one in axes.flat[len(points) :]:
        one.set_axis_off()
    for one, (model, where) in zip(axes.flat, points.items()):
        scatter(one, where, labels[model], looks)
        one.set_title(f"{model}, {len(where):,} spots")
        one.set(xticks=[], yticks=[], xlabel=f"{method} 1", ylabel=f"{method} 2")
        one.spines[:].set(visible=True, color=GREY)
    add_legend(figure, legend_of(every, looks))
    return figure


def scatter(axes: Axes, points: np.ndarray, labels: Sequence[str | None], looks: dict) -> None:
    """Draw points (n x 2), those of rarer labels and of none below, the others mixed, so that none hides another."""
    side = float(np.clip(12_000 / len(points), 4, 20)) ** 0.5
    named = np.array([label in looks for label in labels], bool)
    mixed = np.random.default_rng(0).permutation(len(points))
    for part in filter(len, (mixed[~named[mixed]], mixed[named[mixed]])):
        colours, marked = zip(*(look_of(labels[k], looks) for k in part))
        edge = np.where(marked, 0.3 * side, 0)
        fills = ["white" if mark else colour for colour, mark in zip(colours, marked)]
        axes.scatter(points[part, 0], points[part, 1], (side - edge) ** 2, fills, linewidths=edge.tolist(),
                     edgecolors=colours, rasterized=True)  # fmt: skip
