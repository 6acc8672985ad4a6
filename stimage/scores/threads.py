"""One thread: sums are then the same whatever the machine, and small products do not wait for busy cores."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from threadpoolctl import ThreadpoolController


@cache
def _pools(with_sklearn: bool) -> ThreadpoolController:
    """Return the thread pools of what is loaded; scikit-learn brings some. To look for them takes ten milliseconds."""
    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS, OpenMP and torch to one thread within."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _pools("sklearn" in sys.modules).limit(limits=1):
            yield
    finally:
        torch.set_num_threads(before)
