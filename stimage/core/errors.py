"""The error that every room raises when the data, not the program, is wrong."""

from collections.abc import Sequence


class DataError(ValueError):
    """A file is missing, damaged or contradicts another; the message names the file, the place and the remedy."""


class OutputError(DataError):
    """The output cannot be written: there is no use in going on."""


def one_line(error: object, most: int = 300) -> str:
    """Return an exception's text in one line, cut where it is long; the system's errors give the reason, not the file.

    Parameters
    ----------
    error
        The exception, or its text.
    most
        Characters.
    """
    text = (isinstance(error, OSError) and error.strerror) or str(error)
    return " ".join(text.split())[:most] or type(error).__name__


def shown(names: Sequence[str], most: int = 20) -> str:
    """Return the first names of a list as a message has them: with commas, and with … if there are more."""
    return ", ".join(names[:most]) + (", …" if names[most:] else "")
