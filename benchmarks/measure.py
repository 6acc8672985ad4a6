"""Running one job in a process of its own, on as many cores as are asked for, and saying what it took."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from inspect import isgeneratorfunction
from pathlib import Path

ROOT = Path(__file__).parent.parent
THREADS = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "ARROW_NUM_THREADS", "VIPS_CONCURRENCY"), "1"
)


def measure(job: str, *arguments: object, cores: int = 1) -> dict:
    """Run a job, "module.function" of `benchmarks.jobs`, once.

    Returns
    -------
    dict
        ``seconds``; ``peak_mb``, what the process and its children had allocated at most; ``mb``, how much of that came
        after the imports; ``found``. A forked child's memory counts whole, shared or not.

    Raises
    ------
    RuntimeError
        If the process fails.
    """
    command = [sys.executable, "-m", "benchmarks.measure", str(cores), job, *map(str, arguments)]
    environment = os.environ | THREADS | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(command, env=environment, stdout=output, stderr=errors)
        peak = _watch(child)
        for file in (output, errors):
            file.seek(0)
        if child.returncode:
            raise RuntimeError(f"{job}: {errors.read().strip()[-2000:]}")
        run = json.loads(output.read().splitlines()[-1])
    return run | {"peak_mb": peak, "mb": max(peak - run.pop("before_mb"), 0.0)}


def _watch(child: subprocess.Popen) -> float:
    """Look at a process a hundred times a second until it ends, and return its largest memory in MB."""
    peak = 0.0
    while child.poll() is None:
        peak = max(peak, sum(map(memory_mb, _family(child.pid))))
        time.sleep(0.01)
    return peak


def _family(process: int) -> Iterator[int]:
    """Give a process and all that it has started."""
    yield process
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # it has just ended
            for child in path.read_text().split():
                yield from _family(int(child))


def memory_mb(process: int | str = "self") -> float:
    """Return what a process has allocated, in MB; the cached pages of files that it maps are not counted."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:  # it has just ended
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1.024e-3


def find_job(job: str) -> Callable:
    """Return a job's function."""
    module, _, name = job.partition(".")
    return getattr(import_module(f"benchmarks.jobs.{module}"), name)


def run_here(job: str, *arguments: object) -> dict:
    """Run a job in this process; returns its ``seconds``, ``before_mb`` and ``found``."""
    function, arguments = find_job(job), [str(argument) for argument in arguments]
    for name in function.modules:
        import_module(name)
    if isgeneratorfunction(function):
        steps = function(*arguments)
        next(steps)
    before, began = memory_mb(), time.perf_counter()
    found = next(steps) if isgeneratorfunction(function) else function(*arguments)
    return {"seconds": time.perf_counter() - began, "before_mb": before, "found": found}


def main() -> None:
    cores, job, arguments = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:cores]))
    print(json.dumps(run_here(job, *arguments)))


if __name__ == "__main__":
    main()
