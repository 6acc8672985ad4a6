"""One thread: sums are then the same whatever the machine, and small products do not wait for busy cores."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from threadpoolctl import ThreadpoolController


@cache
def _pools() -> ThreadpoolController:
    """Return the thread pools of the libraries that are loaded now; to look for them takes ten milliseconds."""
    import sklearn.linear_model  # noqa: F401  with its pools

    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS, OpenMP and torch to one thread within."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _pools().limit(limits=1):
            yield
    finally:
        torch.set_num_threads(before)
