"""`finetune_clip.py` with what does not fit: a line says so, and what was made is kept."""

import json
import os
import shutil
import subprocess

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from transformers import PreTrainedConfig

import stimage.towers.joint.modeling_spot_clip  # noqa: F401
from tests.training.finetuning import finetune, losses


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["lr=1e30", "head_lr=1e30", "checkpoint_steps=1"],
            "step 2: the loss is nan; the last good state is the checkpoint",
        ),
        (
            ["lr=1e30", "head_lr=1e30", "batch_size=128"],
            "step 1: the loss is nan; the last good state is the checkpoint",
        ),
        (["workers=-1"], "run.workers: is -1; must be a whole number of 0 or more, or null"),
        (["batch_size=100000"], "loss.batch_size: is 100000, but there are"),
        (["spots_per_slide=1"], "an epoch takes 1 of the "),
        (["neighbour_um=1e6"], "loss.neighbour_um: is 1e+06, but the spots of the largest slide lie within"),
        (["panell=x"], "knows no setting 'panell'; did you mean 'panel'?"),
        (["epochs=many"], "run.epochs: is many; must be a whole number from 1 to 1000000"),
        (["processes=2"], "2 processes were asked for, but 1 run"),
        (["towers.image={folder}/nowhere"], "cannot be read as a checkpoint"),
        (["slides=Human_Breast_Sample3_Visium_B1"], "is trained on and held out"),
        (["validation_slides=[Nobody]"], "has no slide 'Nobody'"),
        (["species=mouse"], "no slide is left"),
        (["panel={folder}/other.txt"], "lacks 1 of the panel's 2 genes: NO_SUCH_GENE"),
        (["trackers=[nobody]"], "Unsupported logging capability: nobody"),
    ],
)
def test_what_does_not_fit_is_told_in_a_line(folder, tmp_path, overrides, message):
    overrides = [override.format(folder=folder) for override in overrides]
    done = finetune(folder, tmp_path / "run", *overrides)
    assert done.returncode == 1
    assert message in done.stderr and "Traceback" not in done.stderr


def test_accelerate_that_runs_fewer_processes_than_asked(folder, tmp_path):
    launcher = ("-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2")
    done = finetune(folder, tmp_path / "run", launcher=launcher)
    assert done.returncode != 0 and "several processes were asked for, but 1 run" in done.stderr


def test_another_runs_folder_is_refused(tuned, folder, tmp_path):
    done = finetune(folder, tuned, "lr=0.5")
    assert done.returncode == 1 and "has a run with optimiser.lr=0.001, not 0.5" in done.stderr
    (tmp_path / "run").mkdir()
    (tmp_path / "run/file").touch()
    assert "is not empty" in finetune(folder, tmp_path / "run").stderr


def test_a_run_that_never_began_is_no_run(folder, tmp_path, monkeypatch):
    """Of a checkpoint that can't be fetched: the remedy is told, and the folder is free for other settings."""

    def unreachable(*args, **options):
        raise OSError("couldn't connect") from LocalEntryNotFoundError("no network")

    monkeypatch.setattr(PreTrainedConfig, "get_config_dict", unreachable)
    for epochs in (1, 2):
        done = finetune(folder, tmp_path / "run", "towers.image=openai/clip-vit-base-patch32", f"epochs={epochs}")
        assert done.returncode == 1 and "run hf download openai/clip-vit-base-patch32" in done.stderr
        assert json.loads((tmp_path / "run/settings.json").read_text())["run"]["epochs"] == epochs


def test_an_unreachable_hub_is_told_before_the_work(folder, tmp_path):
    env = os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_TOKEN": "hf_dummy"}
    done = finetune(folder, tmp_path / "run", options=("--push-to-hub", "tester/tuned"), env=env)
    assert done.returncode == 1 and "tester/tuned: the Hub said" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "run").exists()


def test_full_disk_keeps_the_last_checkpoint(tuned, folder, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        done = finetune(folder, small / "run", "checkpoint_steps=1", env=os.environ)  # as many threads as `tuned` had
        assert done.returncode == 1 and "cannot be written" in done.stderr and "Traceback" not in done.stderr
        subprocess.run(["mount", "-o", "remount,size=100m", small], check=True)
        done = finetune(folder, small / "run", "checkpoint_steps=1", env=os.environ)
        assert done.returncode == 0, done.stderr
        assert losses(small / "run") == losses(tuned)
        shutil.rmtree(small / "run")
    finally:
        subprocess.run(["umount", small], check=True)
