"""Draw the results of probes as bars."""

from collections.abc import Mapping

import numpy as np
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


@styled
def f1_bars(results: Mapping[str, Mapping], metric: str = "macro_f1") -> Figure:
    """Draw a bar with its deviation for each results.json of linear_probe (by model), beside its baselines.

    Raises
    ------
    DataError
        If results are of several protocols, or lack the figure.
    """
    protocols = {model: (r["protocol"]["name"], r["protocol"]["config"].get("split")) for model, r in results.items()}
    if len(set(protocols.values())) > 1:
        raise DataError(f"results are of several protocols: {protocols}; draw those of one in one figure")
    pooled = {model: pooled_scores(model, r) for model, r in results.items()}
    names = [name for name in CLASSIFIER_LABELS if all(name in entry for entry in pooled.values())]
    figure, axes = canvas(max(3.5, 1.3 + 0.45 * len(names) * len(pooled)), 3.2)
    one, width = axes[0, 0], 0.8 / len(names)
    for k, name in enumerate(names):
        known = [entry[name][metric] for entry in pooled.values()]
        means, stds = (np.array([figure_of[key] for figure_of in known], float) for key in ("mean", "std"))
        places = np.arange(len(known)) + (k - (len(names) - 1) / 2) * width
        for place in places[np.isnan(means)]:
            one.text(place, 0.01, "not known", rotation=90, ha="center", va="bottom", fontsize=7)
        one.bar(places, means, width, yerr=stds, color=GREY if name == "majority" else OKABE_ITO[k], capsize=2,
                error_kw={"linewidth": 0.8}, label=CLASSIFIER_LABELS[name])  # fmt: skip
    one.set_xticks(range(len(pooled)), [shortened(model, 26) for model in pooled], rotation=30 * (len(pooled) > 2))
    one.set_ylim(0, 1)
    one.set_ylabel(metric.replace("_", " ").replace("f1", "F1"))
    figure.legend(*one.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    protocol, split = next(iter(protocols.values()))
    one.set_title(f"{protocol}, split by {split}\nmean ± std over folds")
    return figure


def pooled_scores(model: str, results: Mapping) -> Mapping:
    """Return the scores over all spots of a results.json of linear_probe; `DataError` if it is none."""
    entry = results["overall"].get("pooled", {})
    if "embedding" not in entry:
        raise DataError(f"{model}: its results are not of linear_probe, but of {results['protocol']['name']}")
    return entry
