"""What is made once for all tests, the sample published, and looking at what was built."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from datasets import load_dataset
from filelock import FileLock

from tests.test_scripts import run

BUILD, NUMBER = "data_process/build_shards.py", "data_process/number_genes.py"


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that `make` fills, once for all workers of a run; tests only read from it."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    made = folder.with_name(f"{name}.made")
    with FileLock(folder.with_name(f"{name}.lock")):
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)  # left by a worker that failed to make it
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


def ended(process: subprocess.Popen) -> tuple[list[str], int]:
    """Wait for a process; return what its stderr says, but for that it waited for another one, and its exit status."""
    lines = process.communicate()[1].splitlines()
    return [line for line in lines if not line.endswith("waiting until it is done")], process.returncode


@pytest.fixture(scope="session")
def published(sample, tmp_path_factory) -> Path:
    """The sample, published."""

    def publish(folder: Path) -> None:
        done = run(BUILD, sample, folder / "out", "--workers", 2)
        assert done.returncode == 0, done.stderr

    return once(tmp_path_factory, "published", publish) / "out"


def load(root: Path, **options):
    """Load all of a root."""
    return load_dataset("stimage_1k4m", "all", data_dir=str(root), split="train", **options)


def files(folder: Path) -> dict[str, bytes]:
    """Return all that is in a folder, but for what a killed process left half done."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".build/tmp" not in str(path)
    }
