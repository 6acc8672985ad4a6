"""The uncertainty of figures: intervals over the groups held out, and of the difference between two results."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import stdtrit  # scipy.stats has the same, and takes longer to import than pandas

LEAST = 6  # groups; of fewer, no interval is given
LEVEL = 0.95


def mean_interval(
    values: Sequence[float] | np.ndarray, groups: Sequence[str] | np.ndarray, of_known: bool = True
) -> dict:
    """Return the interval of a mean, as `group_interval` does.

    Parameters
    ----------
    values, groups
        A value and its group's name for each of n things, such as the score and the study of each slide.
    of_known
        True leaves NaN out. Otherwise one NaN makes the mean and its interval NaN.
    """
    values, groups = np.asarray(values, np.float64), np.asarray(groups, str)
    if not of_known and np.isnan(values).any():
        return group_interval(float("nan"), dict.fromkeys(np.unique(groups).tolist(), float("nan")))
    values, groups = values[known := ~np.isnan(values)], groups[known]
    names, own = np.unique(groups, return_inverse=True)
    sums, sizes = np.bincount(own, values, len(names)), np.bincount(own, minlength=len(names))
    with np.errstate(invalid="ignore"):
        rest = (sums.sum() - sums) / (sizes.sum() - sizes)
    return group_interval(float(values.mean()) if len(values) else float("nan"), dict(zip(names.tolist(), rest)))


def group_interval(value: float, without: Mapping[str, float]) -> dict:
    """Return the 95 % interval of a figure by the delete-one-group jackknife (Tukey 1958) and Student's t.

    Spots of a slide are alike, so slides, studies or patients are what chance draws: the interval says how the figure
    would vary over other such groups. Of the mean of a value a group it is Student's interval itself. A percentile
    bootstrap of five groups covers 85 % where 95 are meant; below six groups, none is given.

    Parameters
    ----------
    value
        The figure, of all groups.
    without
        Group → the figure without it.

    Returns
    -------
    dict
        ``value``; ``low`` and ``high``, NaN where there are fewer than 6 groups or a figure is NaN; ``groups``, their
        number; ``without``, as it is given: `paired_difference` needs it.
    """
    left = np.array(list(without.values()), np.float64)
    g, half = len(left), float("nan")
    if g >= LEAST:
        error = np.sqrt((g - 1) / g * ((left - left.mean()) ** 2).sum())
        half = float(stdtrit(g - 1, (1 + LEVEL) / 2) * error)
    return {"value": float(value), "low": value - half, "high": value + half, "groups": g, "without": dict(without)}


def paired_difference(one: Mapping, other: Mapping) -> dict:
    """Return the interval of the difference ``one`` - ``other`` of two figures of the same groups.

    A group that is hard for both cancels out in the difference, so its interval is narrower than either's.

    Parameters
    ----------
    one, other
        As `group_interval` returns them.

    Raises
    ------
    ValueError
        If they are of other groups.
    """
    if one["without"].keys() != other["without"].keys():
        raise ValueError("the two figures are of other groups, so that they are no pairs")
    without = {name: _number(left) - _number(other["without"][name]) for name, left in one["without"].items()}
    return group_interval(_number(one["value"]) - _number(other["value"]), without)


def told(interval: Mapping) -> str:
    """Return an interval in words: "0.412 to 0.517 (12 groups)", or why there is none."""
    groups = interval["groups"]
    if groups < LEAST:
        return f"too few groups to tell ({groups}; {LEAST} are needed)"
    if np.isnan(low := _number(interval["low"])):
        return "not known of all groups"
    return f"{low:.3f} to {interval['high']:.3f} ({groups} groups)"


def _number(value: float | None) -> float:
    """Return a number that results.json may have as null."""
    return float("nan") if value is None else value
