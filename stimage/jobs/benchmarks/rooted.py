"""Running tasks on a root's slides, and telling what tasks are of."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from stimage.jobs.benchmarks.encoders import OFFICIAL
from stimage.jobs.benchmarks.naming import names_of
from stimage.jobs.benchmarks.running import RootBench, open_benchmark
from stimage.jobs.benchmarks.tasks import read_task_file, slides_in_meta, units_of
from stimage.jobs.roots import Root, open_unpublished
from stimage.slides.images.patches import Patch

UNIT_COLUMNS = ("task", "unit", "slides", "studies", "spots")


def show_tasks(root: str | Path | Root, tasks: str | Iterable[str]) -> pd.DataFrame:
    """Tell which units tasks have, by a root or by a meta file (.csv) alone.

    Parameters
    ----------
    root
        What `open_root` takes or returns, or a meta file.
    tasks
        Names of shipped tasks, or YAML files.

    Returns
    -------
    pandas.DataFrame
        A row a task and unit: ``slides``, ``studies`` and ``spots``, their numbers; of a task without a unit here, the
        unit "none". By a meta file alone it is not known which slides have labels, and all are counted.

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
    """Run tasks on a root's slides with many encoders.

    Embeddings are made once for each encoder and slide. The same call goes on after an interruption.

    Parameters
    ----------
    root
        What `open_root` takes or returns.
    encoders
        As `embed` takes ``model``; or embeddings of the root's spots: a folder or a file, as `embed` writes them.
    out
        A folder to write: embeddings, and ``TASK/UNIT/ENCODER`` with results.json.
    tasks
        Names of shipped tasks, or YAML files.
    untrained
        Whether each encoder stands beside the same encoder with random weights.
    seen
        What to do with slides that an encoder was trained on: "error", "score", or "drop", which leaves them out for
        all encoders.
    dtype
        In which encoders run: "official" is a preset's own precision, and float32 of others; or "float32", "bfloat16",
        "float16".
    patch, upsample, pyramid, batch_size, workers
        As `embed` takes them.
    progress
        Whether to show a bar; None shows it on a terminal.
    **tower
        ``pooling``, ``size``, ``mean``, ``std``, ``model_args`` and ``trust_remote_code``, as `embed` takes them.

    Returns
    -------
    pandas.DataFrame
        A row a task, unit and encoder: the task's ``figure``, its ``value`` and 95 % interval, its share ``of_ceiling``
        where that is known, and the folder of the ``results``, "" of an encoder without the joint space that a task
        needs; and a row for each of the task's baselines, "nuclei" where the root has the cells of all slides. Units of
        one ``group``, of whatever tasks, share slides.

    Raises
    ------
    DataError
        If a task has no unit in the root, an encoder cannot be loaded, embeddings lack spots or are of another patch,
        or a unit cannot be scored.

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
    return bench.run(progress)
