"""A small root with a panel and settings, and one run of fine-tuning to compare with; made once for all workers."""

import json
import os
from pathlib import Path

import pytest

from stimage.sample import make_sample
from tests.building import once
from tests.test_scripts import run
from tests.training.finetuning import SETTINGS, finetune


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """A root with two human Visium slides, a checkpoint, panels and settings."""

    def make(folder: Path) -> None:
        from tests.towers.checkpoints import write_clip  # which takes seconds, and not all tests want it

        make_sample(folder / "root", genes=300, slides_per_study=2, st_side=4, visium_side=14, hd_side=4)
        write_clip(folder / "clip")
        done = run("data_process/select_genes.py", folder / "root", "--tech", "Visium", "--species", "human",
                   "--method", "hvg-consensus", "--n", 40, "--out", folder / "panel.json")  # fmt: skip
        assert done.returncode == 0, done.stderr
        (folder / "other.txt").write_text("ERBB2\nNO_SUCH_GENE\n")
        data = SETTINGS["data"] | {"panel": str(folder / "panel.json")}
        made = SETTINGS | {"towers": {"image": str(folder / "clip")}, "data": data}
        (folder / "settings.yaml").write_text(json.dumps(made))

    return once(tmp_path_factory, "finetuning", make)


@pytest.fixture(scope="session")
def tuned(folder, tmp_path_factory) -> Path:
    """A run on it."""

    def make(out: Path) -> None:
        done = finetune(folder, out / "run", env=os.environ)  # to the same bytes as one that was killed
        assert done.returncode == 0, done.stderr

    return once(tmp_path_factory, "tuned", make) / "run"
