"""Charts of results and of the collection: bars, boxes and pies."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stimage.core.errors import DataError
from stimage.figures.colours import GREY, OKABE_ITO
from stimage.figures.style import canvas, shortened, styled

CLASSIFIER_LABELS = {
    "embedding": "embedding",
    "majority": "majority",
    "position": "position only",
    "colour": "colour",
    "nuclei": "nuclei",
}
SCORES = {"silhouette": "silhouette (higher is better)", "calinski_harabasz": "Calinski-Harabasz (higher is better)",
          "davies_bouldin": "Davies-Bouldin (lower is better)"}  # fmt: skip
SPECIES_ORDER = ("human", "mouse", "human & mouse")
MOST_TISSUES = 10


@styled
def f1_bars(results: Mapping[str, Mapping], metric: str = "macro_f1") -> Figure:
    """Draw a bar with its deviation for each results.json of linear_probe (by model), the baselines beside it.

    Raises
    ------
    DataError
        If results are of several protocols, or lack the figure.
    """
    protocols = {model: (r["protocol"]["name"], r["protocol"]["config"].get("split")) for model, r in results.items()}
    if len(set(protocols.values())) > 1:
        raise DataError(f"results are of several protocols: {protocols}; draw those of one in one figure")
    pooled = {model: _pooled(model, r) for model, r in results.items()}
    names = [name for name in CLASSIFIER_LABELS if all(name in entry for entry in pooled.values())]
    figure, axes = canvas(max(3.5, 1.3 + 0.45 * len(names) * len(pooled)), 3.2)
    one, width = axes[0, 0], 0.8 / len(names)
    for k, name in enumerate(names):
        known = [entry[name][metric] for entry in pooled.values()]
        means = [figure_of["mean"] or 0 for figure_of in known]
        stds = [figure_of["std"] or 0 for figure_of in known]
        places = np.arange(len(known)) + (k - (len(names) - 1) / 2) * width
        one.bar(places, means, width, yerr=stds, color=GREY if name == "majority" else OKABE_ITO[k], capsize=2,
                error_kw={"linewidth": 0.8}, label=CLASSIFIER_LABELS[name])  # fmt: skip
    one.set_xticks(range(len(pooled)), [shortened(model, 26) for model in pooled], rotation=30 * (len(pooled) > 2))
    one.set_ylim(0, 1)
    one.set_ylabel(metric.replace("_", " ").replace("f1", "F1"))
    figure.legend(*one.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    protocol, split = next(iter(protocols.values()))
    one.set_title(f"{protocol}, split by {split}\nmean ± std over folds")
    return figure


def _pooled(model: str, results: Mapping) -> Mapping:
    entry = results["overall"].get("pooled", {})
    if "embedding" not in entry:
        raise DataError(f"{model}: its results are not of linear_probe, but of {results['protocol']['name']}")
    return entry


@styled
def score_boxes(results: Mapping[str, Mapping]) -> Figure:
    """Draw a box over slides for each of the three embedding scores and each results.json (by model).

    Raises
    ------
    DataError
        If results have no such scores.
    """
    figure, axes = canvas(9, 3, 1, len(SCORES))
    for one, (score, name) in zip(axes.flat, SCORES.items()):
        values = []
        for model, r in results.items():
            known = [entry.get(score) for entry in r["slides"].values()]
            known = [value["mean"] if isinstance(value, Mapping) else value for value in known if value is not None]
            if not known:
                raise DataError(f"{model}: no slide has the score {score!r}: its results are not of embedding_scores")
            values.append(known)
        boxes = one.boxplot(values, widths=0.5, patch_artist=True, medianprops={"color": "black"},
                            flierprops={"markersize": 3})  # fmt: skip
        for k, box in enumerate(boxes["boxes"]):
            box.set_facecolor(OKABE_ITO[k % 7])  # the eighth is black, as the medians are
        one.set_xticks(range(1, len(values) + 1), [shortened(model, 26) for model in results], rotation=30,
                       horizontalalignment="right", rotation_mode="anchor")  # fmt: skip
        one.set_title(name)
    figure.suptitle(f"scores by slide, {max(len(r['slides']) for r in results.values())} slides", fontsize=10)
    return figure


def parts_of(slides: Sequence[tuple[str, str, str, int]]) -> dict[str, list[str]]:
    """Return the technologies and the species of slides, in order, each only if there are several."""
    techs = list(dict.fromkeys(slide[0] for slide in slides))
    found = {_species(slide) for slide in slides}
    parts = {"technology": techs, "species": [name for name in (*SPECIES_ORDER, "other") if name in found]}
    return {kind: names for kind, names in parts.items() if len(names) > 1}


def _species(slide: tuple[str, str, str, int]) -> str:
    return slide[1] if slide[1] in SPECIES_ORDER else "other"


@styled
def collection_pies(slides: Sequence[tuple[str, str, str, int]]) -> Figure:
    """Draw pies of slides and of spots, by technology and by species, where these are several; see `parts_of`."""
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
    """Draw bars of slides and of spots of the ten commonest tissues, by technology; all others as one."""
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
        one.xaxis.set_major_formatter(lambda value, _: f"{value / 1e6:g} M" if value >= 1e5 else f"{value:g}")
    axes[0, 0].invert_yaxis()
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(techs))
    return figure
