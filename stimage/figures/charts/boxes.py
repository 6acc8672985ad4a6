"""Draw embedding scores as boxes, with a point for each slide."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stimage.core.errors import DataError
from stimage.figures.colours import GREY, LOOKS, OKABE_ITO, Look, label_looks
from stimage.figures.style import add_legend, canvas, shortened, styled

SCORES = {"silhouette": "silhouette\n(higher is better)", "calinski_harabasz": "Calinski-Harabasz\n(higher is better)",
          "davies_bouldin": "Davies-Bouldin\n(lower is better)"}  # fmt: skip
WIDTH = 0.6  # of a box, where two models are 1 apart


@styled
def score_boxes(results: Mapping[str, Mapping]) -> Figure:
    """Draw the three embedding scores: a box over slides for each results.json (by model), with a point for each slide.

    A slide has the same colour and the same place in each box. If there are more slides than colours, all points are
    grey.

    Raises
    ------
    DataError
        If results lack these scores.
    """
    looks = slide_looks(results)
    figure, axes = canvas(9 + 2 * bool(looks), 3.4, 1, len(SCORES))
    for one, (score, name) in zip(axes.flat, SCORES.items()):
        draw_boxes(one, slide_scores(results, score), looks)
        one.set_xticks(range(1, len(results) + 1), [shortened(model, 26) for model in results], rotation=30,
                       horizontalalignment="right", rotation_mode="anchor")  # fmt: skip
        one.set_title(name)
    if looks:
        add_legend(figure, list(looks.items()))
    figure.suptitle(f"scores by slide, {max(len(r['slides']) for r in results.values())} slides", fontsize=10)
    return figure


def slide_scores(results: Mapping[str, Mapping], score: str) -> dict[str, dict[str, float]]:
    """Return the score of each slide that has it, by model; `DataError` if a model has none."""
    found = {}
    for model, one in results.items():
        known = {slide: entry[score] for slide, entry in one["slides"].items() if entry.get(score) is not None}
        found[model] = {slide: v["mean"] if isinstance(v, Mapping) else v for slide, v in known.items()}
        if not known:
            raise DataError(f"{model}: no slide has the score {score!r}: its results are not of embedding_scores")
    return found


def slide_looks(results: Mapping[str, Mapping]) -> dict[str, Look]:
    """Return the look of each slide's points; none of more slides than there are looks."""
    slides = {slide for one in results.values() for slide in one["slides"]}
    return label_looks(slides) if len(slides) <= len(LOOKS) else {}


def draw_boxes(axes: Axes, values: Mapping[str, Mapping[str, float]], looks: Mapping[str, Look]) -> None:
    """Draw a box for each model, in its colour, and its slides' points over it."""
    boxes = axes.boxplot([[*one.values()] for one in values.values()], widths=WIDTH, showfliers=False,
                         medianprops={"color": "black"}, patch_artist=True)  # fmt: skip
    for colour, box in zip(model_colours(values), boxes["boxes"]):
        box.set(facecolor=f"{colour}40", edgecolor=colour, linewidth=1.2)
    slides = sorted({slide for one in values.values() for slide in one}, key=[*looks].index if looks else None)
    places = dict(zip(slides, np.linspace(-0.35, 0.35, len(slides)) * WIDTH if len(slides) > 1 else [0.0]))
    for at, one in enumerate(values.values(), 1):
        for slide, value in one.items():
            look = looks.get(slide, Look(GREY))
            edge, fill = (look.colour, "white") if look.marked else ("black", look.colour)
            axes.plot(at + places[slide], value, "o", markersize=4, markeredgecolor=edge, markerfacecolor=fill,
                      markeredgewidth=1.6 if look.marked else 0.5, gid=f"point of {slide}")  # fmt: skip


def model_colours(models: Sequence[str] | Mapping) -> list[str]:
    """Return a colour for each model; not the eighth of Okabe and Ito, black, which medians have."""
    return [OKABE_ITO[k % 7] for k in range(len(models))]
