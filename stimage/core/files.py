"""Write files and folders whole or not at all, and let only one process at a time write into a folder.

An unfinished file or folder has a hidden name, ``.name``. No listing takes it for a slide, a shard, a model or a
checkpoint, even if a killed process left it behind.
"""

import errno
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import uuid4

from filelock import FileLock, Timeout

from stimage.core.errors import DataError, OutputError, one_line

if TYPE_CHECKING:
    import h5py

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)  # the last where a file may not be so large
TORCH = ("inline_container", "iostream error")  # torch's writer of files names no reason
log = logging.getLogger(__name__)


@contextmanager
def room_for(path: str | os.PathLike) -> Iterator[None]:
    """Turn the errors of a full or read-only disk, which mostly name no file, into an `OutputError` with the file."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # HDF5, Arrow, torch and safetensors tell it by classes of their own
        if why := _no_room(error):
            raise OutputError(_cannot_be_written(path, why)) from error
        raise


def _no_room(error: Exception) -> str | None:
    """Return why a disk takes no more, if an error says so: by its number, or, as libraries do, in words."""
    for number in FULL:
        if getattr(error, "errno", None) == number or os.strerror(number) in str(error):
            return os.strerror(number)
    return one_line(error, 150) if any(word in str(error) for word in TORCH) else None


def _cannot_be_written(path: str | os.PathLike, why: str) -> str:
    return (
        f"{path}: cannot be written ({why}); what is done is kept: make it writable, with room, or "
        f"{_another(path, 'name another place')}, and run it again"
    )


def _another(path: str | os.PathLike, otherwise: str) -> str:
    """Return how to have files elsewhere: those of the cache of datasets, if a path is of it, by their variable."""
    config = sys.modules.get("datasets.config")  # without which nothing is cached
    cached = config and Path(os.path.abspath(path)).is_relative_to(os.path.abspath(config.HF_DATASETS_CACHE))
    return "set HF_DATASETS_CACHE to another folder, for it is of the cache" if cached else otherwise


@contextmanager
def writable(path: str | os.PathLike) -> Iterator[None]:
    """Turn any error of a file system into an `OutputError`, for code that only writes."""
    try:
        yield
    except OSError as error:
        raise OutputError(_cannot_be_written(path, one_line(error))) from error


def temporary_folder() -> TemporaryDirectory:
    """Make an empty folder among the system's temporary files, and remove it at the end of the block.

    Raises
    ------
    OutputError
        If no such folder can be made.
    """
    try:
        return TemporaryDirectory()
    except OSError as error:
        where = error.filename or "TMPDIR"
        raise OutputError(
            f"{where}: no temporary folder can be made ({one_line(error)}); set TMPDIR to a folder that can be written"
        ) from None


@contextmanager
def replacing(path: Path, within: Path | None = None) -> Iterator[Path]:
    """Give a path to write to, with the same suffix, which takes the place of ``path`` at the end if no error came.

    Parameters
    ----------
    within
        The folder of the unfinished file, on the same file system. None takes the folder of ``path``.

    Raises
    ------
    OutputError
        At once, if the folder can't be written; later, if the disk is full.
    """
    unfinished = (within or path.parent) / f".{uuid4().hex}.{path.name}"  # of this thread alone
    with writable(path):
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        for folder in (path.parent, unfinished.parent):
            folder.mkdir(parents=True, exist_ok=True)
        unfinished.touch()
    try:
        with room_for(path):
            yield unfinished
            unfinished.replace(path)
    finally:
        with suppress(OSError):  # of a disk that may not be written any more; its name is hidden
            unfinished.unlink(missing_ok=True)


@contextmanager
def replacing_hdf5(path: Path) -> "Iterator[h5py.File]":
    """Give an HDF5 file to write, which takes the place of ``path`` at the end, as `replacing` does.

    HDF5 by itself crashes when it closes a file that it could not write.
    """
    import h5py  # here, since it takes long to import

    with replacing(path) as unfinished, _Patient(unfinished, "w+") as raw:
        try:
            with h5py.File(raw, "w") as file:
                yield file
        finally:
            if raw.error:
                raise raw.error


class _Patient(FileIO):
    """A file that keeps the first error of writing, and takes what comes after it without writing it."""

    error: OSError | None = None

    def write(self, data) -> int:  # type: ignore[no-untyped-def]
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while len(left) and self.error is None:
                left = left[super().write(left) :]
        except OSError as error:
            self.error = error
        if self.error:
            self.seek(len(left), os.SEEK_CUR)
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0


def write_text(path: Path, text: str, within: Path | None = None) -> None:
    """Write a file as UTF-8, whole or not at all; see `replacing`."""
    with replacing(path, within) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder to write into, which takes the place of ``folder`` at the end if no error came.

    Only one process at a time may do so. The remains of a killed process are removed, or put back if it had only moved
    the old folder away. Other processes find the folder by `unfinished_folder`.

    Raises
    ------
    OutputError
        As in `replacing`.
    """
    unfinished = unfinished_folder(folder)
    with writable(folder):
        _tidy(folder)
        unfinished.mkdir(parents=True)
    try:
        with room_for(folder):
            yield unfinished
            if folder.exists():
                folder.rename(_old(folder))
            unfinished.rename(folder)
    finally:
        with writable(folder):
            _tidy(folder)


def unfinished_folder(folder: Path) -> Path:
    """Return the folder that `replacing_folder` gives to write into."""
    return folder.with_name(f".{folder.name}.unfinished")


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _tidy(folder: Path) -> None:
    """Put the old folder back if nothing took its place, and remove what else there is."""
    if _old(folder).exists() and not folder.exists():
        _old(folder).rename(folder)
    for left in (unfinished_folder(folder), _old(folder)):
        shutil.rmtree(left, ignore_errors=True)


def content_of(path: Path) -> bytes:
    """Return the bytes of a file; a pipe is an error at once, since a read would wait for it."""
    if path.exists() and not path.is_file():
        raise OSError("it is no file")
    return path.read_bytes()


def listed(folder: Path, pattern: str) -> list[Path]:
    """Return the files in a folder that match a glob pattern, sorted, without hidden ones, such as unfinished files."""
    found = folder.glob(pattern)  # which, other than a shell, finds hidden names
    return sorted(path for path in found if not any(n.startswith(".") for n in path.relative_to(folder).parts))


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Refuse to begin where another process is at work in a folder, and let it refuse others meanwhile.

    Raises
    ------
    OutputError
        If there is another, or no writing into the folder.
    """
    held, new = folder / ".at_work.lock", not folder.exists()
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(held)
        try:
            lock.acquire(blocking=False)
            if not held.exists():  # its owner ended just now: a third may have a new one
                lock.release()
                raise Timeout(str(held))
        except Timeout:
            why = "another process writes into it; wait until it is done, or pass another folder as out= (--out)"
            raise OutputError(f"{folder}: {why}") from None
        except NotImplementedError:  # of a file system
            log.warning("%s: its file system knows no locks; start no second run into it", folder)
    try:
        yield
    finally:
        with suppress(OSError):
            held.unlink()
            if new and not os.listdir(folder):  # what was to write here was refused
                folder.rmdir()
        lock.release()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Wait until no other process or thread writes into a folder, and keep others waiting during the block.

    Locks may be nested.

    Raises
    ------
    OutputError
        If the folder can't be written.
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
        why = f"cannot be locked to write into it ({one_line(error)})"
        raise OutputError(f"{folder}: {why}; {_another(folder, 'pass another folder')}") from None
    try:
        yield
    finally:
        lock.release()
