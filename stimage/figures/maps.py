"""Maps over the slide: labels, predicted labels, genes, and predicted genes beside the truth."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stimage.figures.colours import GREY, OKABE_ITO
from stimage.figures.style import add_legend, canvas, draw_spots, label_styles, styled


@styled
def label_maps(
    title: str, xy: np.ndarray, r: np.ndarray, labels: Mapping[str, Sequence[str | None]], square: bool = False
) -> Figure:
    """Draw a slide's labels, one map for each kind of them (such as truth and prediction); the eight commonest.

    Parameters
    ----------
    xy, r
        n x 2 and n, pixels of the slide image.
    labels
        By the map's title: n labels.
    """
    styles = label_styles([label for many in labels.values() for label in many], len(OKABE_ITO))
    figure, axes = canvas(*_inches(xy, len(labels), 1), 1, len(labels))
    for one, (name, many) in zip(axes.flat, labels.items()):
        draw_spots(one, xy, r, np.array([styles[label][0] if label in styles else GREY for label in many]), square)
        one.set_title(name)
    add_legend(figure, styles, any(label not in styles for many in labels.values() for label in many))
    figure.suptitle(title, fontsize=10)
    return figure


@styled
def gene_maps(
    title: str, xy: np.ndarray, r: np.ndarray, genes: Mapping[str, np.ndarray], unit: str, square: bool = False
) -> Figure:
    """Draw a gene in each map, in viridis from the lowest value to the 99th percentile."""
    figure, axes = canvas(*_inches(xy, len(genes), 1, 0.3), 1, len(genes))
    for one, (gene, values) in zip(axes.flat, genes.items()):
        _coloured(figure, one, xy, r, values, _range(values), square, unit)
        one.set_title(gene)
    figure.suptitle(title, fontsize=10)
    return figure


@styled
def prediction_maps(
    title: str,
    xy: np.ndarray,
    r: np.ndarray,
    genes: Sequence[str],
    truth: np.ndarray,
    predicted: np.ndarray,
    scores: np.ndarray,
    square: bool = False,
) -> Figure:
    """Draw the best, the middle and the worst predicted of the genes that vary, truth above prediction.

    Each map has its own scale: what is compared is the pattern, which is what r measures.

    Parameters
    ----------
    truth, predicted
        n x genes.
    scores
        Pearson's r of each gene; NaN where a gene does not vary.
    """
    order = [k for k in np.argsort(-scores, kind="stable") if np.isfinite(scores[k])]
    shown = list(dict.fromkeys([order[0], order[len(order) // 2], order[-1]])) if order else [0]
    figure, axes = canvas(*_inches(xy, len(shown), 2, 0.3), 2, len(shown))
    for column, k in enumerate(shown):
        for row, values in enumerate((truth[:, k], predicted[:, k])):
            _coloured(figure, axes[row, column], xy, r, values, _range(values), square, "")
        axes[0, column].set_title(f"{genes[k]}, r = {scores[k]:.2f}")
    for row, name in enumerate(("measured", "predicted")):
        axes[row, 0].set_ylabel(name)
    figure.suptitle(title, fontsize=10)
    return figure


def _coloured(
    figure: Figure, axes: Axes, xy: np.ndarray, r: np.ndarray, values: np.ndarray, span: tuple, square: bool, unit: str
) -> None:
    colours = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(*span), "viridis")
    draw_spots(axes, xy, r, colours.to_rgba(np.asarray(values, float)), square)
    bar = figure.colorbar(colours, ax=axes, shrink=0.75, aspect=25, pad=0.02, label=unit)
    bar.outline.set_visible(False)


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = float(np.min(values)), float(np.quantile(values, 0.99))
    return low, high if high > low else max(float(np.max(values)), low + 1e-6)


def _inches(xy: np.ndarray, columns: int, rows: int, beside: float = 0.0) -> tuple[float, float]:
    """Return a figure's size for maps of the slide's shape, and room for titles and legend."""
    width, height = np.maximum(np.ptp(xy, axis=0), 1)
    tall = float(np.clip(height / width, 0.5, 2))
    return max((2.6 + 2.6 * beside) * columns + (0.0 if beside else 1.8), 4.8), 2.6 * tall * rows + 0.8
