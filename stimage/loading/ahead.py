"""Batches made ahead of their reader: one thread reads, others fill memory that is used again.

Decoders and Arrow give the interpreter lock back, so threads decode as fast as processes, and nothing is copied between
them. Processes are for the work of Python itself, such as cutting a root's patches.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from math import prod
from typing import Any
from weakref import finalize

import numpy as np
import torch
from joblib import cpu_count
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from stimage.core.errors import DataError

Task = Callable[[], None]  # fills a part of a batch
Begun = Generator[tuple[Any, list[Task]], None, None]  # batches, and what is to be done until they are whole
AHEAD = 1  # batches that are read and filled beside the one that was asked for
MOST_WORKERS = 16  # threads that decode, or processes that read, each with two batches ready
KEPT = 4  # blocks of a size that wait for their next use
END = object()


class Memory:
    """Memory for tensors: a block is used again when no tensor, view or array refers to it any more.

    Parameters
    ----------
    for_device
        True takes torch's own memory, which waits for copies to a device: pinned under CUDA.
    """

    def __init__(self, for_device: bool = False):
        self._for_device = for_device
        self._free: dict[int, deque[np.ndarray]] = {}

    def empty(self, shape: tuple[int, ...], kind: np.dtype) -> torch.Tensor:
        """Return a tensor of any content."""
        if self._for_device:
            blank = torch.from_numpy(np.empty(0, kind))
            return torch.empty(shape, dtype=blank.dtype, pin_memory=torch.cuda.is_available())
        size = prod(shape) * kind.itemsize
        room = 1 << max(0, size - 1).bit_length()  # batches differ in their number of counts; unused pages cost nothing
        free = self._free.setdefault(room, deque(maxlen=KEPT))
        block = free.pop() if free else np.empty(room, np.uint8)
        part = block[:size].view(kind).reshape(shape)
        finalize(part, free.append, block).atexit = False  # the tensor's storage, and all its views, keep this array
        return torch.from_numpy(part)

    def copy(self, values: np.ndarray) -> torch.Tensor:
        """Return values as a tensor of memory from here."""
        tensor = self.empty(values.shape, values.dtype)
        tensor.numpy()[...] = values
        return tensor


@dataclass(frozen=True)
class Failure:
    """The error that a process returns in place of a batch: torch would put its own lines before the message."""

    message: str


class Batches(IterableDataset):
    """Batches for a `DataLoader`: read and filled by threads of this process, or by several processes."""

    hands_over = False  # errors, too, to an `AheadLoader`

    def begin(self, memory: Memory, worker: int, workers: int) -> Begun:
        """Read a worker's share: yield each batch, with memory of ``memory``, and the tasks that fill it."""
        raise NotImplementedError

    def failed(self, batch: Any, error: DataError) -> Any:
        """Return the item that takes the place of a batch that could not be filled."""
        raise error

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self.made()
        except DataError as error:
            if not self.hands_over:
                raise
            yield Failure(str(error))

    def made(self) -> Iterator[Any]:
        """Yield this process' batches."""
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        memory = Memory(for_device=info is None and torch.accelerator.is_available())
        decoders = min(cores(), MOST_WORKERS) if info is None else 1
        with closing(run_ahead(self.begin(memory, worker, workers), decoders)) as batches:
            for batch, filled in batches:
                try:
                    for task in filled:
                        task.result()
                except DataError as error:
                    batch = self.failed(batch, error)
                yield batch


def run_ahead(begun: Begun, decoders: int) -> Generator[tuple[Any, list[Future]], None, None]:
    """Read batches in a thread of its own and start their tasks in others; yield them in order, perhaps unfinished."""
    reader, pool = ThreadPoolExecutor(1, "stimage-read"), ThreadPoolExecutor(decoders, "stimage-decode")

    def step() -> Any:
        batch, tasks = next(begun, (END, []))
        return batch, [pool.submit(task) for task in tasks]

    try:
        read = deque(reader.submit(step) for _ in range(AHEAD))
        while (item := read.popleft().result())[0] is not END:
            read.append(reader.submit(step))
            yield item
    finally:
        for threads in (reader, pool):
            threads.shutdown(cancel_futures=True)
        begun.close()


class AheadLoader(DataLoader):
    """A loader that reads in this process, by threads (``workers`` 0), or in so many processes.

    Errors of either kind are the same `DataError`.
    """

    def __init__(self, batches: Batches, workers: int):
        super().__init__(batches, batch_size=None, num_workers=workers, pin_memory=torch.cuda.is_available())
        batches.hands_over = workers > 0

    def __iter__(self) -> Any:
        for batch in super().__iter__():
            if isinstance(batch, Failure):
                raise DataError(batch.message)
            yield batch


def cores() -> int:
    """Return this rank's share of the cores that its processes may run on."""
    return max(1, cpu_count() // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
