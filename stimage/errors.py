"""The error that every room raises when the data, not the program, is wrong."""


class DataError(ValueError):
    """A file is missing, damaged or contradicts another; the message names the file, the place and the remedy."""
