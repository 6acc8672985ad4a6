"""What is measured: each function does one job in a process of its own and returns what it found, to be compared.

A job that yields has something to set up: the clock starts at its first yield, and its second gives what it found.
"""

from collections.abc import Callable


def loads(*modules: str) -> Callable[[Callable], Callable]:
    """Name the modules that are loaded before a job's clock starts and its memory is read."""

    def mark(job: Callable) -> Callable:
        job.modules = modules
        return job

    return mark
