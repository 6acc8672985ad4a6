"""Notebooks: each runs from start to end in a process and a folder of its own, and leaves what it names."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from docs.notebooks import cells_of

TUTORIALS = Path(__file__).parents[1] / "docs/tutorials"
LEAVES = {  # what each notebook ends with
    "first_look": ["figures/first_look.png"],
    "own_slides": ["mine/meta/meta_all_gene.csv", "out/check/report.html", "out/published/README.md"],
    "tune_clip": ["out/clip/model/config.json", "out/clip/curves.png", "out/probe/results.json"],
    "benchmark": ["out/mine", "out/benchmark/expression", "out/benchmark/labels-by-slide"],
    "cells": ["sample/cells", "out/cells/Human_Breast_Sample3_Visium_A1_cells.csv", "figures/cells.png"],
}
RUN = """
import pathlib, sys
from docs.notebooks import cells_of

names, path = {"__name__": "__main__"}, sys.argv[1]
for number, (kind, source) in enumerate(cells_of(pathlib.Path(path).read_text(encoding="utf-8"))):
    if kind == "code":
        exec(compile(source.replace("user/", "tester/"), f"{path}, cell {number}", "exec"), names)
"""


def test_each_notebook_is_here():
    assert sorted(path.stem for path in TUTORIALS.glob("*.ipynb")) == sorted(LEAVES)


@pytest.mark.parametrize("name", LEAVES)
def test_a_notebook_is_short_and_has_no_outputs(name):
    text = (TUTORIALS / f"{name}.ipynb").read_text(encoding="utf-8")
    book = json.loads(text)
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)  # cells have ids
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert code and not [cell for cell in code if cell["outputs"] or cell["execution_count"] is not None]
    lines = [source.splitlines() for kind, source in cells_of(text) if kind == "code"]
    assert max(map(len, lines)) <= 12 and max(len(line) for cell in lines for line in cell) <= 120


@pytest.mark.slow
@pytest.mark.parametrize("name", LEAVES)
def test_a_notebook_runs_to_its_end(name, tmp_path, hub):
    env = {**hub.env(), "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RUN, TUTORIALS / f"{name}.ipynb"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    assert not [path for path in LEAVES[name] if not (tmp_path / path).exists()]
