"""Scores of predictions, and their averages over slides and folds, beside baselines, with intervals over groups."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stimage.scores.ceilings import Ceilings
from stimage.scores.intervals import mean_interval, paired_difference
from stimage.scores.ridge import fair_pearson
from stimage.slides.splits.groups import merge_groups

AVERAGED = ("pearson", "of_ceiling", "mse")


def fair_scores(truth: np.ndarray, predicted: np.ndarray, ceilings: Ceilings) -> dict:
    """Score predictions of many genes (n x genes), beside their noise ceilings.

    A gene that does not vary in the truth is left out of the mean, and counted; a prediction that does not vary where
    the truth does scores 0. So the mean is NaN only if no gene varies.
    """
    r = fair_pearson(truth, predicted)
    known = ~np.isnan(r)
    return {
        "n": len(truth),
        "pearson": float(r[known].mean()) if known.any() else float("nan"),
        "mse": float(np.mean((np.asarray(truth, np.float64) - predicted) ** 2)),
        "genes": int(known.sum()),
        "constant_genes": int((~known).sum()),
    } | beside_ceiling(r, ceilings)


def beside_ceiling(r: np.ndarray, ceilings: Ceilings) -> dict:
    """Return what share of the noise ceiling correlations reach (r: genes).

    Returns
    -------
    dict
        ``ceiling``, the mean over the genes whose ceiling is known, and ``of_ceiling``, their mean r divided by it: NaN
        if there is no such gene; ``ceiling_genes``, their number.
    """
    both = np.isfinite(r) & np.isfinite(ceilings.known)
    mean = float(ceilings.known[both].mean()) if both.any() else float("nan")
    share = float(r[both].mean()) / mean if both.any() else float("nan")
    return {"ceiling": mean, "of_ceiling": share, "ceiling_genes": int(both.sum())}


def gene_ceilings(genes: Sequence[str], r: np.ndarray, ceilings: Ceilings) -> dict[str, dict]:
    """Return gene → its noise ceiling, NaN where it is not known, its standard error, and r as a share of it."""
    rows = zip(genes, ceilings.known.tolist(), ceilings.error.tolist(), (r / ceilings.known).tolist())
    return {gene: {"ceiling": value, "error": error, "of_ceiling": share} for gene, value, error, share in rows}


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

    Intervals are over the groups that are held out, or over folds, where folds that test slides of one group count as
    one. ``above`` has how much embeddings are above baselines.
    """
    of_slides = [(groups[name], scores) for name, scores in by_slide.items()]
    of_folds = list(zip(_groups_of_folds(by_fold, groups), by_fold))
    result = {}
    for name, many in (("per_slide", of_slides), ("pooled", of_folds)):
        known = [(group, scores) for group, scores in many if np.isfinite(scores["pearson"])]
        names, scores = [group for group, _ in known], [one for _, one in known]
        result[name] = {"of": len(known), "left_out": len(many) - len(known), **mean_of(scores, names)}
        result[name]["baselines"] = {
            baseline: mean_of([one["baselines"][baseline] for one in scores], names)
            for baseline in many[0][1]["baselines"]
        }
        result[name]["above"] = above(result[name]["intervals"]["pearson"], result[name]["baselines"])
    return {key: result["per_slide"][key] for key in ("pearson", "of_ceiling", "intervals")} | result


def mean_of(many: Sequence[Mapping[str, float]], groups: Sequence[str]) -> dict:
    """Return the means of figures, their standard deviations, and their intervals over groups, one each."""
    values = {key: [scores[key] for scores in many] for key in AVERAGED}
    means = {key: mean_and_std(finite(some)) for key, some in values.items()}
    return means | {"intervals": {key: mean_interval(some, groups) for key, some in values.items()}}


def above(own: Mapping, baselines: Mapping[str, Mapping[str, Any]]) -> dict:
    """Return baseline → how much Pearson's r (``own``, an interval) is above the baseline's, with its interval."""
    apart = {name: paired_difference(own, one["intervals"]["pearson"]) for name, one in baselines.items()}
    return {name: one["value"] for name, one in apart.items()} | {"intervals": apart}


def above_known(own: Sequence[float], baselines: Mapping[str, Sequence[float]], groups: Sequence[str]) -> dict:
    """Return `above` of values, one a group (n), over the groups of which both are numbers."""
    apart = {}
    for name, other in baselines.items():
        known = np.isfinite(own) & np.isfinite(other)
        pair = (mean_interval(np.asarray(some)[known], np.asarray(groups)[known]) for some in (own, other))
        apart[name] = paired_difference(*pair)
    return {name: one["value"] for name, one in apart.items()} | {"intervals": apart}


def fold_intervals(by_fold: Sequence[dict]) -> dict:
    """Return the intervals, over folds, of scores whose mean over folds is reported: NaN of an r that is NaN in one."""
    names = [tested_in(fold) for fold in by_fold]
    return {key: mean_interval([fold[key] for fold in by_fold], names, of_known=key != "pearson")
            for key in ("pearson", "of_ceiling")}  # fmt: skip


def _groups_of_folds(by_fold: Sequence[dict], groups: Mapping[str, str]) -> list[str]:
    """Return a name for each fold, the same for folds that test slides of one group, directly or through others."""
    own = merge_groups({k: tuple(groups.get(name, name) for name in fold["test"]) for k, fold in enumerate(by_fold)})
    first: dict[str, str] = {}
    return [first.setdefault(own[k], tested_in(fold)) for k, fold in enumerate(by_fold)]


def tested_in(fold: Mapping[str, Any]) -> str:
    """Return the slides that a fold tests, as one name."""
    return ", ".join(fold["test"])
