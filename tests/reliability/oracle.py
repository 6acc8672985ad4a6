"""What may come of a fault: the right result, or the project's own error that names the file. Nothing else."""

import resource
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from stimage.core.errors import DataError
from tests.reliability.faults import Fault, as_a_user

SECONDS, WAITING = 30, 600  # that a case may take, of processor time and of any
MEGABYTES = 400  # of further memory
TALLY: Counter = Counter()  # (door, kind, action, outcome) → cases


class Hang(BaseException):
    """A case took too long; no handler of errors stops it."""


def limit_time(seconds: int = SECONDS, waiting: int = WAITING) -> None:
    """Let SIGPROF come after so much processor time, whatever else runs, and SIGALRM after so much of any."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.alarm(waiting)


@contextmanager
def limits() -> Iterator[None]:
    """Stop a case that takes too long, and fail one that takes memory."""

    def stop(number, _):
        raise Hang(f"more than {SECONDS} s" if number == signal.SIGPROF else f"waits for {WAITING} s")

    handlers = {number: signal.signal(number, stop) for number in (signal.SIGPROF, signal.SIGALRM)}
    limit_time()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        yield
    finally:
        limit_time(0, 0)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < MEGABYTES, f"took {grown:.0f} MB more"


def judge(door: str, fault: Fault, files: Sequence[str], act: Callable[[], Any], check: Callable[[Any], None]) -> bool:
    """Run a case, count what came of it, and return whether there was a result.

    ``files`` are names of which the error must have one; ``check`` raises if a result is not right.
    """
    outcome, result = "right result", None
    with limits(), as_a_user():
        try:
            result = act()
        except DataError as error:
            outcome = "own error"
            assert any(name in str(error) for name in files), f"{fault}: {error!s}\nnames none of {files}"
            noise = "h5py/_objects" in str(error)  # of closing what can't be written
            assert noise or "Traceback" not in str(error), f"{fault}: {error!s}"
        except Exception:
            raise AssertionError(f"{fault}: a foreign error\n{traceback.format_exc()}") from None
    if outcome == "right result":
        check(result)
    TALLY[door, fault.kind, fault.action, outcome] += 1
    return outcome == "right result"
