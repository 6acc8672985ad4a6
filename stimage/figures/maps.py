"""Draw maps over the slide: labels, predicted labels, genes, and predicted genes beside the truth."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stimage.figures.colours import Look, label_looks, legend_of, look_of
from stimage.figures.rings import tinted
from stimage.figures.scale import colour_bar, colours_of, span_of
from stimage.figures.shapes import SlideImage, SpotShapes
from stimage.figures.spots import draw_spots
from stimage.figures.style import add_legend, canvas, styled
from stimage.figures.views import INSET, show_slide

MOST = 4  # maps of genes beside one another
SIDE, ON_IMAGE = 2.8, 4.5  # inches of a map's width; of one on the slide's image


@styled
def label_maps(
    title: str, shapes: SpotShapes, labels: Mapping[str, Sequence[str | None]], image: SlideImage | None = None
) -> Figure:
    """Draw a slide's labels, one map for each kind of them (such as truth and prediction).

    Parameters
    ----------
    labels
        Title of the map → n labels. The twenty commonest have looks of their own; see `label_looks`.
    image
        The image on which spots are rings. Without it, spots are discs on white, within the tissue's outline.
    """
    every = [label for many in labels.values() for label in many]
    looks = label_looks(every)
    figure, axes = canvas(*_inches(shapes, len(labels), 1, 2.3, image), 1, len(labels))
    for one, (name, many) in zip(axes.flat, labels.items()):
        _draw(one, shapes, [look_of(label, looks) for label in many], image)
        one.set_title(name)
    add_legend(figure, legend_of(every, looks))
    figure.suptitle(title, fontsize=10)
    return figure


@styled
def gene_maps(
    title: str, shapes: SpotShapes, genes: Mapping[str, np.ndarray], unit: str, image: SlideImage | None = None
) -> Figure:
    """Draw a map for each gene, by its title. Colours span all values but the extreme hundredths.

    Spots with the value NaN are pale, and the map's title counts them. ``image`` is as in `label_maps`.
    """
    columns = min(MOST, len(genes))
    rows = -(-len(genes) // columns)
    figure, axes = canvas(*_inches(shapes, columns, rows, 0.8 * columns, image), rows, columns)
    for one in axes.flat[len(genes) :]:
        one.set_axis_off()
    for one, (gene, values) in zip(axes.flat, genes.items()):
        colours = colours_of(span_of([values]))
        _draw(one, shapes, colours.to_rgba(values), image)
        shown = tinted(colours, image.view, shapes) if image else colours
        colour_bar(figure, one, shown, [values], unit)
        unknown = int((~np.isfinite(values)).sum())
        one.set_title(f"{gene}, {unknown} spot{'s' * (unknown > 1)} without a value" if unknown else gene)
    figure.suptitle(title, fontsize=10)
    return figure


@styled
def prediction_maps(
    title: str,
    shapes: SpotShapes,
    genes: Sequence[str],
    truth: np.ndarray,
    predicted: np.ndarray,
    scores: np.ndarray,
    unit: str,
) -> Figure:
    """Draw the best, the middle and the worst predicted of the genes that vary, truth above prediction.

    The two maps of a gene share one colour scale, so a colour means the same value in both, and a prediction that
    varies too little is seen. Pearson's r, in the title, does not show that: it measures the pattern alone.

    Parameters
    ----------
    truth, predicted
        n x genes.
    scores
        Pearson's r of each gene; NaN where a gene does not vary.
    unit
        Unit of the values, for the colour bars.
    """
    order = [k for k in np.argsort(-scores, kind="stable") if np.isfinite(scores[k])]
    shown = list(dict.fromkeys([order[0], order[len(order) // 2], order[-1]])) if order else [0]
    figure, axes = canvas(*_inches(shapes, len(shown), 2, 0.8 * len(shown)), 2, len(shown))
    for column, k in zip(axes.T, shown):
        both = [truth[:, k], predicted[:, k]]
        colours = colours_of(span_of(both))
        for one, values in zip(column, both):
            draw_spots(one, shapes, colours.to_rgba(values))
        colour_bar(figure, column, colours, both, unit)
        column[0].set_title(f"{genes[k]}, r = {scores[k]:.2f}")
    for one, name in zip(axes[:, 0], ("measured", "predicted")):
        one.set_ylabel(name)
    figure.suptitle(title, fontsize=10)
    return figure


def _draw(
    axes: Axes, shapes: SpotShapes, colours: np.ndarray | Sequence[Look], image: SlideImage | None = None
) -> None:
    if image is None:
        draw_spots(axes, shapes, colours)
    else:
        show_slide(axes, image, shapes, colours)


def _inches(
    shapes: SpotShapes, columns: int, rows: int, beside: float, image: SlideImage | None = None
) -> tuple[float, float]:
    """Return a figure's size for maps of the slide's shape, with room for titles, scale bars and what is beside."""
    left, top, right, bottom = shapes.box
    tall, side = float(np.clip((bottom - top) / (right - left), 0.5, 2)), ON_IMAGE if image else SIDE
    below = INSET + 0.15 if image and image.beside else 0
    return max(side * columns + beside, 4.8), (side * tall + 0.35 + below) * rows + 0.6
