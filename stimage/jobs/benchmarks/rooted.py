"""Running tasks on a root's slides: each encoder embeds once, and each unit is scored by the task's job."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from stimage.core.errors import DataError, shown
from stimage.core.files import write_text
from stimage.core.results import RESULTS, as_json, read_results
from stimage.evaluation.embedding import MARKER
from stimage.evaluation.tables.forms import score_items
from stimage.jobs.benchmarks.dealt import predict_dealt
from stimage.jobs.benchmarks.naming import folder_name, names_of
from stimage.jobs.benchmarks.tasks import Task, Unit, read_task_file, slides_in_meta, units_of
from stimage.jobs.embedding import embed
from stimage.jobs.prediction import predict
from stimage.jobs.probing import probe
from stimage.jobs.roots import Root, open_root, open_unpublished

RUNS: dict[str, Callable] = {"predict": predict, "predict_dealt": predict_dealt, "probe": probe}
ASKED = "asked.json"
OURS = ("root", "embeddings", "out", "progress")  # arguments of jobs that no task may set
COLUMNS = ("task", "unit", "slides", "encoder", "figure", "value", "low", "high", "groups", "results")
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
    progress: bool | None = False,
    **embedding: Any,
) -> pd.DataFrame:
    """Run tasks on a root's slides with many encoders.

    Embeddings are made once for each encoder and slide. The same call goes on after an interruption.

    Parameters
    ----------
    root
        What `open_root` takes or returns.
    encoders
        As `embed` takes ``model``.
    out
        A folder to write: embeddings, and ``TASK/UNIT/ENCODER`` with results.json.
    tasks
        Names of shipped tasks, or YAML files.
    progress
        Whether to show a bar; None shows it on a terminal.
    **embedding
        Options of `embed`, such as ``patch``, ``batch_size`` and ``workers``.

    Returns
    -------
    pandas.DataFrame
        A row a task, unit and encoder: the task's ``figure``, its ``value`` and 95 % interval, and the folder of the
        ``results``; and a row for each of the task's baselines.

    Raises
    ------
    DataError
        If a task has no unit in the root, an encoder cannot be loaded, or a unit cannot be scored.

    Examples
    --------
    >>> import stimage
    >>> slides = "select: {species: human, tech: [ST, Visium]}"
    >>> text = f"{{job: predict, {slides}, options: {{panel: [ERBB2]}}, metric: pooled.pearson}}"
    >>> _ = open("erbb2.yaml", "w").write(text)
    >>> stimage.benchmark_root("sample", "clip", "out", "erbb2.yaml").encoder.tolist()
    ['clip']
    """
    root, out, read = open_unpublished(root), Path(out), [read_task_file(name) for name in names_of(tasks)]
    units = {task.name: units_of(task, root.slides) for task in read}
    if none := [name for name, own in units.items() if not own]:
        raise DataError(f"{root.location}: has no unit of the task {none[0]}: too few slides or studies; stimage tasks "
                        "tells what tasks are of")  # fmt: skip
    for task in read:
        _check_options(task)
    work = [(task, unit) for task in read for unit in units[task.name]]
    every = list(dict.fromkeys(one.name for _, unit in work for one in unit.slides))
    rows, hidden = [], None if progress is None else not progress
    for name in names_of(encoders):
        folder = out / "embeddings" / folder_name(name)
        embed(open_root(root.location, slides=every), name, folder, **embedding)
        for task, unit in tqdm(work, unit="unit", desc=name, disable=hidden):
            place = out / task.name / folder_name(unit.name) / folder_name(name)
            _score(root, task, unit, folder, place)
            rows.append((task.name, unit.name, len(unit.slides), name, *_figure(task, task.metric, place), str(place)))
    for task, unit in work:  # which no encoder changes: of the first one's results
        place = out / task.name / folder_name(unit.name) / folder_name(names_of(encoders)[0])
        for name, figure in task.baselines.items():
            rows.append((task.name, unit.name, len(unit.slides), name, *_figure(task, figure, place), str(place)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _check_options(task: Task) -> None:
    """Refuse, before anything is embedded, options that the task's job does not take."""
    known = [name for name in signature(RUNS[task.job]).parameters if name not in OURS]
    if strange := [name for name in task.options if name not in known]:
        raise DataError(f"task {task.name}: options: {shown(strange)} is not known to the job {task.job}; there are "
                        f"{', '.join(known)}")  # fmt: skip


def _score(root: Root, task: Task, unit: Unit, embeddings: Path, place: Path) -> None:
    """Score a unit, unless its results are there."""
    slides = [one.name for one in unit.slides]
    made = hashlib.sha256((embeddings / MARKER).read_bytes()).hexdigest()
    asked = as_json({"job": task.job, "options": task.options, "slides": slides, "embeddings": made})
    if (place / RESULTS).exists() and (place / ASKED).exists():
        if (place / ASKED).read_text(encoding="utf-8") != asked:
            raise DataError(f"{place}: has results of another task, other slides or embeddings; pass another out= "
                            "(--out)")  # fmt: skip
        return
    place.mkdir(parents=True, exist_ok=True)
    write_text(place / ASKED, asked)
    RUNS[task.job](open_root(root.location, slides=slides), embeddings, **task.arguments, out=place)


def _figure(task: Task, figure: str, place: Path) -> Sequence:
    scores = {score.name: score for score in score_items(read_results(place)["overall"])}
    if figure not in scores:
        raise DataError(f"task {task.name}: its results have no figure {figure!r}, but {', '.join(scores)}")
    score = scores[figure]
    return figure, score.value, *((score.interval or {}).get(key) for key in ("low", "high", "groups"))
