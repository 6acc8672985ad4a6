"""Running one job in processes of its own, on as many cores as are asked for, and saying what it took."""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from inspect import isgeneratorfunction
from math import inf
from pathlib import Path

ROOT = Path(__file__).parent.parent
THREADS = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "ARROW_NUM_THREADS", "VIPS_CONCURRENCY"), "1"
)


def measure(
    job: str, *arguments: object, cores: int = 1, repeats: int = 1, long: float = inf, most: float | None = None
) -> list[dict]:
    """Run a job, "module.function" of `benchmarks.jobs`, some times, but once if it takes ``long`` seconds.

    Parameters
    ----------
    most
        Seconds after which it is stopped.

    Returns
    -------
    list of dict
        Of each run ``seconds``; ``cpu``, the seconds that its process and the processes that ended before it worked,
        which a busy machine changes least; ``peak_mb``, what its process and the processes that it started had
        allocated at most; ``mb``, how much of that came after the imports; ``resident_mb``, the most that they had in
        memory, with the pages of files that they map; ``found``. A child's memory counts whole, shared or not.

    Raises
    ------
    RuntimeError
        If the process fails.
    TimeoutError
        If it is stopped.
    """
    command = [sys.executable, "-m", "benchmarks.measure", *map(str, (cores, repeats, long, job, *arguments))]
    environment = os.environ | THREADS | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # of containers: modules would be compiled anew in each process
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, error = process.communicate(timeout=most)
    except subprocess.TimeoutExpired:
        for one in list(_family(process.pid)):
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        process.communicate()
        raise TimeoutError(f"{job}: was stopped after {most:.0f} s") from None
    if process.returncode:
        raise RuntimeError(f"{job}: {error.strip()[-2000:]}")
    return json.loads(out.splitlines()[-1])


def _run_apart(job: str, arguments: list[str]) -> dict:
    """Run a job in a fork of this process, which has nothing but the imports, and watch its memory."""
    with tempfile.TemporaryFile("w+") as result:
        if not (child := os.fork()):
            status = 1
            os.setpgid(0, 0)
            try:
                json.dump(run_here(job, *arguments), result)
                result.flush()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        peak, resident, status = _watch(child)
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # workers that wait for more work
        if status:
            sys.exit(1)
        result.seek(0)
        run = json.load(result)
    return run | {"peak_mb": peak, "mb": max(peak - run.pop("before_mb"), 0.0), "resident_mb": resident}


def _watch(child: int) -> tuple[float, float, int]:
    """Look at a process until it ends, first a hundred times a second, then ten: looking takes a core's time, too.

    Returns the most that it had allocated and that it had resident, in MB, and its status.
    """
    peak, resident, began = 0.0, 0.0, time.perf_counter()
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        family = list(_family(child))
        peak = max(peak, sum(map(memory_mb, family)))
        resident = max(resident, sum(memory_mb(process, "VmRSS") for process in family))
        time.sleep(min(max(0.01, (time.perf_counter() - began) / 100), 0.1))
    return peak, resident, ended[1]


def _family(process: int) -> Iterator[int]:
    """Give a process and all that it has started."""
    yield process
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # it has just ended
            for child in path.read_text().split():
                yield from _family(int(child))


def memory_mb(process: int | str = "self", kind: str = "RssAnon") -> float:
    """Return what a process has allocated, in MB; the cached pages of files that it maps count in VmRSS only."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:  # it has just ended
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith(kind)) * 1.024e-3


def find_job(job: str) -> Callable:
    """Return a job's function."""
    module, _, name = job.partition(".")
    return getattr(import_module(f"benchmarks.jobs.{module}"), name)


def run_here(job: str, *arguments: object) -> dict:
    """Run a job in this process; returns its ``seconds``, ``cpu``, ``before_mb`` and ``found``."""
    function, arguments = find_job(job), [str(argument) for argument in arguments]
    if isgeneratorfunction(function):
        steps = function(*arguments)
        next(steps)
    before, worked, began = memory_mb(), _cpu(), time.perf_counter()
    found = next(steps) if isgeneratorfunction(function) else function(*arguments)
    return {"seconds": time.perf_counter() - began, "cpu": _cpu() - worked, "before_mb": before, "found": found}


def _cpu() -> float:
    """Return the seconds that this process, and those that it started and that ended, have worked."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def main() -> None:
    cores, repeats, long, job, *arguments = sys.argv[1:]
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: int(cores)]))
    for name in find_job(job).modules:
        import_module(name)
    runs: list[dict] = []
    while len(runs) < int(repeats) and not (runs and runs[0]["seconds"] > float(long)):
        runs.append(_run_apart(job, arguments))
    print(json.dumps(runs))


if __name__ == "__main__":
    main()
