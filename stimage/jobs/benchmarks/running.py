"""A benchmark on a root's slides: each encoder embeds once, and each unit is scored by the task's job."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from stimage.core.arguments import check_whole, path_of
from stimage.core.errors import DataError
from stimage.core.files import write_text
from stimage.core.results import RESULTS, as_json, read_results
from stimage.evaluation.saved.manifest import MANIFEST
from stimage.evaluation.seen import settle_seen
from stimage.evaluation.tables.forms import score_items
from stimage.jobs.benchmarks.encoders import BenchEncoder, list_encoders
from stimage.jobs.benchmarks.naming import folder_name, names_of
from stimage.jobs.benchmarks.planning import plan_line
from stimage.jobs.benchmarks.tasks import Task, Unit, read_task_file, units_of
from stimage.jobs.benchmarks.vectors import SPACES, How, Vectors, make_vectors, seen_by, with_slides
from stimage.jobs.roots import Root, open_unpublished
from stimage.jobs.scores import tested_slides
from stimage.jobs.vectors.patches import Asked
from stimage.loading.embeddings import read_embeddings
from stimage.slides.catalog import FILE_KINDS, READ_FILES, Slide
from stimage.slides.freshness import file_digest, slide_digests
from stimage.slides.names import fold_name, slide_names
from stimage.slides.splits.groups import merge_groups
from stimage.slides.splits.splitting import Splitting
from stimage.slides.splits.table import NO_TABLE
from stimage.towers.options import TowerOptions

ASKED = "asked.json"
NUCLEI = "nuclei"  # the baseline that is there where the root has the cells of all slides of a unit
FIGURES = ("value", "low", "high", "groups", "of_ceiling")
COLUMNS = ("task", "unit", "group", "slides", "studies", "spots", "encoder", "figure", *FIGURES, "dtype", "results")
PLAN_COLUMNS = ("encoder", "space", "dtype", "slides", "spots", "there", "left", "seconds")


@dataclass(frozen=True)
class RootBench:
    """A benchmark to run: the units of each task, the encoders, and the way in which spots are embedded."""

    root: Root
    out: Path
    work: Sequence[tuple[Task, Unit]]
    encoders: Sequence[BenchEncoder]
    how: How
    seen: str

    def plan(self) -> pd.DataFrame:
        """Tell what will be embedded: a row an encoder and space.

        Returns
        -------
        pandas.DataFrame
            ``slides`` and ``spots`` that are needed, about; slides that are ``there``; spots that are ``left``;
            ``seconds``, about, that embedding these takes, by its first batches. Scoring comes on top.
        """
        lines = []
        for encoder in self.encoders:
            for space, slides in self._slides(encoder).items():
                lines.append(plan_line(encoder, self.root, slides, self.out, space, self.how))
        return pd.DataFrame(lines, columns=list(PLAN_COLUMNS))

    def run(self, progress: bool | None = False) -> pd.DataFrame:
        """Embed and score what is not there yet; see `benchmark_root`."""
        rows, hidden = [], None if progress is None else not progress
        for encoder in self.encoders:
            made = {space: make_vectors(encoder, self.root, slides, self.out, space, self.how)
                    for space, slides in self._slides(encoder).items()}  # fmt: skip
            for task, unit in tqdm(self.work, unit="unit", desc=encoder.name, disable=hidden):
                if (vectors := made.get(task.space)) is None:
                    rows.append(self._row(task, unit, encoder, task.metric, None))
                    continue
                self._score(task, unit, vectors, place := self._place(task, unit, encoder))
                rows.append(self._row(task, unit, encoder, task.metric, place))
        return pd.DataFrame([*rows, *self._baselines()], columns=list(COLUMNS))

    @cached_property
    def _groups(self) -> dict[tuple[str, str], str]:
        """Task and unit → the first slide of all units that share slides with it, directly or through others."""
        return merge_groups({(task.name, one.name): tuple(slide.name for slide in one.slides)
                             for task, one in self.work})  # fmt: skip

    def _slides(self, encoder: BenchEncoder) -> dict[str, list[Slide]]:
        """Return space → the slides whose vectors the tasks need; no joint space of an encoder that has none."""
        needed: dict[str, dict[str, Slide]] = {}
        for task, unit in self.work:
            needed.setdefault(task.space, {}).update((one.name, one) for one in unit.slides)
        can = [space for space in SPACES if space in needed and (space == "tower" or encoder.beside)]
        return {space: list(needed[space].values()) for space in can}

    def _place(self, task: Task, unit: Unit, encoder: BenchEncoder) -> Path:
        return self.out / task.name / folder_name(unit.name) / encoder.folder

    def _score(self, task: Task, unit: Unit, vectors: Vectors, place: Path) -> None:
        """Score a unit, unless its results are there."""
        slides, options = [one.name for one in unit.slides], {**task.options, "seen": self.seen}
        told = {"job": task.job, "options": options, "slides": slides, "embeddings": vectors.digest}
        told |= {"protocol": task.protocol}
        asked = as_json(told | self._contents(task, unit))
        if all((place / name).exists() for name in (RESULTS, MANIFEST, ASKED)):
            if (place / ASKED).read_text(encoding="utf-8") != asked:
                raise DataError(f"{place}: has results of another task, other slides or embeddings, an earlier "
                                "version of the protocol, or of files that have changed since; pass another out= "
                                "(--out)")  # fmt: skip
            return
        write_text(place / ASKED, asked)
        task.function(with_slides(self.root, slides), vectors.path, **task.arguments, seen=self.seen, out=place)

    @cached_property
    def _digests(self) -> dict[str, dict[str, str]]:
        """Slide → part → the digest of its file, each read once."""
        slides = {one.name: one for _, unit in self.work for one in unit.slides}
        return slide_digests(slides.values(), FILE_KINDS)

    def _contents(self, task: Task, unit: Unit) -> dict[str, Any]:
        """Return what the files hold that a unit's figures depend on: those of its slides, and those it is told of."""
        cells = task.space == "tower" and all(one.cells for one in unit.slides)  # of whose nuclei is a baseline
        parts = FILE_KINDS if cells else READ_FILES
        files = {one.name: {part: digest for part, digest in self._digests[one.name].items() if part in parts}
                 for one in unit.slides}  # fmt: skip
        named = {key: file_digest(value) for key, value in task.arguments.items()
                 if isinstance(value, str) and Path(value).is_file()}  # fmt: skip
        return {"files": files, "named": named, "studies": [[one.study, *one.pmids] for one in unit.slides]}

    def _row(self, task: Task, unit: Unit, encoder: BenchEncoder | str, figure: str, place: Path | None) -> tuple:
        told = (task.name, unit.name, self._groups[task.name, unit.name], len(unit.slides), unit.studies, unit.spots)
        name, dtype = (encoder, "") if isinstance(encoder, str) else (encoder.name, encoder.dtype)
        if place is None:
            return *told, name, figure, None, None, None, None, None, dtype, ""
        return *told, name, figure, *read_figure(task.name, figure, place), dtype, str(place)

    def _baselines(self) -> Iterator[tuple]:
        """Yield rows of what no encoder changes, of the results of the first one that has them."""
        for task, unit in self.work:
            able = (one for one in self.encoders if task.space in self._slides(one))
            if (first := next(able, None)) is not None:
                place = self._place(task, unit, first)
                known = {score.name for score in score_items(read_results(place)["overall"])}
                for name, figure in task.baselines.items():
                    if name == NUCLEI and figure not in known:
                        continue
                    yield self._row(task, unit, name, figure, place)


def open_benchmark(
    root: str | Path | Root,
    encoders: str | Path | Iterable[str | Path],
    out: str | Path,
    tasks: str | Iterable[str],
    untrained: bool = True,
    seen: str = "error",
    *,
    dtype: str,
    patch: Any = None,
    upsample: bool = False,
    pyramid: bool = False,
    batch_size: int = 64,
    workers: int = 0,
    **tower: Any,
) -> RootBench:
    """Return a benchmark that can be planned and run; arguments and errors are those of `benchmark_root`."""
    check_whole(batch_size, "batch_size", 1)
    check_whole(workers, "workers")
    root, out, options = open_unpublished(root), path_of(out, "out"), TowerOptions(**tower) if tower else None
    if root.part is None and root.splitting not in (Splitting(), Splitting(splits=NO_TABLE)):
        raise ValueError("a benchmark takes the slides of all splits, so split_by= (--split-by) and splits= (--splits) "
                         "do nothing without part= (--part); pass part='test' (--part test) too")  # fmt: skip
    read = [read_task_file(name) for name in names_of(tasks)]
    _work(root, read, root.slides)  # before an encoder is loaded
    towers = list_encoders(encoders, untrained, dtype, options)
    left = _work(root, read, _unseen(root, read, towers, seen))
    work = [(_testing(task, unit), unit) for task, unit in left]
    return RootBench(root, out, work, towers, How(Asked(patch, upsample, pyramid), batch_size, workers, options), seen)


def _work(root: Root, tasks: Sequence[Task], slides: Sequence[Slide]) -> list[tuple[Task, Unit]]:
    units = {task.name: units_of(task, slides) for task in tasks}
    if none := [name for name, own in units.items() if not own]:
        raise DataError(
            f"{root.location}: has no unit for the task {none[0]}, as it has too few slides or studies; stimage tasks "
            "lists the slides of each task"
        )
    return [(task, unit) for task in tasks for unit in units[task.name]]


def _unseen(root: Root, tasks: Sequence[Task], encoders: Sequence[BenchEncoder], seen: str) -> list[Slide]:
    """Return the slides that are scored: with ``seen="drop"`` those that no encoder was trained on.

    Raises
    ------
    DataError
        With ``seen="error"`` if an encoder was trained on a slide that a task would score.
    """
    left, work = root.slides, _work(root, tasks, root.slides)
    scored = _scored(work)
    known = [(seen_by(encoder, root), encoder.name, scored) for encoder in encoders]
    for task in tasks:  # whose neighbours are found by other vectors, of a model that has seen slides too
        if (keys := task.options.get("keys")) is not None:
            read = read_embeddings(keys, [one.name for one in root.catalog.slides])
            known.append((read.provenance, str(keys), _scored([one for one in work if one[0] is task])))
    for provenance, name, of in known:
        asked = [one for one in left if one.name in of]
        kept = {one.name for one in settle_seen(provenance, asked, seen, name).slides}
        left = [one for one in left if one.name in kept or one.name not in of]
    return left


def _scored(work: Sequence[tuple[Task, Unit]]) -> set[str]:
    """Return the names of the slides that are scored, and do not only teach: those of ``test``, or all of a unit.

    The slide of ``train`` is scored too: by "original", that slide is first predicted from itself.
    """
    scored: set[str] = set()
    for task, unit in work:
        tested = tested_slides(task.options.get("test"), unit.slides, f"task {task.name}: test")
        source = tested_slides(_train(task), unit.slides, f"task {task.name}: train")
        if set(source) & set(tested):
            raise DataError(f"task {task.name}: train: {source[0]!r} is among the slides of test; name another")
        scored |= set(tested or (one.name for one in unit.slides)) | set(source)
    return scored


def _train(task: Task) -> list[str] | None:
    """Return the slide that the others of a task are predicted from, if it names one."""
    return None if task.options.get("train") is None else [task.options["train"]]


def _testing(task: Task, unit: Unit) -> Task:
    """Return a task that tests the slides of ``test`` that are left in a unit."""
    asked, there = slide_names(task.options.get("test") or ()), {fold_name(one.name) for one in unit.slides}
    kept = [name for name in asked if fold_name(name) in there]
    if asked and not kept:
        raise DataError(f"task {task.name}: encoders were trained on all slides of test; name others there, or pass "
                        "seen='score' (--seen score)")  # fmt: skip
    if not {fold_name(name) for name in slide_names(_train(task) or ())} <= there:
        raise DataError(f"task {task.name}: an encoder was trained on the slide of train, whose spots are scored too; "
                        "name another there, or pass seen='score' (--seen score)")  # fmt: skip
    return task if len(kept) == len(asked) else replace(task, options={**task.options, "test": kept})


def read_figure(task: str, figure: str, place: Path) -> Sequence:
    """Return `FIGURES` of a figure of results: its value, interval and groups, and its share of the noise ceiling."""
    scores = {score.name: score for score in score_items(read_results(place)["overall"])}
    if figure not in scores:
        raise DataError(f"task {task}: its results have no figure {figure!r}, but {', '.join(scores)}")
    score, beside = scores[figure], scores.get(f"{figure.rpartition('.')[0]}.of_ceiling")
    interval = [(score.interval or {}).get(key) for key in ("low", "high", "groups")]
    return score.value, *interval, beside.value if beside and figure.endswith(".pearson") else None
