"""Preparing a large root's spots in processes of their own, while the one that trains imports torch."""

import os
import signal
import sys
from collections.abc import Iterator
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
    process = get_context("spawn").Process(target=_prepare, args=(settings,))
    process.start()
    try:
        yield
    finally:
        assert process.pid
        with suppress(ProcessLookupError):  # it has ended, or has no group yet
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.join()


def _is_large(root: str) -> bool:
    return sum(path.stat().st_size for path in Path(root).glob("*/gene_exp/*")) >= MUCH


def _prepare(settings: Settings) -> None:
    """Prepare what a run with these settings will ask for, on all cores."""
    os.setpgid(0, 0)  # with all that it starts
    import datasets
    from joblib import cpu_count

    from stimage.training.data.magnification import without_coarse
    from stimage.training.data.parts import choose_parts
    from stimage.training.data.preparing import prepare_root

    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    with suppress(Exception):  # the run meets it again, and tells
        parts, _ = without_coarse(settings, choose_parts(settings), lambda line: None)
        list(prepare_root(settings, parts, min(cpu_count(), MOST)))
