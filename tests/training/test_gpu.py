"""`finetune_clip.py` on a GPU, in each of its ways; left out where torch sees none."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from stimage.sample import make_sample
from tests.test_scripts import SCRIPTS
from tests.towers.checkpoints import write_clip

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
ONE_GPU = SCRIPTS.parent / "configs/accelerate/one_gpu.yaml"
LAUNCH = (sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(ONE_GPU))
HELD_OUT = "Human_Breast_Sample3_Visium_B1"
WAYS = {
    "tf32": ["mixed_precision=tf32"],
    "bf16": ["mixed_precision=bf16"],
    "fp16": ["mixed_precision=fp16"],
    "compiled": ["mixed_precision=bf16", "compile=true"],
    "saving": ["mixed_precision=bf16", "gradient_checkpointing=true"],
    "chunks": ["mixed_precision=fp16", "chunk=8"],
    "all": ["mixed_precision=bf16", "compile=true", "gradient_checkpointing=true", "chunk=16"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A root, a checkpoint, a panel and settings."""
    folder = tmp_path_factory.mktemp("gpu")
    make_sample(folder / "root", genes=300, slides_per_study=2, st_side=4, visium_side=14, hd_side=4)
    write_clip(folder / "clip")
    counts = (folder / "root/Visium/gene_exp").glob("Human_*_count.csv")
    genes = set.intersection(*(set(path.open().readline().strip().split(",")[1:]) for path in counts))
    (folder / "panel.txt").write_text("\n".join(sorted(genes)[:40]))
    settings = {
        "data": {"tech": "Visium", "species": "human", "validation_slides": [HELD_OUT],
                 "panel": str(folder / "panel.txt")},
        "towers": {"image": str(folder / "clip")}, "loss": {"batch_size": 32}, "optimiser": {"lr": 1e-3},
        "run": {"epochs": 2, "checkpoint_steps": 1, "keep": 9},
    }  # fmt: skip
    (folder / "settings.yaml").write_text(json.dumps(settings))
    return folder


def command(folder: Path, out: Path, overrides: list[str]) -> list[str]:
    script = str(SCRIPTS / "finetune/finetune_clip.py")
    words = [script, str(folder / "root"), "--config", str(folder / "settings.yaml"), "--out", str(out)]
    return [*LAUNCH, *words, *(["--override", *overrides] if overrides else [])]


def finetune(folder: Path, out: Path, overrides: list[str], **environment: str) -> list[float]:
    """Run the script; return the loss of each step."""
    done = subprocess.run(command(folder, out, overrides), capture_output=True, text=True,
                          env=os.environ | environment)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((out / "results.json").read_text())["losses"]


@pytest.fixture(scope="module")
def tuned(folder, tmp_path_factory) -> Path:
    """A run in fp32."""
    out = tmp_path_factory.mktemp("tuned") / "run"
    finetune(folder, out, [])
    return out


@pytest.fixture(scope="module")
def exact(tuned) -> list[float]:
    """Its losses."""
    return json.loads((tuned / "results.json").read_text())["losses"]


def test_learns_as_on_a_cpu(exact, folder, tmp_path):
    assert finetune(folder, tmp_path / "run", [], CUDA_VISIBLE_DEVICES="") == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize("way", WAYS)
def test_learns_as_in_fp32(exact, folder, tmp_path, way):
    assert finetune(folder, tmp_path / "run", WAYS[way]) == pytest.approx(exact, abs=0.1)


def test_frozen_layers_learn_as_in_fp32(folder, tmp_path):
    frozen = finetune(folder, tmp_path / "plain", ["freeze_layers=1"])
    saving = finetune(folder, tmp_path / "saving", ["freeze_layers=1", *WAYS["all"]])
    assert saving == pytest.approx(frozen, abs=0.1)


@pytest.mark.parametrize("way", ["bf16", "fp16", "compiled"])
def test_killed_and_run_again_goes_on(exact, folder, tmp_path, way):
    out = tmp_path / "run"
    child = subprocess.Popen(command(folder, out, WAYS[way]), start_new_session=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip
    while child.poll() is None and not (out / "checkpoints/step-00000003").exists():
        time.sleep(0.005)
    assert child.poll() is None, child.stdout.read()
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    assert finetune(folder, out, WAYS[way]) == pytest.approx(exact, abs=0.1)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_embeds_as_in_float32(tuned, folder, tmp_path, dtype):
    found = []
    for kind in ("float32", dtype):
        words = [str(folder / "root"), "--tech", "Visium", "--species", "human", "--model", str(tuned / "model")]
        words += ["--dtype", kind, "--out", str(tmp_path / kind)]
        done = subprocess.run([*LAUNCH, str(SCRIPTS / "evaluation/embed_spots.py"), *words],
                              capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        tables = [pq.read_table(path) for path in sorted((tmp_path / kind).glob("*.parquet"))]
        found.append(np.concatenate([np.stack(table["embedding"].to_numpy()) for table in tables]))
    norms = np.linalg.norm(found[0], axis=1) * np.linalg.norm(found[1], axis=1)
    assert ((found[0] * found[1]).sum(1) / norms).min() > 0.995
