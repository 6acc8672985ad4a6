"""A benchmark's results as tables: encoders by tasks, and how much each encoder is above the first."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from stimage.evaluation.tables.comparing import compare_results
from stimage.evaluation.tables.forms import Score, score_cell
from stimage.scores.intervals import LEAST, mean_interval, told

NO_SPACE = "no joint space"
ALL = "all tasks"


def by_task(found: pd.DataFrame) -> list[list[str]]:
    """Return a line a head and encoder, a column a task, and the mean over tasks with its interval; the best first.

    Parameters
    ----------
    found
        What `benchmark` returns.
    """
    tasks, lines = list(dict.fromkeys(found.task)), []
    for (head, encoder), rows in found.groupby(["head", "encoder"], sort=False):
        of = rows.set_index("task")
        cells = [f"{of.pearson[task]:.3f} ± {of['std'][task]:.3f}" for task in tasks]
        values = of.pearson[tasks].to_numpy(float)
        mean, over = float(np.mean(values)), told(mean_interval(values, tasks, of_known=False))
        best = np.nan_to_num(-mean, nan=np.inf)
        lines.append((str(head), best, [str(head), str(encoder), *cells, f"{mean:.3f}", over]))
    heads = ["head", "encoder", *tasks, "mean", "95 % interval over tasks"]
    return [heads, *(line for *_, line in sorted(lines, key=lambda it: it[:2]))]


def above_first(found: pd.DataFrame, first: str) -> list[list[str]]:
    """Return a line a head and other encoder: how much it is above the first, over tasks, with the interval."""
    return [["head", "encoder", "above", "difference", "95 % interval over tasks"], *_differences(found, first)]


def by_unit(found: pd.DataFrame) -> list[list[str]]:
    """Return a line a task and unit, a column an encoder or baseline, of what `benchmark_root` returns.

    The column "groups" has the number of groups that intervals are over, or says that they are too few for any.
    """
    names, lines = list(dict.fromkeys(found.encoder)), []
    for (task, unit), rows in found.groupby(["task", "unit"], sort=False):
        of = {row["encoder"]: row for row in rows.to_dict("records")}
        cells = [_cell(of[name]) if name in of else "" for name in names]
        lines.append([str(task), str(unit), str(rows.slides.iloc[0]), _groups(rows), *cells])
    return [["task", "unit", "slides", "groups", *names], *lines]


def of_ceilings(found: pd.DataFrame) -> list[list[str]]:
    """Return the shares of noise ceilings that figures reach: a line a task and unit, or task and head, of which any is
    known, a column an encoder or baseline; the heads alone where none is known."""
    part, names, lines = "head" if "head" in found else "unit", list(dict.fromkeys(found.encoder)), []
    for (task, own), rows in found[found.of_ceiling.notna()].groupby(["task", part], sort=False):
        of = dict(zip(rows.encoder, rows.of_ceiling.astype(float)))
        lines.append([str(task), str(own), *(f"{of[name]:.3f}" if name in of else "" for name in names)])
    return [["task", part, *names], *lines]


def apart_by_unit(found: pd.DataFrame, encoders: Sequence[str]) -> list[list[str]]:
    """Return, of each task and unit, how much each later encoder is above the first, group by group."""
    lines = []
    scored = found[found.encoder.isin(encoders) & (found.results != "")]
    for (task, unit), rows in scored.groupby(["task", "unit"], sort=False):
        paths, names = list(map(Path, rows.results)), rows.encoder.tolist()
        compared = compare_results(paths, names, [str(rows.figure.iloc[0])])
        lines += [[str(task), str(unit), *line[1:]] for line in compared.differences[1:]]
    return [["task", "unit", "encoder", "above", "difference", "95 % interval"], *lines]


def over_units(found: pd.DataFrame, encoders: Sequence[str]) -> list[list[str]]:
    """Return a line a task and encoder or baseline: the mean over the task's units, and its interval.

    Then the same over all tasks: of the units of which each encoder has a figure, so that all means are of the same
    ones, and units that share slides are one group. Figures of several kinds go into that mean as they are.
    """
    lines = []
    for task, table, groups in tables_of(found, encoders):
        for name in map(str, table):
            values = table[name].to_numpy(float)
            lines.append([task, name, f"{values.mean():.3f}", str(len(values)), told(mean_interval(values, groups))])
    return [["task", "encoder", "mean", "units", "95 % interval over units"], *lines]


def apart_over_units(found: pd.DataFrame, encoders: Sequence[str]) -> list[list[str]]:
    """Return a line a task, and of all tasks, and a later encoder: how much it is above the first, over units."""
    lines = []
    for task, table, groups in tables_of(found, encoders):
        able = [name for name in encoders if name in table]  # none where no figure of an encoder is known
        for first, name in ((able[0], name) for name in able[1:]):
            apart = mean_interval((table[name] - table[first]).to_numpy(), groups)
            lines.append([task, name, first, f"{apart['value']:+.3f}", told(apart)])
    return [["task", "encoder", "above", "difference", "95 % interval over units"], *lines]


def tables_of(found: pd.DataFrame, encoders: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame, np.ndarray]]:
    """Yield each task, and then all of them: a column an encoder or baseline, a row a unit; and the units' groups."""
    tasks = list(dict.fromkeys(found.task))
    for name, some in [*((task, [task]) for task in tasks), *([(ALL, tasks)] if len(tasks) > 1 else [])]:
        rows = found[found.task.isin(some)]
        table = rows.pivot(index=["task", "unit"], columns="encoder", values="value").astype(float)
        table = table[[one for one in dict.fromkeys(rows.encoder) if one in table]]
        able = [one for one in encoders if table[one].notna().any()]
        table = table[table[able].notna().all(axis=1)].dropna(axis=1)
        if len(table) and len(table.columns):
            groups = rows.drop_duplicates(["task", "unit"]).set_index(["task", "unit"]).group
            # units of one task share no slides; that those of another task join them is of the mean over all alone
            yield name, table, (groups[table.index].to_numpy() if name == ALL else np.arange(len(table)))


def _groups(rows: pd.DataFrame) -> str:
    """Return the numbers of groups of a line's figures, in words; "" where none has groups."""
    known = sorted({int(number) for number in rows.groups.dropna()})
    enough = [str(number) for number in known if number >= LEAST]
    few = [str(number) for number in known if number < LEAST]
    return ", ".join(enough + ([f"too few groups to tell ({' or '.join(few)}; {LEAST} are needed)"] if few else []))


def _cell(row: dict) -> str:
    if not row["results"]:
        return NO_SPACE
    return score_cell(Score("", _known(row["value"]), None, {key: _known(row[key]) for key in ("low", "high")}))


def _known(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else float(value)


def _differences(found: pd.DataFrame, first: str) -> Iterator[list[str]]:
    for head, rows in found.groupby("head"):
        of = {str(encoder): some.set_index("task").pearson.astype(float) for encoder, some in rows.groupby("encoder")}
        tasks = of[first].index.tolist()
        for encoder, r in of.items():
            if encoder != first:
                apart = mean_interval((r - of[first])[tasks].to_numpy(), tasks)  # of the tasks that are known of both
                yield [str(head), encoder, first, f"{apart['value']:+.3f}", told(apart)]
