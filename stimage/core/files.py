"""Files that are written whole or not at all, and folders that one process at a time writes into."""

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from stimage.core.errors import DataError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
log = logging.getLogger(__name__)


@contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Turn what a full or read-only disk raises, mostly without a name, into a `DataError` that names the file."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # HDF5 tells it by the second, with the number in its text
        numbers = (number for number in FULL if f"errno = {number}," in str(error))
        number = getattr(error, "errno", None) or next(numbers, None)
        if number not in FULL:
            raise
        raise DataError(f"{path}: cannot be written ({os.strerror(number)}); make room and run it again") from None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to, with the same suffix, which takes the place of ``path`` at the end, if no error came.

    Raises
    ------
    DataError
        At once, if there is no writing there; later, if the disk is full.
    """
    unfinished = path.with_name(f".{uuid4().hex}.{path.name}")  # of this thread alone
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.touch()
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); pass another file") from None
    try:
        with room_for(path):
            yield unfinished
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Wait until no other process or thread writes into a folder, and keep them waiting meanwhile; locks may be nested.

    Raises
    ------
    DataError
        If there is no writing into the folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", is_singleton=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            log.warning("%s: another process writes into it; waiting until it is done", folder)
            lock.acquire()
    except (OSError, NotImplementedError) as error:  # the latter where a file system knows no locks
        why = getattr(error, "strerror", None) or error
        raise DataError(f"{folder}: cannot be locked to write into it ({why}); pass another folder") from None
    try:
        yield
    finally:
        lock.release()
