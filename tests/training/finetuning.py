"""A small root, its panel and settings; fine-tuning on it; and one run, to compare with."""

import json
import subprocess
import sys
from pathlib import Path

from tests.test_scripts import SCRIPTS, run

SCRIPT = SCRIPTS / "finetune/finetune_clip.py"
HELD_OUT = ["Human_Breast_Sample3_Visium_B1"]
SETTINGS = {
    "data": {"tech": "Visium", "species": "human", "validation_slides": HELD_OUT},
    "loss": {"batch_size": 32}, "optimiser": {"lr": 1e-3}, "run": {"epochs": 2, "workers": 1},
}  # fmt: skip


def command(folder: Path, out: Path, *overrides: str, data=None, launcher=(), options=()) -> list[str]:
    return [sys.executable, *launcher, str(SCRIPT), str(data or folder / "root"), "--config",
            str(folder / "settings.yaml"), "--out", str(out), *options, "--override", "keep=2", *overrides]  # fmt: skip


def finetune(*args, env=None, **more) -> subprocess.CompletedProcess:
    """Run the script: in this process, or with a launcher or an environment in one of its own."""
    words = command(*args, **more)
    if env is None and words[1] == str(SCRIPT):
        return run("finetune/finetune_clip.py", *words[2:])
    return subprocess.run(words, capture_output=True, text=True, env=env)


def losses(out: Path) -> list[float]:
    return json.loads((out / "results.json").read_text())["losses"]
