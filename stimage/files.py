"""Files that are written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stimage.errors import DataError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to, with the same suffix, which takes the place of ``path`` at the end, if no error came.

    Raises
    ------
    DataError
        At once, if there is no writing there.
    """
    unfinished = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.touch()
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); pass another file") from None
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
