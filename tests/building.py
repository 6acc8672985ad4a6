"""The sample, published once for all tests, and looking at what was built."""

from pathlib import Path

import pytest
from datasets import load_dataset

from tests.test_scripts import run

BUILD, NUMBER = "data_process/build_shards.py", "data_process/number_genes.py"


@pytest.fixture(scope="session")
def published(sample, tmp_path_factory) -> Path:
    """The sample, published."""
    out = tmp_path_factory.mktemp("published") / "out"
    done = run(BUILD, sample, out, "--workers", 2)
    assert done.returncode == 0, done.stderr
    return out


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
