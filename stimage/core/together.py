"""Put files in their places below a folder together: all of them or none, even if a process is killed.

Files are first written into a hidden folder beside. Its renaming decides: a kill before it changes nothing, and after
it, the next process that lists or writes the folder finishes the work.
"""

import logging
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from stimage.core.errors import DataError, OutputError
from stimage.core.files import listed, locked, room_for, writable

log = logging.getLogger(__name__)
BEGUN, READY, LOCK, GONE = ".begun-", ".ready", ".lock", ".gone"


@contextmanager
def staged(root: Path) -> Iterator[Path]:
    """Give an empty folder for this process alone, on the file system of ``root``; files left in it are removed.

    Raises
    ------
    OutputError
        If the folder can't be written, or the disk is full.
    """
    with locked(root), writable(root):
        _remove_killed(root)
        stage = root / f"{BEGUN}{uuid4().hex}"
        stage.mkdir()
        alive = FileLock(stage / LOCK, is_singleton=True)
        alive.acquire()
    try:
        with room_for(root):
            yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        alive.release()


def place(stage: Path, root: Path, instead_of: Iterable[str] = ()) -> None:
    """Put the files of a stage in the same places below ``root``, all of them or none; the caller has locked ``root``.

    Parameters
    ----------
    instead_of
        Files below ``root``, by name, that the new files replace under another name, and that are removed with it.
    """
    finish_placing(root)
    (stage / GONE).write_text("\n".join(instead_of), encoding="utf-8")
    stage.rename(root / READY)
    finish_placing(root)


def finish_placing(root: Path) -> None:
    """Put files in their places that a killed process left ready.

    Raises
    ------
    DataError
        If there are such files, and ``root`` can't be written.
    """
    ready = root / READY
    if not ready.is_dir():
        return
    try:
        with locked(root), writable(root):
            for file in (path for path in listed(ready, "**/*") if path.is_file()):
                to = root / file.relative_to(ready)
                to.parent.mkdir(parents=True, exist_ok=True)
                file.replace(to)
            if (ready / GONE).exists():
                for name in filter(None, (ready / GONE).read_text(encoding="utf-8").split("\n")):
                    (root / name).unlink(missing_ok=True)
            shutil.rmtree(ready, ignore_errors=True)
    except OutputError as error:
        raise DataError(f"{ready}: files of a slide whose adding was cut off are not in place yet ({error})") from None


def not_in_place(root: Path) -> set[str]:
    """Put files in their places as `finish_placing` does, and return the paths below ``root`` where that fails.

    A root on a read-only disk can thus be read.
    """
    try:
        finish_placing(root)
    except DataError as error:
        log.warning("%s; until it can be written, it is read as it is", error)
    else:
        return set()  # what is there now, another process is placing at this moment
    return {path.relative_to(root / READY).as_posix() for path in listed(root / READY, "**/*") if path.is_file()}


def replaced(root: Path, waiting: Collection[str]) -> set[str]:
    """Return files below ``root`` that files of another name replaced, and that could not be removed yet.

    ``waiting`` are the files that are `not_in_place`: while a new file waits, the old one of its folder counts.
    """
    try:
        names = (root / READY / GONE).read_text(encoding="utf-8").split("\n")
    except OSError:
        return set()  # nothing was cut off
    held = {name.rpartition("/")[0] for name in waiting}
    return {name for name in names if name and name.rpartition("/")[0] not in held}


def _remove_killed(root: Path) -> None:
    """Remove the stages of processes that are no more: their locks are free."""
    for stage in root.glob(f"{BEGUN}*"):
        with suppress(Timeout), FileLock(stage / LOCK, blocking=False):
            shutil.rmtree(stage, ignore_errors=True)
