"""Preparing a large root's spots in processes of their own, while the one that trains imports torch."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path

from stimage.training.settings.groups import Settings

MUCH = 200_000_000  # bytes of a root's counts; fewer are prepared before such processes have started
MOST = 8  # of them, each of which takes some 300 MB


@contextmanager
def prepared_beside(settings: Settings) -> Iterator[None]:
    """Begin to prepare the spots of a run, if there are many and their root is a folder.

    `load_spots` waits for these spots, since datasets locks what it prepares. A failure here is silent: `load_spots`
    then meets it again, and reports it. Processes that still work at the end of the block are ended.
    """
    if int(os.environ.get("RANK", 0)) or not _is_large(settings.data.source):
        yield
        return
    from stimage.training.data.preparing import prepare_all  # before the fork, for both need what it imports

    process = get_context("fork").Process(target=_prepare, args=(prepare_all, settings))
    process.start()
    try:
        yield
    finally:
        if process.pid and process.exitcode != 0:  # else its number may be that of another process by now
            with suppress(ProcessLookupError):  # it has no group yet
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.join()


def _is_large(root: str) -> bool:
    with suppress(OSError):  # of a link that leads nowhere: the run tells, if it needs the file
        return sum(path.stat().st_size for path in Path(root).glob("*/gene_exp/*")) >= MUCH
    return False


def _prepare(prepare_all: Callable[[Settings, int], None], settings: Settings) -> None:
    os.setpgid(0, 0)  # with all that it starts
    with suppress(Exception):  # the run meets it again, and tells
        prepare_all(settings, MOST)
