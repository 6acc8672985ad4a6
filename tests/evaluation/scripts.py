"""Scripts run as a user runs them, but in this process: importing torch and scikit-learn each time takes seconds."""

import json
import runpy
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from stimage.loading.embeddings import write_embeddings
from stimage.slides.catalog import read_catalog
from stimage.slides.coordinates import read_coordinates
from tests.roots import write_csv, write_slide

SCRIPTS = Path(__file__).parent.parent.parent / "scripts/evaluation"
GOLDEN = [f"Human_Breast_Andersson_10142021_ST_C{k}" for k in (2, 3, 4)]


@dataclass(frozen=True)
class Done:
    """How a script ended: 0 or None, or what it said of an error; what it printed; and its results."""

    error: str | int | None
    printed: str
    results: dict | None


def run(capsys: pytest.CaptureFixture, script: str, *arguments, out: Path) -> Done:
    """Run a script of scripts/evaluation with ``--out``."""
    before = sys.argv
    sys.argv = [script, *map(str, arguments), "--out", str(out)]
    capsys.readouterr()
    try:
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(SCRIPTS / script), run_name="__main__")
    finally:
        sys.argv = before
    path = out / "results.json"
    return Done(end.value.code, capsys.readouterr().out, json.loads(path.read_text()) if path.exists() else None)


def embed(root: Path, folder: Path, vectors=None, model: str = "noise", size: int = 8) -> Path:
    """Write embeddings of all slides of a root: noise, or what a function makes of a slide's name and ids."""
    for k, slide in enumerate(read_catalog(root).slides):
        ids = read_coordinates(slide.coord).ids.to_pylist()
        noise = np.random.default_rng(k).normal(size=(len(ids), size))
        write_embeddings(
            folder / f"{slide.name}.parquet", ids, slide.name, vectors(slide, ids) if vectors else noise, model
        )
    return folder


def labelled_root(folder, labels, slides=("Slide_A", "Slide_B")):
    """Write a root of slides of 25 spots, with the label of each spot by slide and number."""
    for k, slide in enumerate(slides):
        write_slide(folder / "root", slide, "ST", side=5, seed=k)
        spots = [f"{slide}_{i}x{j}" for i in range(5) for j in range(5)]
        rows = [[spot, labels(slide, n)] for n, spot in enumerate(spots)]
        write_csv(folder / "root/annotation" / f"{slide}_anno.csv", [["", "V2"], *rows])
    return folder / "root"
