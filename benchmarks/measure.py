"""Running one case in a process of its own, on as many cores as are asked for, and saying what it took."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
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
    "stream": ("stimage_1k4m", "pyarrow.compute", "pandas", "torch", "scipy.io"),  # datasets loads scipy.io to patch it
    "build": ("pandas", "PIL.Image", "stimage_1k4m", "stimage.processing.publish"),
    "read": ("stimage.modeling.batches", "PIL.Image"),
    "select": ("stimage.processing.select_genes", "scanpy", "pandas"),
    "probe": ("stimage.evaluation.linear_probe", "sklearn.metrics"),
    "clusters": ("stimage.evaluation.embedding_scores",),
    "silhouette": ("stimage.evaluation.silhouette", "sklearn.metrics"),
    "data": (
        "stimage.modeling.batches",
        "transformers.models.clip.image_processing_pil_clip",
        "PIL.Image",
        "pyarrow.parquet",
    ),
    "pixels": (
        "stimage.modeling.batches",
        "transformers.models.clip.image_processing_pil_clip",
        "PIL.Image",
        "pyarrow.parquet",
    ),
    "first": ("stimage_1k4m", "pandas", "torch"),
}


def measure(case: str, *arguments: str, repeats: int = 1, cores: int = 1) -> dict:
    """Run a function of `benchmarks.cases`, or of "module.function", and return its median time, memory, and find.

    Returns
    -------
    dict
        ``seconds``; ``peak_mb`` of the process and its children; ``over_mb``, how much of
        that came after the imports; ``found``.

    Raises
    ------
    RuntimeError
        If the process fails.
    """
    runs = []
    for _ in range(repeats):
        command = [sys.executable, "-m", "benchmarks.measure", str(cores), case, *map(str, arguments)]
        child = subprocess.Popen(command, env=os.environ | THREADS, stdout=-1, stderr=-1, text=True)
        peak = _watch(child)
        output, errors = child.communicate()
        if child.returncode:
            raise RuntimeError(f"{case}: {errors.strip()[-2000:]}")
        run = json.loads(output.splitlines()[-1])
        runs.append(run | {"peak_mb": peak, "over_mb": peak - run.pop("before_mb")})
    return sorted(runs, key=lambda run: run["seconds"])[len(runs) // 2]


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


def main() -> None:
    cores, case, arguments = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:cores]))
    module, _, case = case.rpartition(".")
    for name in {name for part in case.split("_") for name in IMPORTS.get(part, ())}:
        import_module(name)
    function = getattr(import_module(f"benchmarks.{module or 'cases'}"), case)
    before, began = memory_mb(), time.perf_counter()
    found = function(*arguments)
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "before_mb": before, "found": found}))


if __name__ == "__main__":
    main()
