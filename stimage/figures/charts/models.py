"""Draw several models on one sheet: their probes, their scores by slide, their embeddings, and a slide's labels."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch

from stimage.figures.charts.bars import pooled_scores
from stimage.figures.charts.boxes import SCORES, draw_boxes, model_colours, slide_looks, slide_scores
from stimage.figures.colours import label_looks, legend_of, look_of
from stimage.figures.projection import scatter
from stimage.figures.shapes import LabelledSlide
from stimage.figures.style import add_legend, shortened, styled
from stimage.figures.views import show_slide

WIDTH = 13  # inches


@styled
def models_sheet(
    probes: Mapping[str, Mapping],
    scores: Mapping[str, Mapping],
    points: Mapping[str, np.ndarray],
    labels: Mapping[str, Sequence[str | None]],
    slide: LabelledSlide | None = None,
) -> Figure:
    """Draw a sheet that compares models, after figure 3 of the data set's authors.

    Panel a has the macro-F1 of the probes with its deviation, panel b the three scores of each slide, panel c the
    labels on a slide's image, if it is given. The last panels have the embeddings in the plane, one panel for each
    model.

    Parameters
    ----------
    probes, scores
        results.json of linear_probe and of embedding_scores, by model, in the same order.
    points, labels
        By model: n x 2, and n labels.
    slide
        The slide of panel c.

    Raises
    ------
    DataError
        If results are of other protocols.
    """
    columns = max(4, len(points)) if len(points) <= 7 else 7
    rows = -(-len(points) // columns)
    figure = Figure((WIDTH, 3.6 + rows * (WIDTH - 2) / columns * 1.1), layout="constrained")
    (top,), (bottom,) = figure.subfigures(2, 1, squeeze=False, height_ratios=[3.6, rows * (WIDTH - 2) / columns * 1.1])
    (parts,) = top.subfigures(1, 3 if slide else 2, squeeze=False, width_ratios=[1, 3.4, 1.6] if slide else [1, 3.4])
    _bars(parts[0], probes)
    _boxes(parts[1], scores)
    every = [label for many in (*labels.values(), slide.labels if slide else ()) for label in many]
    looks = label_looks(every)
    if slide:
        axes = parts[2].subplots()
        show_slide(axes, slide.image, slide.shapes, [look_of(label, looks) for label in slide.labels])
        axes.set_title("c", loc="left", fontweight="bold")
        axes.set_title(shortened(slide.name, 30), fontsize=8)
    panels = bottom.subplots(rows, columns, squeeze=False)
    for axes in panels.flat[len(points) :]:
        axes.set_axis_off()
    for axes, (model, where) in zip(panels.flat, points.items()):
        scatter(axes, where, labels[model], looks)
        axes.set(xticks=[], yticks=[], box_aspect=1)
        axes.set_xlabel(shortened(model, 26))
        axes.spines[:].set(visible=True, color="#999999")
    panels[0, 0].set_title("d" if slide else "c", loc="left", fontweight="bold")
    entries = legend_of(every, looks)
    if len(points) < panels.size:
        add_legend(panels.flat[len(points)], entries, loc="center left")
    else:
        add_legend(bottom, entries)
    return figure


def _bars(part: SubFigure, probes: Mapping[str, Mapping]) -> None:
    axes, colours = part.subplots(), model_colours(probes)
    pooled = [pooled_scores(model, one)["embedding"]["macro_f1"] for model, one in probes.items()]
    means, stds = (np.array([one[key] for one in pooled], float) for key in ("mean", "std"))
    axes.bar(range(len(means)), means, 0.8, yerr=stds, color=colours, capsize=2, error_kw={"linewidth": 0.8})
    axes.set(xticks=[], ylim=(0, 1), ylabel="macro-F1, mean ± std over folds")
    axes.set_title("a", loc="left", fontweight="bold")
    handles = [Patch(color=colour) for colour in colours]
    part.legend(handles, [shortened(model, 26) for model in probes], loc="outside lower left", fontsize=8)


def _boxes(part: SubFigure, scores: Mapping[str, Mapping]) -> None:
    looks = slide_looks(scores)
    panels = part.subplots(1, len(SCORES))
    for axes, (score, name) in zip(panels, SCORES.items()):
        draw_boxes(axes, slide_scores(scores, score), looks)
        axes.set(xticks=[], title=name)
    panels[0].set_title("b", loc="left", fontweight="bold")
    if looks:
        add_legend(part, list(looks.items()), loc="outside lower center", ncols=3)
