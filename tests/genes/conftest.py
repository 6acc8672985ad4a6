"""A root whose slides leave room between their names."""

from pathlib import Path

import pytest

from tests.roots import write_genes


@pytest.fixture
def root(tmp_path) -> Path:
    """Slides B and D; one that is called A or C comes before or between."""
    write_genes(tmp_path / "root", "B", ["b1", "both", "b2"])
    write_genes(tmp_path / "root", "D", ["d1", "both"], "Visium")
    return tmp_path / "root"
