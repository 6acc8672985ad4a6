"""The error that every room raises when the data, not the program, is wrong."""

from collections.abc import Sequence


class DataError(ValueError):
    """A file is missing, damaged or contradicts another; the message names the file, the place and the remedy."""


def shown(names: Sequence[str], most: int = 20) -> str:
    """Return the first names of a list as a message has them: with commas, and with … if there are more."""
    return ", ".join(names[:most]) + (", …" if names[most:] else "")
