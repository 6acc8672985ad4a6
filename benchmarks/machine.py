"""What was measured on: the machine, the versions, the commit; nothing that names a person, a host or a folder."""

import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.measure import ROOT
from stimage.core.results import versions_of

PACKAGES = ("accelerate", "datasets", "numpy", "pandas", "pillow", "polars", "pyarrow", "pyvips", "pyvips-binary",
            "scanpy", "scikit-learn", "simplejpeg", "torch", "transformers")  # fmt: skip
HARDWARE = ("processor", "cores", "memory_gib", "system", "gpu")


def describe() -> dict:
    """Return the machine's `HARDWARE`, ``python``, ``versions``, ``commit``, ``date``.

    ``gpu`` is null where torch sees none, ``commit`` if this is no checkout, a version of what is not there.
    """
    return {
        "processor": _first("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "gpu": _gpu(),
        "system": f"{_distribution()}, {platform.system()} {platform.release()}, {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions_of(PACKAGES),
        "commit": _commit(),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
    }


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:  # it has no such file
        return "unknown distribution"


def _first(path: str, key: str) -> str:
    lines = Path(path).read_text().splitlines() if Path(path).exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")


def _commit() -> str | None:
    """Return the commit of this checkout, with a + if files differ from it."""
    if not (ROOT / ".git").exists():
        return None
    return _git("rev-parse", "--short=12", "HEAD") + ("+" if _git("status", "--porcelain") else "")


def _git(*command: str) -> str:
    return subprocess.run(["git", "-C", str(ROOT), *command], capture_output=True, text=True, check=True).stdout.strip()
