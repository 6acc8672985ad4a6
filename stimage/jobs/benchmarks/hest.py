"""Run HEST-Benchmark from a downloaded folder."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from stimage.core.arguments import check_whole, path_of
from stimage.core.errors import DataError
from stimage.core.results import RESULTS, digest_of
from stimage.evaluation.hest_bench.folder import BenchTask, find_tasks, read_task
from stimage.evaluation.hest_bench.heads import HEADS, SEED
from stimage.evaluation.hest_bench.running import BenchSpots, run_task, spots_of_task
from stimage.evaluation.hest_bench.vectors import BASELINES, BATCH
from stimage.evaluation.results import data_identity, read_scores, write_scores
from stimage.evaluation.saved.manifest import MANIFEST, seal_all
from stimage.evaluation.seen import samples_seen
from stimage.jobs.benchmarks.encoders import OFFICIAL, BenchEncoder, list_encoders
from stimage.jobs.benchmarks.hest_encoder import HestEncoder
from stimage.jobs.benchmarks.naming import folder_name, names_of
from stimage.jobs.benchmarks.running import PLAN_COLUMNS
from stimage.jobs.scores import sealed
from stimage.loading.embeddings import Embeddings

PROTOCOL, VERSION = "hest-benchmark", 2  # 1 gave an interval of a mean that is not known
PACKAGES = ("stimage-1k4m", "scikit-learn", "torch", "numpy", "scipy")
FIGURES = ("pearson", "std", "low", "high", "folds", "of_ceiling")
COLUMNS = ("task", "head", "encoder", *FIGURES, "results")


def benchmark(
    folder: str | Path,
    encoders: str | Path | Iterable[str | Path],
    out: str | Path,
    *,
    tasks: str | Iterable[str] | None = None,
    heads: str | Iterable[str] = "ridge-pca256",
    untrained: bool = True,
    batch_size: int = BATCH,
    dtype: str = OFFICIAL,
    seed: int = SEED,
    seen: str = "error",
    progress: bool | None = False,
) -> pd.DataFrame:
    """Run HEST-Benchmark with its own splits, genes and protocols, and with baselines of colour, position and nuclei.

    Embeddings are made once for each encoder and sample. After an interruption, the same call continues.

    Parameters
    ----------
    folder
        A download of MahmoodLab/hest-bench: one folder per task, with splits, patches, adata and var_50genes.json.
    encoders
        Encoders as `embed` takes them in ``model``: presets, paths or names. A folder of embeddings,
        ``TASK/SAMPLE.parquet``, as an earlier benchmark wrote them, works too. The baselines "colour", "position" and
        "nuclei" are always added.
    out
        The folder to write: embeddings, and ``TASK/HEAD/ENCODER`` with results.json, predictions, regressors and their
        digests. `verify` computes results.json from these again.
    tasks
        The names of tasks. None takes all tasks of the folder.
    heads
        The regressors to fit on embeddings. "ridge-pca256" and "ridge" are the official protocols; "random-forest" and
        "xgboost" are others.
    untrained
        Add each encoder with random weights as a baseline.
    batch_size
        Number of patches that are embedded at once.
    dtype
        Precision of the encoders: "float32", "bfloat16" or "float16". "official" takes the precision that a preset has,
        and float32 for other encoders.
    seed
        The seed of PCA and of random forests.
    seen
        What to do with an encoder that was trained on one of the samples: "error", or "score" it all the same.
    progress
        True shows a progress bar, None shows one only on a terminal.

    Returns
    -------
    pandas.DataFrame
        One row per task, head and encoder. ``pearson`` is the mean over folds of the mean r over genes, ``std`` its
        standard deviation over folds, and ``low`` to ``high`` its 95 % interval (null with fewer than six folds).
        ``of_ceiling`` is its share of the noise ceiling. ``results`` is the folder that `stimage compare` takes.

    Raises
    ------
    DataError
        If the folder or one of its files is not HEST-Benchmark's, an encoder can't be loaded, or an encoder was trained
        on a sample.
    ValueError
        If there is no such head.

    Examples
    --------
    >>> import stimage
    >>> found = stimage.benchmark("hest-bench", "clip", "out", heads=["ridge-pca256", "ridge"])
    >>> sorted(set(found.encoder))
    ['clip', 'colour', 'nuclei', 'position', 'untrained:clip']
    """
    bench = open_hest(folder, encoders, out, tasks, heads, untrained, batch_size, dtype, seed, seen)
    found = bench.run(progress)
    seal_all(bench.out)
    return found


@dataclass(frozen=True)
class HestBench:
    """A benchmark to run: tasks, encoders and heads."""

    out: Path
    tasks: Sequence[BenchTask]
    encoders: Sequence[HestEncoder]
    heads: Sequence[str]
    seed: int
    seen: str

    def plan(self) -> pd.DataFrame:
        """Return the plan of embedding: see `RootBench.plan`; ``slides`` are samples, ``spots`` patches."""
        return pd.DataFrame([one.plan_line(self.tasks) for one in self.encoders], columns=list(PLAN_COLUMNS))

    def run(self, progress: bool | None = False) -> pd.DataFrame:
        """Embed and score what is not there yet; see `benchmark`."""
        rows, hidden = [], None if progress is None else not progress
        for encoder in self.encoders:
            for task in tqdm(self.tasks, unit="task", desc=encoder.name, disable=hidden):
                rows += _of_task(task, encoder, self.heads, self.out, self.seed, self.seen)
        return pd.DataFrame(sorted(rows), columns=list(COLUMNS))


def open_hest(
    folder: str | Path,
    encoders: str | Path | Iterable[str | Path],
    out: str | Path,
    tasks: str | Iterable[str] | None = None,
    heads: str | Iterable[str] = "ridge-pca256",
    untrained: bool = True,
    batch_size: int = BATCH,
    dtype: str = OFFICIAL,
    seed: int = SEED,
    seen: str = "error",
) -> HestBench:
    """Return a benchmark that can be planned and run; arguments and errors are those of `benchmark`."""
    check_whole(batch_size, "batch_size", 1)
    folder, out, wanted = path_of(folder, "folder"), path_of(out, "out"), names_of(heads)
    if unknown := [head for head in wanted if head not in HEADS]:
        raise ValueError(f"heads={unknown[0]!r}: pass any of {', '.join(HEADS)}")
    read = [read_task(folder, name) for name in (names_of(tasks) if tasks is not None else find_tasks(folder))]
    asked = [name for name in names_of(encoders) if name not in BASELINES]
    towers = [*list_encoders(asked, untrained, dtype), *(BenchEncoder(name, False, "") for name in BASELINES)]
    bench = HestBench(out, read, [HestEncoder(one, out, batch_size) for one in towers], wanted, seed, seen)
    for encoder in bench.encoders:
        samples_seen(encoder.provenance, [one.name for task in read for one in task.samples], seen, encoder.name)
    return bench


def _of_task(
    task: BenchTask, encoder: HestEncoder, heads: Sequence[str], out: Path, seed: int, seen: str
) -> list[tuple]:
    """Run a task with each head, or read the results that are there."""
    rows, spots = [], spots_of_task(task, encoder.vectors(task))
    ids = np.array([f"{one.sample.name}_{code}" for one in spots.values() for code in one.barcodes])
    every = Embeddings(ids, ids, np.concatenate([one.vectors for one in spots.values()]), encoder.name)
    data = data_identity(ids, *(one.counts for one in spots.values()), embeddings=every,
                         seen=samples_seen(encoder.provenance, list(spots), seen, encoder.name))  # fmt: skip
    for head in heads:
        folds = [[[one.name for one in part] for part in (fold.train, fold.test)] for fold in task.folds]
        config = {"task": task.name, "head": head, "genes": list(task.genes), "normalise": "log1p", "folds": folds}
        place = out / task.name / head / folder_name(encoder.name)
        if not _is_there(place, config, data, seed):
            _run(task, spots, head, seed, place, config, data)
        rows.append((task.name, head, encoder.name, *read_row(place), str(place)))
    return rows


def read_row(place: Path) -> Sequence:
    """Return `FIGURES` of results."""
    results = read_scores(place)["overall"]
    interval, mean = results["intervals"]["pearson"], results["pearson"]
    return (mean["mean"], mean["std"], interval["low"], interval["high"], interval["groups"],
            results["of_ceiling"]["mean"])  # fmt: skip


def _run(
    task: BenchTask, spots: dict[str, BenchSpots], head: str, seed: int, place: Path, config: dict, data: dict
) -> None:
    began = time.monotonic()
    scores = run_task(task, spots, head, seed, place)
    sealed(write_scores(place, PROTOCOL, VERSION, config, data, [seed], PACKAGES, time.monotonic() - began,
                        scores.slides, scores.overall))  # fmt: skip


def _is_there(place: Path, config: dict, data: dict, seed: int) -> bool:
    """Tell whether a folder has the results of this very run."""
    if not (place / RESULTS).exists() or not (place / MANIFEST).exists():
        return False
    results = read_scores(place)
    protocol = {"name": PROTOCOL, "version": VERSION, "config": config}
    same = results["protocol"].get("sha256") == digest_of(protocol) and results["seeds"] == [seed]
    if not same or any(results["data"].get(key) != value for key, value in data.items()):
        raise DataError(f"{place}: has results of other data, embeddings or options, or of an earlier version of the "
                        "protocol; pass another out= (--out)")  # fmt: skip
    return True
