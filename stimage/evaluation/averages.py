"""Averages of predictions' scores over slides and over folds, beside their baselines, with intervals over groups."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stimage.scores.intervals import mean_interval, paired_difference

AVERAGED = ("pearson", "of_ceiling", "mse")


def mean_and_std(values: Sequence[float]) -> dict:
    """Return the mean and the sample standard deviation (NaN of fewer than two)."""
    mean = float(np.mean(values)) if len(values) else float("nan")
    return {"mean": mean, "std": float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")}


def beside_baselines(scores: Mapping[str, dict]) -> dict:
    """Put the baselines' scores beside the embeddings'."""
    rest = {name: {key: values[key] for key in AVERAGED} for name, values in scores.items()}
    return scores["embeddings"] | {"baselines": {name: rest[name] for name in rest if name != "embeddings"}}


def finite(values: Sequence[float]) -> list[float]:
    """Return the values that are numbers."""
    return [value for value in values if np.isfinite(value)]


def mean_scores(by_slide: Mapping[str, dict], by_fold: Sequence[dict], groups: Mapping[str, str]) -> dict:
    """Average over slides, and over folds; a slide none of whose genes varies is left out, and counted.

    Intervals are over the groups that are held out, or folds; ``above`` has how much embeddings are above baselines.
    """
    of_slides = [(groups[name], scores) for name, scores in by_slide.items()]
    of_folds = [(tested_in(fold), fold) for fold in by_fold]
    result = {}
    for name, many in (("per_slide", of_slides), ("pooled", of_folds)):
        known = [(group, scores) for group, scores in many if np.isfinite(scores["pearson"])]
        names, scores = [group for group, _ in known], [one for _, one in known]
        result[name] = {"of": len(known), "left_out": len(many) - len(known), **_mean_of(scores, names)}
        result[name]["baselines"] = {
            baseline: _mean_of([one["baselines"][baseline] for one in scores], names)
            for baseline in ("gene_mean", "coordinates")
        }
        result[name]["above"] = _above(result[name])
    return {key: result["per_slide"][key] for key in ("pearson", "of_ceiling", "intervals")} | result


def _mean_of(many: Sequence[Mapping[str, float]], groups: Sequence[str]) -> dict:
    values = {key: [scores[key] for scores in many] for key in AVERAGED}
    means = {key: mean_and_std(finite(some)) for key, some in values.items()}
    return means | {"intervals": {key: mean_interval(some, groups) for key, some in values.items()}}


def _above(scores: Mapping[str, Any]) -> dict:
    """Return baseline → how much Pearson's r of the embeddings is above the baseline's, with its interval."""
    own = scores["intervals"]["pearson"]
    apart = {name: paired_difference(own, one["intervals"]["pearson"]) for name, one in scores["baselines"].items()}
    return {name: one["value"] for name, one in apart.items()} | {"intervals": apart}


def fold_intervals(by_fold: Sequence[dict]) -> dict:
    """Return the intervals, over folds, of scores whose mean over folds is reported."""
    names = [tested_in(fold) for fold in by_fold]
    return {key: mean_interval([fold[key] for fold in by_fold], names) for key in ("pearson", "of_ceiling")}


def tested_in(fold: Mapping[str, Any]) -> str:
    """Return the slides that a fold tests, as one name."""
    return ", ".join(fold["test"])
