"""Running HEST-Benchmark from a downloaded folder."""

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from stimage.core.arguments import check_whole, path_of
from stimage.core.errors import DataError
from stimage.core.results import RESULTS, digest_of
from stimage.evaluation.embedding import settle_options
from stimage.evaluation.hest_bench.folder import BenchSample, BenchTask, find_tasks, read_task
from stimage.evaluation.hest_bench.heads import HEADS, SEED
from stimage.evaluation.hest_bench.running import BenchSpots, run_task, spots_of_task
from stimage.evaluation.hest_bench.saving import PREDICTIONS, verify_predictions, write_predictions
from stimage.evaluation.hest_bench.vectors import (
    BASELINES,
    BATCH,
    Encode,
    by_colour,
    by_position,
    by_tower,
    embed_sample,
    in_patch_order,
)
from stimage.evaluation.results import data_identity, read_scores, write_scores
from stimage.jobs.benchmarks.naming import folder_name, names_of
from stimage.loading.embeddings import Embeddings
from stimage.towers.image_towers import load_tower

PROTOCOL, VERSION = "hest-benchmark", 1
PACKAGES = ("stimage-1k4m", "scikit-learn", "torch", "numpy", "scipy")
COLUMNS = ("task", "head", "encoder", "pearson", "std", "low", "high", "folds", "of_ceiling", "results")


def benchmark(
    folder: str | Path,
    encoders: str | Path | Iterable[str | Path],
    out: str | Path,
    *,
    tasks: str | Iterable[str] | None = None,
    heads: str | Iterable[str] = "ridge-pca256",
    batch_size: int = BATCH,
    dtype: str = "float32",
    seed: int = SEED,
    progress: bool | None = False,
) -> pd.DataFrame:
    """Run HEST-Benchmark with its own splits, genes and protocols; baselines of colour and position beside.

    Embeddings are made once for each encoder and sample. The same call goes on after an interruption.

    Parameters
    ----------
    folder
        A download of MahmoodLab/hest-bench: a folder a task, with splits, patches, adata and var_50genes.json.
    encoders
        As `embed` takes ``model``: presets, paths, names. "colour" and "position" are always there.
    out
        A folder to write: embeddings, and ``TASK/HEAD/ENCODER`` with results.json and predictions.parquet.
    tasks
        Names of tasks; None takes all of the folder.
    heads
        What is fitted: "ridge-pca256" and "ridge" are the official protocols; "random-forest" and "xgboost".
    batch_size, dtype
        Patches at once; the encoders' "float32", "bfloat16" or "float16".
    seed
        Of PCA and trees.
    progress
        Whether to show a bar; None shows it on a terminal.

    Returns
    -------
    pandas.DataFrame
        A row a task, head and encoder: ``pearson``, the mean over folds of the mean over genes, its ``std`` over folds,
        the 95 % interval ``low`` to ``high`` (null of fewer than six folds), ``of_ceiling``, and the folder of the
        ``results``, which `stimage compare` takes.

    Raises
    ------
    DataError
        If the folder or one of its files is none of HEST-Benchmark's, or an encoder cannot be loaded.
    ValueError
        If there is no such head.

    Examples
    --------
    >>> import stimage
    >>> found = stimage.benchmark("hest-bench", "clip", "out", heads=["ridge-pca256", "ridge"])
    >>> sorted(set(found.encoder))
    ['clip', 'colour', 'position']
    """
    check_whole(batch_size, "batch_size")
    folder, out, wanted = path_of(folder, "folder"), path_of(out, "out"), names_of(heads)
    if unknown := [head for head in wanted if head not in HEADS]:
        raise ValueError(f"heads={unknown[0]!r}: pass any of {', '.join(HEADS)}")
    read = [read_task(folder, name) for name in (names_of(tasks) if tasks is not None else find_tasks(folder))]
    rows, hidden = [], None if progress is None else not progress
    for name in dict.fromkeys([*names_of(encoders), *BASELINES]):
        encoder = _Encoder(name, out / "embeddings" / folder_name(name), batch_size, dtype)
        for task in tqdm(read, unit="task", desc=name, disable=hidden):
            rows += _of_task(task, encoder, wanted, out, seed)
    return pd.DataFrame(sorted(rows), columns=list(COLUMNS))


def verify(folder: str | Path) -> list[str]:
    """Compute the figures of benchmark results again from the predictions beside them.

    Parameters
    ----------
    folder
        A folder that `benchmark` wrote, or one of the folders in it that has results.json.

    Returns
    -------
    list of str
        What differs, in words; a file of predictions that is not byte for byte the one written with the results is
        among it. Empty if all figures are right.

    Raises
    ------
    DataError
        If there are no such results, or a file is missing or damaged.

    Examples
    --------
    >>> import stimage
    >>> stimage.verify("benchmarked")
    []
    """
    folder = path_of(folder, "folder")
    places = sorted(path.parent for path in folder.rglob(RESULTS))
    if not places:
        raise DataError(f"{folder}: has no {RESULTS}; pass a folder that benchmark wrote")
    return [f"{place}: {one}" for place in places for one in verify_predictions(place)]


class _Encoder:
    """An encoder; its folder says what the embeddings in it were made with."""

    def __init__(self, name: str, folder: Path, batch_size: int, dtype: str):
        self.name, self.folder, self.batch_size, self.dtype = name, folder, batch_size, dtype
        self._encode: Encode | None = None
        self.label = name

    def vectors(self, task: BenchTask) -> Callable[[BenchSample], Embeddings]:
        """Return what gives the embeddings of a task's samples; those that are not there are made.

        The encoder is loaded even if all are there: its weights may be others now.
        """
        encode = self._load()

        def of(sample: BenchSample) -> Embeddings:
            path = self.folder / task.name / f"{sample.name}.parquet"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                embed_sample(sample, encode, path, self.label)
            return in_patch_order(sample, path)

        return of

    def _load(self) -> Encode:
        if self._encode is None:
            options: dict[str, Any] = {"model": self.name, "space": "tower", "of": "images"}
            if self.name in BASELINES:
                self._encode = {"colour": by_colour, "position": by_position}[self.name]
            else:
                tower = load_tower(self.name, dtype=self.dtype)
                self.label = f"{tower.name} {tower.digest[:12]}"
                options |= {"weights": tower.digest, "dtype": self.dtype, "pooling": tower.pooling, "size": tower.size}
                self._encode = by_tower(tower, self.batch_size)
            self.folder.mkdir(parents=True, exist_ok=True)
            settle_options(self.folder, options)
        return self._encode


def _of_task(task: BenchTask, encoder: _Encoder, heads: Sequence[str], out: Path, seed: int) -> list[tuple]:
    """Run a task with each head, or read the results that are there."""
    rows, spots = [], spots_of_task(task, encoder.vectors(task))
    ids = np.array([f"{one.sample.name}_{code}" for one in spots.values() for code in one.barcodes])
    every = Embeddings(ids, ids, np.concatenate([one.vectors for one in spots.values()]), encoder.name)
    data = data_identity(ids, *(one.counts for one in spots.values()), embeddings=every)
    for head in heads:
        folds = [[[one.name for one in part] for part in (fold.train, fold.test)] for fold in task.folds]
        config = {"task": task.name, "head": head, "genes": list(task.genes), "normalise": "log1p", "folds": folds}
        place = out / task.name / head / folder_name(encoder.name)
        if not _is_there(place, config, data, seed):
            _run(task, spots, head, seed, place, config, data)
        results = read_scores(place)["overall"]
        interval, mean = results["intervals"]["pearson"], results["pearson"]
        rows.append((task.name, head, encoder.name, mean["mean"], mean["std"], interval["low"], interval["high"],
                     interval["groups"], results["of_ceiling"]["mean"], str(place)))  # fmt: skip
    return rows


def _run(
    task: BenchTask, spots: dict[str, BenchSpots], head: str, seed: int, place: Path, config: dict, data: dict
) -> None:
    began = time.monotonic()
    scores = run_task(task, spots, head, seed)
    place.mkdir(parents=True, exist_ok=True)
    digest = write_predictions(place / PREDICTIONS, task.genes, spots, scores.predicted)
    write_scores(place, PROTOCOL, VERSION, config, data | {"predictions_sha256": digest}, [seed], PACKAGES,
                 time.monotonic() - began, scores.slides, scores.overall)  # fmt: skip


def _is_there(place: Path, config: dict, data: dict, seed: int) -> bool:
    """Tell whether a folder has the results of this very run."""
    if not (place / RESULTS).exists() or not (place / PREDICTIONS).exists():
        return False
    results = read_scores(place)
    protocol = {"name": PROTOCOL, "version": VERSION, "config": config}
    same = results["protocol"].get("sha256") == digest_of(protocol) and results["seeds"] == [seed]
    if not same or any(results["data"].get(key) != value for key, value in data.items()):
        raise DataError(f"{place}: has results of other data, embeddings or options; pass another out= (--out)")
    return True
