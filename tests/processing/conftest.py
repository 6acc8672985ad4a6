"""The sample, published once for all tests of publishing."""

from pathlib import Path

import pytest
from datasets import load_dataset

from tests.roots import write_genes
from tests.test_scripts import run

BUILD, NUMBER = "data_process/build_shards.py", "data_process/number_genes.py"


@pytest.fixture(scope="session")
def published(sample, tmp_path_factory) -> Path:
    """The sample, published."""
    out = tmp_path_factory.mktemp("published") / "out"
    done = run(BUILD, sample, out, "--workers", 2)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def root(tmp_path) -> Path:
    """Slides B and D; one that is called A or C comes before or between."""
    write_genes(tmp_path / "root", "B", ["b1", "both", "b2"])
    write_genes(tmp_path / "root", "D", ["d1", "both"], "Visium")
    return tmp_path / "root"


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
