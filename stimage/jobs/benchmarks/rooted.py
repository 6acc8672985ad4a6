"""Run tasks on the slides of a root, and count the slides and spots of tasks."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from stimage.evaluation.saved.manifest import seal_all
from stimage.jobs.benchmarks.encoders import OFFICIAL
from stimage.jobs.benchmarks.naming import names_of
from stimage.jobs.benchmarks.running import RootBench, open_benchmark
from stimage.jobs.benchmarks.tasks import read_task_file, slides_in_meta, units_of
from stimage.jobs.roots import Root, open_unpublished
from stimage.slides.images.patches import Patch

UNIT_COLUMNS = ("task", "unit", "slides", "studies", "spots")


def show_tasks(root: str | Path | Root, tasks: str | Iterable[str]) -> pd.DataFrame:
    """Count the slides, studies and spots that tasks have in a root, or in a meta file alone.

    Parameters
    ----------
    root
        A folder laid out as the data set, a `Root` that `open_root` returned, or a meta file (.csv).
    tasks
        Names of shipped tasks, or YAML files.

    Returns
    -------
    pandas.DataFrame
        One row per task and unit, with the numbers of ``slides``, ``studies`` and ``spots``. The unit is "none" for a
        task that has no unit here. A meta file does not say which slides have labels, so all its slides are counted.

    Raises
    ------
    DataError
        If there is no such task.

    Examples
    --------
    >>> import stimage
    >>> stimage.show_tasks("sample", "stimage-bench").unit.tolist()
    ['none']
    """
    alone = isinstance(root, str | Path) and str(root).endswith(".csv")
    slides = slides_in_meta(str(root)) if alone else open_unpublished(root).slides
    rows: list[tuple] = []
    for task in map(read_task_file, names_of(tasks)):
        units = units_of(task, slides, with_labels=not alone)
        rows += [(task.name, one.name, len(one.slides), one.studies, one.spots) for one in units]
        rows += [] if units else [(task.name, "none", 0, 0, 0)]
    return pd.DataFrame(rows, columns=list(UNIT_COLUMNS))


def benchmark_root(
    root: str | Path | Root,
    encoders: str | Path | Iterable[str | Path],
    out: str | Path,
    tasks: str | Iterable[str],
    *,
    untrained: bool = True,
    seen: str = "error",
    dtype: str = OFFICIAL,
    patch: Patch | dict | str | None = None,
    upsample: bool = False,
    pyramid: bool = False,
    batch_size: int = 64,
    workers: int = 0,
    progress: bool | None = False,
    **tower: Any,
) -> pd.DataFrame:
    """Compare many encoders by tasks on the slides of a root.

    Embeddings are made once for each encoder and slide. After an interruption, the same call continues.

    Parameters
    ----------
    root
        A folder laid out as the data set, or a `Root` that `open_root` returned.
    encoders
        Encoders as `embed` takes them in ``model``, or finished embeddings of the root's spots: a folder or a file that
        `embed` wrote.
    out
        The folder to write: embeddings, ``TASK/UNIT/ENCODER`` with results.json, and the digests of all files.
    tasks
        Names of shipped tasks, or YAML files.
    untrained
        Add each encoder with random weights as a baseline.
    seen
        What to do with slides that an encoder was trained on: "error", "score" them all the same, or "drop", which
        leaves them out for all encoders.
    dtype
        Precision of the encoders: "float32", "bfloat16" or "float16". "official" takes the precision that a preset has,
        and float32 for other encoders.
    patch, upsample, pyramid, batch_size, workers
        Patches and reading, as `embed` takes them.
    progress
        True shows a progress bar, None shows one only on a terminal.
    **tower
        ``pooling``, ``size``, ``mean``, ``std``, ``model_args`` and ``trust_remote_code``, as `embed` takes them.

    Returns
    -------
    pandas.DataFrame
        One row per task, unit and encoder: the name of the task's ``figure``, its ``value`` and 95 % interval, its
        share ``of_ceiling`` where that is known, and the folder of the ``results`` ("" for an encoder that lacks the
        joint space of a task). Each baseline of a task has a row, "nuclei" only where the root has the cells of all
        slides. Units with the same ``group`` share slides, also across tasks.

    Raises
    ------
    DataError
        If a task has no unit in the root, an encoder can't be loaded, embeddings lack spots or belong to another patch,
        or a unit can't be scored.

    Examples
    --------
    >>> import stimage
    >>> slides = "select: {species: human, tech: [ST, Visium]}"
    >>> text = f"{{job: predict, {slides}, options: {{panel: [ERBB2]}}, metric: pooled.pearson}}"
    >>> _ = open("erbb2.yaml", "w").write(text)
    >>> stimage.benchmark_root("sample", "clip", "out", "erbb2.yaml").encoder.tolist()
    ['clip', 'untrained:clip']
    """
    asked = {"patch": patch, "upsample": upsample, "pyramid": pyramid}
    how = {"batch_size": batch_size, "workers": workers, "dtype": dtype, **asked, **tower}
    bench: RootBench = open_benchmark(root, encoders, out, tasks, untrained, seen, **how)
    found = bench.run(progress)
    seal_all(bench.out)
    return found
