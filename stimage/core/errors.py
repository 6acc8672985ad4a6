"""The error that every room raises when the data, not the program, is wrong."""

import traceback
from collections.abc import Sequence


class DataError(ValueError):
    """A file is missing, damaged or contradicts another; the message names the file, the place and the remedy."""


class OutputError(DataError):
    """The output can't be written, so that there is no use in going on."""


def one_line(error: object, most: int = 300) -> str:
    """Return the text of an exception in one line, cut where it is long.

    For an error of the system, the text is its reason, without the file.

    Parameters
    ----------
    error
        The exception, or its text.
    most
        Largest number of characters.
    """
    text = (isinstance(error, OSError) and error.strerror) or str(error)
    return " ".join(text.split())[:most] or type(error).__name__


def unreadable(where: object, error: BaseException, why: str) -> DataError:
    """Return the error for a file that a library failed to read, with the true cause.

    Parameters
    ----------
    where
        The file, or its name in errors.
    error
        The exception that the library raised.
    why
        The text for a file that is damaged or of another kind, with the remedy. If memory ran out, a package is missing
        or the system does not give the file, the error says that instead.
    """
    if isinstance(error, MemoryError):
        return DataError(f"{where}: memory ran out while it was read")
    if isinstance(error, ImportError) or (isinstance(error, OSError) and error.errno):
        return DataError(f"{where}: cannot be read ({one_line(error)})")
    return DataError(f"{where}: {why}")


def let_go(error: BaseException) -> None:
    """Clear what the frames of an error and of its causes hold, so that nothing of it outlives this thread.

    A loop over an HDF5 file holds h5py's lock. As long as an error keeps that loop, other threads wait for the lock.
    """
    part: BaseException | None = error
    done = set[int]()
    while part is not None and id(part) not in done:  # an error may be its own cause
        done.add(id(part))
        traceback.clear_frames(part.__traceback__)
        part = part.__cause__ or part.__context__


def shown(names: Sequence[str], most: int = 20) -> str:
    """Return the first names of a list as text for a message: separated by commas, with … if there are more."""
    return ", ".join(names[:most]) + (", …" if names[most:] else "")
