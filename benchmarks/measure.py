"""Running one case in a process of its own, on one core, and saying what it took."""

import json
import os
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

THREADS = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "ARROW_NUM_THREADS", "VIPS_CONCURRENCY"), "1"
)
IMPORTS = {  # loaded before the clock starts and the memory is read
    "pandas": ("pandas", "pyarrow", "PIL.Image"),
    "plain": ("pandas", "pyarrow", "PIL.Image"),
    "polars": ("polars",),
    "pyarrow": ("pyarrow.csv", "pandas"),
    "pillow": ("PIL.Image",),
    "ours": ("stimage.slides.spots", "pandas"),
    "stream": ("stimage_1k4m", "pyarrow.compute", "pandas", "torch"),
    "first": ("stimage_1k4m", "pandas", "torch"),
}


def measure(case: str, *arguments: str, repeats: int = 1) -> dict:
    """Run a function of `benchmarks.cases` and return its best time, its memory, and what it found.

    Returns
    -------
    dict
        ``seconds``; ``peak_mb`` of the process; ``over_mb``, how much of that came after the imports; ``found``.

    Raises
    ------
    RuntimeError
        If the process fails.
    """
    runs = []
    for _ in range(repeats):
        command = [sys.executable, "-m", "benchmarks.measure", case, *map(str, arguments)]
        done = subprocess.run(command, env=os.environ | THREADS, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{case}: {done.stderr.strip()[-2000:]}")
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return min(runs, key=lambda run: run["seconds"])


def memory_mb(key: str) -> float:
    """Return this process's resident size now ("VmRSS") or at its peak ("VmHWM"), in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1.024e-3 for line in lines if line.startswith(key))


def main() -> None:
    case, arguments = sys.argv[1], sys.argv[2:]
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    parts = case.split("_")
    for name in {module for part in parts for module in IMPORTS.get(part, ())}:
        import_module(name)
    function = getattr(import_module("benchmarks.cases"), case)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of the imports
    before, began = memory_mb("VmRSS"), time.perf_counter()
    found = function(*arguments)
    seconds = time.perf_counter() - began
    peak = memory_mb("VmHWM")
    print(json.dumps({"seconds": seconds, "peak_mb": peak, "over_mb": peak - before, "found": found}))


if __name__ == "__main__":
    main()
