"""Hold libraries to one thread, so that sums are the same on any machine, and small products wait for no busy core."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from threadpoolctl import ThreadpoolController


@cache
def _pools(with_sklearn: bool) -> ThreadpoolController:
    """Return the thread pools of loaded libraries. Looking for them takes ten milliseconds."""
    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS, OpenMP and torch to one thread during the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _pools("sklearn" in sys.modules).limit(limits=1):
            yield
    finally:
        torch.set_num_threads(before)
