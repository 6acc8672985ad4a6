"""The loader of batches of spots for users: any data set of datasets, streamed, shuffled and shared out, as tensors.

A row of a data set is a Python object for every count, and through a DataLoader that is slower than without workers.
Here, the data set is read as Arrow tables, and each becomes a few flat tensors.
"""

import copy
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from inspect import signature
from numbers import Integral
from typing import Any

import datasets
import pyarrow as pa
from datasets.distributed import split_dataset_by_node
from torch.utils.data import get_worker_info

from stimage.core.errors import DataError
from stimage.loading.ahead import MOST_WORKERS, AheadLoader, Batches, Begun, Memory, cores
from stimage.loading.sources import reading
from stimage.loading.tensors import BATCH_COLUMNS, SpotBatch, begin_batch

IN_ARROW = "call with_format('arrow') before filter or map, whose function then gets tables"


def spot_loader(
    dataset: datasets.IterableDataset | datasets.Dataset,
    batch_size: int,
    workers: int | None = None,
    image_size: int | None = None,
    drop_last: bool = False,
) -> "SpotLoader":
    """Return a loader of `SpotBatch`: a thread reads ahead, other threads or processes decode and resize.

    Parameters
    ----------
    dataset
        Spots from a root or a published folder, streamed or prepared, shuffled or not.
    batch_size
        Number of spots in a batch. The last batch of each process has the rest.
    workers
        Number of processes; 0 reads in this process, by a thread for each core. None takes 0, or for a streamed root
        one process for each core, since Python cuts its patches. A data set with fewer shards is cut finer, if its
        files allow that.
    image_size
        Side in pixels that each image is resized to, as CLIP's image processor does (see `resize`). Without it, all
        images must have one size: those of a physical patch do, original ones differ by a pixel.
    drop_last
        Leave out the last batch of each process if it is not full.

    Raises
    ------
    DataError
        If the data set has no spots, or its columns are unknown.
    ImportError
        If datasets is older than 5.1, which shares shards otherwise.
    """
    if "strategy" not in signature(split_dataset_by_node).parameters:
        raise ImportError(f"batches need datasets 5.1 or later, not {datasets.__version__}: pip install -U datasets")
    for name, value in (("batch_size", batch_size), ("image_size", 1 if image_size is None else image_size)):
        if not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name}={value!r}: pass a whole number, 1 or more")
    _check(dataset)
    workers = _usual_workers(dataset) if workers is None else workers
    epoch = getattr(dataset, "epoch", 0)
    if isinstance(dataset, datasets.Dataset):
        dataset = dataset.to_iterable_dataset(num_shards=max(1, min(workers, len(dataset))))
    if workers:
        dataset = _of_rank(dataset, workers)
    spots = SpotBatches(dataset, batch_size, image_size, drop_last)
    spots.set_epoch(epoch)
    return SpotLoader(spots, workers)


class SpotLoader(AheadLoader):
    """Batches of spots that go on exactly where they stopped; ``dataset.set_epoch(n)`` shuffles the next pass anew."""

    dataset: "SpotBatches"

    def __init__(self, spots: "SpotBatches", workers: int):
        super().__init__(spots, workers)
        self._given, self._next, self._goes_on = [0] * max(1, workers), 0, False

    def __iter__(self) -> Any:
        if not self._goes_on:
            self._given, self._next = [0] * len(self._given), 0
        self._goes_on = False
        self.dataset.start(dict(enumerate(self._given)), self._next)
        for batch in super().__iter__():
            self._given[batch.worker] += 1
            self._next = (batch.worker + 1) % len(self._given)
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Return the epoch, and how many of its batches were given out: numbers, which JSON can hold."""
        size = self.dataset.batch_size
        return {"epoch": self.dataset.epoch, "given": list(self._given), "next": self._next, "batch_size": size}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next pass give the batches that are left; those before are read again, but not decoded.

        Raises
        ------
        ValueError
            If it is no state of a loader, or of another number of processes, or of batches of another size.
        """
        if not isinstance(state, dict) or not set(self.state_dict()) <= set(state):
            raise ValueError(f"the state is {state!r}; pass what state_dict() of a spot_loader returned")
        for name, then, now in (
            ("workers", len(state["given"]), len(self._given)),
            ("batch_size", state["batch_size"], self.dataset.batch_size),
        ):
            if then != now:
                raise ValueError(f"{name}: was {then} where the loader stopped, but is {now}; make it {then} again")
        self.dataset.set_epoch(state["epoch"])
        self._given, self._next, self._goes_on = list(state["given"]), state["next"], True


class SpotBatches(Batches):
    """Batches of a streamed data set's spots; each process gives those of its own shards.

    ``state_dict`` and ``load_state_dict`` are what torchdata's ``StatefulDataLoader`` calls in each of its processes.
    """

    def __init__(self, dataset: datasets.IterableDataset, batch_size: int, image_size: int | None, drop_last: bool):
        columns = [name for name in BATCH_COLUMNS if name in dataset.features]
        self.dataset = dataset.select_columns(columns).with_format("arrow")
        self.batch_size, self.image_size, self.drop_last = batch_size, image_size, drop_last
        self.epoch, self._first, self._goes_on = 0, 0, False
        self._given: dict[int, int] = {}  # batches of the pass, by worker, as far as this process knows

    def set_epoch(self, epoch: int) -> None:
        """Shuffle the next pass in another order."""
        self.epoch = epoch

    def start(self, given: dict[int, int], first: int = 0) -> None:
        """Let the next pass leave out so many batches of each worker, and begin with those of the first one."""
        self._given, self._first, self._goes_on = dict(given), first, True

    def state_dict(self) -> dict[str, Any]:
        """Return the epoch, and how many of its batches were given out."""
        return {"epoch": self.epoch, "given": dict(self._given)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next pass give the batches that are left."""
        self.set_epoch(state["epoch"])
        self.start(state["given"])

    def made(self) -> Iterator[SpotBatch]:
        """Yield this process' batches."""
        if not self._goes_on:
            self._given = {}
        self._goes_on = False
        for batch in super().made():
            self._given[batch.worker] = self._given.get(batch.worker, 0) + 1
            yield batch

    def begin(self, memory: Memory, worker: int, workers: int) -> Begun:
        """Read the tables of a worker's shards, and begin a batch of each that was not given out before."""
        worker, dataset = (worker + self._first) % workers, self.dataset
        given = self._given.get(worker, 0)
        if workers > 1:
            if worker >= dataset.num_shards:
                return
            dataset = dataset.shard(workers, worker, contiguous=False)
        dataset.set_epoch(self.epoch)  # a shard's own begins at 0
        for n, table in enumerate(_tables(dataset, self.batch_size, self.drop_last)):
            if n >= given:
                yield begin_batch(table, self.image_size, memory, worker=worker)


def _usual_workers(dataset: datasets.IterableDataset | datasets.Dataset) -> int:
    streamed_root = isinstance(dataset, datasets.IterableDataset) and dataset.info.builder_name == "stimage_1k4m"
    return min(cores(), MOST_WORKERS) if streamed_root else 0


def _check(dataset: object) -> None:
    """Refuse what is no data set of spots."""
    if not isinstance(dataset, (datasets.Dataset, datasets.IterableDataset)):
        raise DataError(f"a {type(dataset).__name__} is not one split of spots: load it with split='train'")
    if dataset.features is None:
        raise DataError(f"the columns are not known after map: {IN_ARROW}, and pass map(…, features=…)")
    if missing := {"spot_id", "slide", "annotation"} - set(dataset.features):
        raise DataError(f"there is no column {min(missing)!r}, but {', '.join(dataset.features)}; where columns= chose "
                        "these, add it there; else these are no spots")  # fmt: skip


def _of_rank(dataset: datasets.IterableDataset, workers: int) -> datasets.IterableDataset:
    """Cut finer if there are fewer shards than workers, and fix what each rank gets.

    `split_dataset_by_node` gives ranks whole shards where their number divides the shards'. Left to a worker, datasets
    would look at the number of that worker's shards.
    """
    ranks = dataset._distributed
    if dataset.num_shards < workers * (ranks.world_size if ranks else 1):
        dataset = dataset.reshard()
    if not ranks:
        return dataset
    dataset, whole = copy.copy(dataset), dataset.num_shards % ranks.world_size == 0
    if ranks.strategy == "shards" or (ranks.strategy == "auto" and whole):
        dataset._distributed = None
        return dataset.shard(ranks.world_size, ranks.rank, contiguous=False)
    dataset._distributed = replace(ranks, strategy="examples")
    return dataset


def _tables(dataset: datasets.IterableDataset, batch_size: int, drop_last: bool) -> Iterator[pa.Table]:
    what = f"rows that filter or map made ({IN_ARROW}), or a file of the data set"
    with _PAUSE, reading(what, partial(_files_of, dataset)):
        for table in dataset.iter(batch_size, drop_last):
            yield table
            pa.default_memory_pool().release_unused()  # Arrow would keep as much again


def _files_of(dataset: datasets.IterableDataset) -> Iterator[str]:
    """Yield the Parquet files that are streamed, for messages: only private parts of datasets tell them, if they do."""
    left = [getattr(dataset, "_ex_iterable", None)]
    while left:
        part = left.pop()
        yield from (file for file in getattr(part, "kwargs", {}).get("files", ()) if str(file).endswith(".parquet"))
        left += [*getattr(part, "ex_iterables", ()), *filter(None, [getattr(part, "ex_iterable", None)])]


class _Pause:
    """Keeps datasets, while anything is read, from sleeping five seconds after shuffled Parquet files.

    Of a file that is still open, Arrow before version 25 may crash at the process's end, which a worker's ignores.
    """

    def __init__(self) -> None:
        self._lock, self._readers, self._usual = threading.Lock(), 0, 0.0

    def __enter__(self) -> None:
        with self._lock:
            if not self._readers:
                self._usual = datasets.config.SLEEP_TIME_ON_THREADS_SHUTDOWN
            self._readers += 1
            if get_worker_info() is not None or datasets.config.PYARROW_VERSION.major >= 25:
                datasets.config.SLEEP_TIME_ON_THREADS_SHUTDOWN = 0

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._readers -= 1
            if not self._readers:
                datasets.config.SLEEP_TIME_ON_THREADS_SHUTDOWN = self._usual


_PAUSE = _Pause()
