"""A benchmark's results as tables: encoders by tasks, and how much each encoder is above the first."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from stimage.scores.intervals import mean_interval, paired_difference, told


def by_task(found: pd.DataFrame) -> list[list[str]]:
    """Return a line a head and encoder, a column a task, and the mean over tasks; the best mean first.

    Parameters
    ----------
    found
        What `benchmark` returns.
    """
    tasks, lines = list(dict.fromkeys(found.task)), []
    for (head, encoder), rows in found.groupby(["head", "encoder"], sort=False):
        of = rows.set_index("task")
        cells = [f"{of.pearson[task]:.3f} ± {of['std'][task]:.3f}" for task in tasks]
        mean = float(np.mean(of.pearson[tasks].to_numpy(float)))
        lines.append((str(head), -mean, [str(head), str(encoder), *cells, f"{mean:.3f}"]))
    return [["head", "encoder", *tasks, "mean"], *(line for *_, line in sorted(lines, key=lambda it: it[:2]))]


def above_first(found: pd.DataFrame, first: str) -> list[list[str]]:
    """Return a line a head and other encoder: how much it is above the first, over tasks, with the interval."""
    return [["head", "encoder", "above", "difference", "95 % interval over tasks"], *_differences(found, first)]


def _differences(found: pd.DataFrame, first: str) -> Iterator[list[str]]:
    for head, rows in found.groupby("head"):
        of = {str(encoder): some.set_index("task").pearson.astype(float) for encoder, some in rows.groupby("encoder")}
        tasks = of[first].index.tolist()
        base = mean_interval(of[first].to_numpy(), tasks)
        for encoder, r in of.items():
            if encoder != first:
                apart = paired_difference(mean_interval(r[tasks].to_numpy(), tasks), base)
                yield [str(head), encoder, first, f"{apart['value']:+.3f}", told(apart)]
