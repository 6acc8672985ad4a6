"""Run once with each of several seeds: mean and standard deviation of the scores."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stimage.core.results import read_results, record_results
from stimage.training.results import PACKAGES
from stimage.training.settings.groups import Settings
from stimage.training.validation import LINE_SCORES

NO_SCORES = ("epoch", "step", "spots_per_second", "waiting_share")  # of an epoch


def seeded(settings: Settings, seed: int) -> Settings:
    """Return the settings of the run with this seed."""
    return replace(settings, run=replace(settings.run, seed=seed, seeds=()))


def folder_of(out: Path, seed: int) -> Path:
    """Return the folder of the run with a seed."""
    return out / f"seed-{seed}"


def write_seeds(out: Path, settings: Settings, seconds: float) -> dict[str, dict[str, float | None]]:
    """Write OUT/results.json from the results of each seed; return mean and standard deviation by score."""
    found = {seed: read_results(folder_of(out, seed), ("overall", "history")) for seed in settings.run.seeds}
    overall = spread([one["overall"] for one in found.values()])
    first = next(iter(found.values()))
    record_results(
        out, "settings", settings.record, settings.run.seeds, PACKAGES, seconds,
        spots=first["spots"], slides=first["slides"], contents=first["contents"],
        runs={str(seed): folder_of(out, seed).name for seed in found},
        by_seed={str(seed): one["overall"] for seed, one in found.items()}, overall=overall,
        history=[{"seed": seed, **scores} for seed, one in found.items() for scores in one["history"]],
    )  # fmt: skip
    return overall


def spread(scores: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Return mean and std of each score that all have; std, the sample's, is None of one."""
    names = [name for name in scores[0] if name not in NO_SCORES and all(one.get(name) is not None for one in scores)]
    values = {name: [one[name] for one in scores] for name in names}
    return {name: {"mean": float(np.mean(some)), "std": float(np.std(some, ddof=1)) if len(some) > 1 else None}
            for name, some in values.items()}  # fmt: skip


def seeds_line(overall: Mapping[str, Mapping[str, float | None]], runs: int) -> str:
    """Return a line with the scores over all seeds."""
    shown = [(word, overall[name]) for name, (word, *_) in LINE_SCORES.items() if name in overall]
    said = [f"{word} {one['mean']:.3f}" + ("" if one["std"] is None else f" ± {one['std']:.3f}") for word, one in shown]
    return f"{runs} seeds, mean ± std:  " + "  ".join(said)
