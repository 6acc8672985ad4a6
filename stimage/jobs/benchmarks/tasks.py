"""Tasks as files: the slides, what is predicted from their embeddings, how, and the figure that counts."""

import difflib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from inspect import signature
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from stimage.core.errors import DataError, one_line
from stimage.core.shipped import BASE
from stimage.genes.panels import Panel
from stimage.slides.catalog import Slide
from stimage.slides.meta_file import read_meta
from stimage.slides.splits.groups import merge_groups, read_patients

TASKS = "configs/tasks"
SELECT = ("tech", "species", "tissue", "pmid", "involve_cancer")
EACH = ("tech", "species", "tissue")  # columns of whose values each makes a unit
LEAST = ("slides", "studies")
BESIDE = ("patients", "panel")  # options that may name a file beside the task's
OURS = ("root", "embeddings", "other", "out", "progress", "seen")  # arguments of jobs that no task may set
KEYS = ("job", "select", "each", "options", "metric", "baselines")


@dataclass(frozen=True)
class Job:
    """A job that a task may name, by where it is: nothing is imported before a task names the job.

    ``module`` has the job's function, and under the name ``protocol`` what results call its protocol, and its version:
    a pair, or a function of the option of that name. ``space`` is of the vectors that the job takes. ``check``, if any,
    is the module's function that takes options by name, and refuses values that cannot be with a `ValueError`.
    """

    module: str
    protocol: str
    space: str = "tower"
    check: str = ""


JOBS = {  # a job's name is its function's
    "predict": Job("stimage.jobs.prediction", "expression_protocol", check="check_prediction"),
    "predict_dealt": Job("stimage.jobs.benchmarks.dealt", "DEALT", check="check_dealt"),
    "probe": Job("stimage.jobs.probing", "probe_protocol", check="check_probe"),
    "retrieve": Job("stimage.jobs.probing", "RETRIEVAL", "joint", "check_retrieval"),
}


@dataclass(frozen=True)
class Task:
    """A task: a job with its options, on each unit of the selected slides; ``metric`` names the figure that counts, and
    ``baselines`` those that stand beside, by what to call them.

    ``each`` has, by column, the values that make units, or "any"; besides, the least ``slides`` or ``studies`` of a
    unit, and ``annotated``, where only slides with an annotation file are meant.
    """

    name: str
    job: str
    metric: str
    select: Mapping[str, Any] = field(default_factory=dict)
    each: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    baselines: Mapping[str, str] = field(default_factory=dict)
    folder: Path = field(default=Path(), compare=False)

    @property
    def space(self) -> str:
        """The space of the vectors that the job takes: "tower" or "joint"."""
        return JOBS[self.job].space

    @property
    def function(self) -> Callable:
        """The job's function: of a root and embeddings, with the options."""
        return getattr(import_module(JOBS[self.job].module), self.job)

    @property
    def protocol(self) -> list:
        """The name of the job's protocol in results, and its version."""
        job = JOBS[self.job]
        said = getattr(import_module(job.module), job.protocol)
        if callable(said):
            said = said(self.options.get("protocol", signature(self.function).parameters["protocol"].default))
        return list(said)

    @property
    def arguments(self) -> dict[str, Any]:
        """The job's options; a table of patients, or a file of genes, lies beside the task's file."""
        files = {key: self.options[key] for key in BESIDE if isinstance(self.options.get(key), str)}
        return {**self.options, **{key: str(self.folder / file) for key, file in files.items()}}


@dataclass(frozen=True)
class Unit:
    """The slides that a task is run on at once, such as an organ: name and slides."""

    name: str
    slides: tuple[Slide, ...]

    @property
    def studies(self) -> int:
        """The number of studies, where studies that share a slide count as one."""
        return len(set(merge_groups({one.name: _studies(one) for one in self.slides if _studies(one)}).values()))

    @property
    def spots(self) -> int:
        """About how many spots there are, by the meta file."""
        return sum(one.about_spots for one in self.slides)


def list_tasks() -> list[str]:
    """Return the names of the shipped tasks."""
    return sorted(path.stem for path in (BASE / TASKS).glob("*.yaml"))


def read_task_file(name: str) -> Task:
    """Read a task: a shipped one by its name, or a YAML file.

    Raises
    ------
    DataError
        If there is no such task, the file says what no task can have, or a job does not take its options.
    """
    path = Path(name) if Path(name).suffix in (".yaml", ".yml") else BASE / TASKS / f"{name}.yaml"
    if not path.is_file():
        raise DataError(f"{name}: is neither a YAML file nor a task that is shipped: {', '.join(list_tasks())}")
    try:
        said: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"{path}: cannot be read as YAML ({one_line(error)})") from None
    if not isinstance(said, dict) or not {"job", "metric"} <= said.keys():
        raise DataError(f"{path}: is no task: it needs job and metric")
    said = {"select": {}, "each": {}, "options": {}, "baselines": {}} | said
    check_keys(f"{path}: ", said, KEYS)
    for key, known in (("select", SELECT), ("each", (*EACH, *LEAST, "annotated")), ("options", None),
                       ("baselines", None)):  # fmt: skip
        check_keys(f"{path}: {key}: ", said[key], known)
    for key in ("job", "metric"):
        _check_kind(f"{path}: {key}", said[key], "a name", isinstance(said[key], str))
    if said["job"] not in JOBS:
        raise DataError(f"{path}: job {said['job']!r} is none of {', '.join(JOBS)}")
    _check_values(str(path), said)
    _check_options(str(path), task := Task(path.stem, **said, folder=path.parent))
    return task


def check_keys(where: str, value: Any, known: Sequence[str] | None) -> None:
    """Refuse what is no mapping of texts, or has a key that is not known, with the nearest one."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise DataError(f"{where}{value!r} is no mapping of names to values")
    for key in value if known is not None else ():
        if key not in (known or ()):
            near = difflib.get_close_matches(key, known or (), 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise DataError(f"{where}{key} is not known; {hint}there are {', '.join(known or ())}")


def _check_values(path: str, said: dict[str, Any]) -> None:
    """Refuse values of a kind that their keys cannot have."""
    for key, value in said["select"].items():
        good = all(isinstance(one, str | bool | int) for one in _listed(value)) and _listed(value)
        _check_kind(f"{path}: select: {key}", value, "a value, or a list of values", good)
    for key, value in said["each"].items():
        if key in LEAST:
            good, kind = type(value) is int and value > 0, "a whole number above 0"
        elif key == "annotated":
            good, kind = isinstance(value, bool), "true or false"
        else:
            good, kind = (
                all(isinstance(one, str) for one in _listed(value)) and _listed(value),
                "any, or a list of values",
            )
        _check_kind(f"{path}: each: {key}", value, kind, good)
    for key, value in said["baselines"].items():
        _check_kind(f"{path}: baselines: {key}", value, "the name of a figure", isinstance(value, str))


def _check_options(path: str, task: Task) -> None:
    """Refuse options that the task's job does not take, and values that they cannot have."""
    where, job = f"{path}: options of {task.job}: ", JOBS[task.job]
    defaults = {name: one.default for name, one in signature(task.function).parameters.items() if name not in OURS}
    check_keys(where, dict(task.options), list(defaults))
    try:
        _ = task.protocol
    except (KeyError, TypeError):
        raise DataError(f"{where}there is no protocol {task.options['protocol']!r}; help(stimage.{task.job}) lists "
                        "those there are") from None  # fmt: skip
    given = defaults | task.arguments
    try:
        if job.check:
            check = getattr(import_module(job.module), job.check)
            check(**{name: given[name] for name in signature(check).parameters})
        if given.get("panel") is not None:
            Panel.read(given["panel"])
        if given.get("patients") is not None:
            read_patients(given["patients"])
    except ValueError as error:
        raise DataError(f"{where}{error}") from None


def _check_kind(where: str, value: Any, kind: str, good: object) -> None:
    if not good:
        raise DataError(f"{where}: {value!r} is not {kind}")


def units_of(task: Task, slides: Sequence[Slide], with_labels: bool = True) -> list[Unit]:
    """Return a task's units among some slides, those with too few slides or studies left out.

    Where the task holds studies out, slides of no known study are left out. ``with_labels`` is False where it is not
    known which slides have an annotation file.
    """
    some = [one for one in slides if _is_selected(one, task, with_labels)]
    columns = [column for column in EACH if column in task.each]
    members = defaultdict(list)
    for one in some:
        for key in product(*(_wanted(getattr(one, column), task.each[column]) for column in columns)):
            members[key].append(one)
    units = [Unit(" ".join(key) or "all", tuple(own)) for key, own in sorted(members.items())]
    least, studies = task.each.get("slides", 1), task.each.get("studies", 0)
    return [unit for unit in units if len(unit.slides) >= least and unit.studies >= studies]


def slides_in_meta(path: str | Path) -> list[Slide]:
    """Return the slides of a meta file, whose files are nowhere: which slides a task has can be told of them."""
    found = []
    for row in read_meta(str(path)).values():
        n, cancer = row.get("spot_num", ""), {"True": True, "False": False}.get(row["involve_cancer"])
        told: dict[str, Any] = {key: row[key] or None for key in ("species", "tissue", "pmid")}
        told |= {"spot_num": int(n) if n.isdecimal() else None, "involve_cancer": cancer}
        found.append(Slide(row["slide"], row.get("tech", ""), "", "", "", **told))
    return found


def _is_selected(one: Slide, task: Task, with_labels: bool) -> bool:
    for key, wanted in task.select.items():
        values = one.pmids if key == "pmid" else (getattr(one, key),)
        if not {str(value) for value in values} & {str(value) for value in _listed(wanted)}:
            return False
    if with_labels and task.each.get("annotated") and not one.annotation:
        return False
    return bool(_studies(one)) or task.options.get("split") != "study"


def _wanted(value: str | None, values: Any) -> Iterable[str]:
    return [value] if value and (values == "any" or value in _listed(values)) else []


def _listed(values: Any) -> list:
    return list(values) if isinstance(values, list) else [values]


def _studies(one: Slide) -> tuple[str, ...]:
    return (one.study,) if one.study else one.pmids
