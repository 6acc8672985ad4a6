"""The cache of datasets: what is prepared is kept in it, and what is streamed needs none."""

import os

import datasets

from stimage.core.errors import OutputError
from stimage.core.storage import why_not_writable

NONE = "memory://no-cache"  # of a cache that is no folder of this machine, datasets makes no folder and no lock


def for_streaming(cache_dir: str | os.PathLike | None = None) -> str:
    """Return the cache to open a data set with that is streamed: `NONE` where there is no writing into it."""
    folder = _folder(cache_dir)
    return NONE if "://" not in folder and why_not_writable(folder) else folder


def for_preparing(cache_dir: str | os.PathLike | None = None) -> str:
    """Return the cache to prepare a data set in.

    Raises
    ------
    OutputError
        If there is no writing into it.
    """
    folder = _folder(cache_dir)
    if "://" not in folder and (why := why_not_writable(folder)):
        raise OutputError(
            f"{folder}: datasets cannot prepare spots in this cache ({why}); set HF_DATASETS_CACHE to a folder that "
            "can be written; load takes it as cache_dir=, too, and with streaming=True needs none"
        )
    return folder


def _folder(cache_dir: str | os.PathLike | None) -> str:
    return os.path.expanduser(cache_dir or datasets.config.HF_DATASETS_CACHE)
