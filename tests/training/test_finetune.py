"""`finetune_clip.py` as a user runs it: what it makes, interrupted, and on two processes."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub import HfApi
from safetensors.torch import load_file
from transformers import AutoModel, CLIPModel, CLIPVisionModelWithProjection

import stimage.towers.joint.modeling_spot_clip  # noqa: F401
from stimage.core.errors import DataError
from stimage.core.results import versions_of
from stimage.training.launch import autocast_of
from stimage.training.settings.reading import read_settings
from stimage.training.validation import spare_cores
from tests.test_scripts import run
from tests.training.finetuning import HELD_OUT, command, finetune, losses

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


def weights(out: Path) -> dict[str, torch.Tensor]:
    """Return the weights of a run's last checkpoint."""
    return load_file(max((out / "checkpoints").glob("step-*")) / "model.safetensors")


def test_a_run_learns_and_says_what_it_did(tuned, folder):
    results = json.loads((tuned / "results.json").read_text())
    history = results["history"]
    assert [scores["epoch"] for scores in history] == [0, 1, 2]
    assert history[-1]["loss"] < history[0]["loss"] - 0.1
    assert {"pooled_image_to_other_recall@10", "slide_other_to_image_median_rank", "probe_f1"} <= history[-1].keys()
    assert results["slides"]["validation"] == HELD_OUT
    model = AutoModel.from_pretrained(tuned / "model")
    assert list(model.config.genes) == json.loads((folder / "panel.json").read_text())["genes"]
    card = (tuned / "model/README.md").read_text()
    exec(re.search(r"```python\n(.*?)```", card, re.S)[1], shown := {})
    assert type(shown["model"]).__name__ == "SpotClipModel"
    assert shown["processor"].image_processor.crop_size["height"] == 32
    assert shown["found"].image_embeds.shape == shown["found"].gene_embeds.shape == (1, model.config.latent_dim)
    assert "Human_Breast_Sample3_Visium_B1" in card and f"| 2 | {history[-1]['loss']:.4g}" in card
    assert "\nTrained on: Human_Breast_Sample3_Visium_A1.\n" in card
    assert results["panel_saw"] == HELD_OUT  # of the panel that this test makes
    assert "chosen on 1 of these slides, too" in card
    assert (tuned / "curves.png").stat().st_size > 10_000
    assert not [p for p in tuned.rglob("*") if p.name.startswith((".", "unfinished"))]


def test_published_spots_give_the_same_run(tuned, folder, tmp_path):
    done = run("data_process/build_shards.py", folder / "root", tmp_path / "shards", "--tech", "Visium",
               "--species", "human")  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = finetune(folder, tmp_path / "run", data=tmp_path / "shards")
    assert done.returncode == 0, done.stderr
    assert losses(tmp_path / "run") == pytest.approx(losses(tuned), abs=1e-5)


@pytest.mark.parametrize("launcher", [TORCHRUN, (*TORCHRUN, str(Path(__file__).with_name("fsdp_on_cpus.py")))])
def test_two_processes_give_the_same_run(tuned, folder, tmp_path, launcher):
    done = finetune(folder, tmp_path / "run", "processes=2", launcher=launcher)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run/results.json").read_text())["processes"] == 2
    assert losses(tmp_path / "run") == pytest.approx(losses(tuned), abs=1e-4)
    ours, theirs = (load_file(run / "model/model.safetensors") for run in (tmp_path / "run", tuned))
    assert ours.keys() == theirs.keys()
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-3) for name in ours)


def test_chunks_and_few_slides_and_frozen_layers(tuned, folder, tmp_path):
    done = finetune(folder, tmp_path / "chunks", "chunk=8")
    assert done.returncode == 0, done.stderr
    assert losses(tmp_path / "chunks") == pytest.approx(losses(tuned), abs=1e-4)
    done = finetune(folder, tmp_path / "run", "slides_per_batch=1", "freeze_layers=1", "optimiser.kind=adam",
                    "cosine=false", "mixed_precision=bf16", "towers.second=mlp", "trackers=[tensorboard]",
                    "epochs=1")  # fmt: skip
    assert done.returncode == 0, done.stderr
    before, after = load_file(folder / "clip/model.safetensors"), weights(tmp_path / "run")
    same = [n for n in before if n.startswith("vision_model.") and torch.equal(before[n], after[f"model.{n}"])]
    lowest = ("vision_model.embeddings", "vision_model.pre", "vision_model.encoder.layers.0")
    assert all(name.startswith(lowest) for name in same)
    assert len(same) > 15
    assert list(tmp_path.rglob("events.out.tfevents*"))


def test_killed_at_some_steps_and_run_again_ends_in_the_same_weights(tuned, folder, tmp_path):
    out = tmp_path / "run"
    for step in (1, 3, 4):
        child = subprocess.Popen(command(folder, out, "checkpoint_steps=1"), stderr=subprocess.PIPE, text=True)
        while child.poll() is None and not (out / f"checkpoints/step-{step:08d}").exists():
            time.sleep(0.005)
        assert child.poll() is None, child.stderr.read()
        child.send_signal(signal.SIGKILL)
        child.communicate()
    done = finetune(folder, out, "checkpoint_steps=1", env=os.environ)
    assert done.returncode == 0 and "going on after step" in done.stdout, done.stderr
    assert losses(out) == losses(tuned)
    ours, theirs = weights(out), weights(tuned)
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_text(folder, tmp_path, monkeypatch):
    """Also with a Hub that fails while it trains: no epoch is lost, and the model is uploaded at the end."""
    uploads = []

    def upload_folder(self, **options):
        uploads.append(options["commit_message"])
        if len(uploads) == 1:
            raise OSError("no route to the Hub")

    monkeypatch.setattr(HfApi, "create_repo", lambda self, repo, **options: SimpleNamespace(repo_id=repo))
    monkeypatch.setattr(HfApi, "repo_info", lambda self, repo, **options: SimpleNamespace(private=True))
    monkeypatch.setattr(HfApi, "upload_folder", upload_folder)
    done = finetune(folder, tmp_path / "run", "towers.second=text", "sentence_genes=60", "panel=null", "epochs=1",
                    options=("--push-to-hub", "tester/text", "--push-checkpoints"))  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "warning: not uploaded after step" in done.stdout and "no route to the Hub" in done.stdout
    assert len(uploads) == 2
    CLIPModel.from_pretrained(tmp_path / "run/model")
    assert "sentence of top genes" in (tmp_path / "run/model/README.md").read_text()


def test_pushed_to_the_hub(hub, folder, tmp_path):
    options = ("--push-to-hub", "tester/tuned", "--push-checkpoints")
    done = finetune(folder, tmp_path / "run", "epochs=1", options=options, env=hub.env(True))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"uploaded: {hub.url}/tester/tuned"
    found = hub.run("""
        import sys
        from transformers import CLIPVisionModelWithProjection
        print(float(CLIPVisionModelWithProjection.from_pretrained("tester/tuned").visual_projection.weight.sum()))
    """)
    model = CLIPVisionModelWithProjection.from_pretrained(tmp_path / "run/model")
    assert str(float(model.visual_projection.weight.sum())) in str(getattr(found, "stdout", found))
    here = [place for place in (folder, tmp_path) for file in (tmp_path / "run/model").iterdir()
            if file.name != "settings.json" and str(place).encode() in file.read_bytes()]  # fmt: skip
    assert not here, "what is uploaded names a folder of this machine"


def test_epochs_can_be_added(tuned, folder, tmp_path):
    out = shutil.copytree(tuned, tmp_path / "run")
    done = finetune(folder, out, "epochs=1")
    assert done.returncode == 1 and "has a run with run.epochs=2, not 1; pass another out= (--out)" in done.stderr
    done = finetune(folder, out, "epochs=3")
    assert done.returncode == 0, done.stderr
    steps = len(losses(tuned))
    assert f"from step {steps + 1} on, the learning rate is that of a run of 3 epochs, no longer of 2" in done.stdout
    results = json.loads((out / "results.json").read_text())
    assert results["schedule"] == [{"from_step": 0, "epochs": 2}, {"from_step": steps, "epochs": 3}]
    assert [scores["epoch"] for scores in results["history"]] == [0, 1, 2, 3]
    assert results["losses"][:steps] == losses(tuned) and len(results["losses"]) == 3 * steps // 2
    assert json.loads((out / "settings.json").read_text())["run"]["epochs"] == 3
    assert any(not torch.equal(weight, weights(tuned)[name]) for name, weight in weights(out).items())
    assert "run.epochs=3, not 2" in finetune(folder, out, "epochs=2").stderr


def test_precision_no_is_a_word(tmp_path):
    (tmp_path / "settings.yaml").write_text("run: {mixed_precision: no}\ndata: {panel: panel.json}\n")
    assert read_settings(tmp_path / "settings.yaml", [], "data").run.mixed_precision == "no"
    assert read_settings(tmp_path / "settings.yaml", ["mixed_precision=no"], "data").run.mixed_precision == "no"
    with pytest.raises(DataError, match="mixed_precision: is yes; must be no, tf32, bf16 or fp16, or null"):
        read_settings(tmp_path / "settings.yaml", ["mixed_precision=yes"], "data")


def test_tf32_is_asked_for_and_given_back(folder):
    def precision(kind: str) -> tuple[str, str]:
        settings = read_settings(folder / "settings.yaml", [f"mixed_precision={kind}"], str(folder))
        return autocast_of(settings), torch.get_float32_matmul_precision()

    assert [precision(kind) for kind in ("tf32", "bf16", "no")] == [
        ("no", "high"), ("bf16", "highest"), ("no", "highest")
    ]  # fmt: skip


@pytest.mark.parametrize(("cores", "ranks", "workers"), [(16, "1", 15), (64, "2", 16), (64, "8", 7), (2, "4", 1)])
def test_workers_are_the_cores_that_are_spare(monkeypatch, cores, ranks, workers):
    monkeypatch.setattr("stimage.loading.ahead.cpu_count", lambda: cores)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", ranks)
    assert spare_cores() == workers


def test_results_are_written_by_a_project_that_is_not_installed():
    assert versions_of(["torch", "no-such-package"]) == {"torch": torch.__version__, "no-such-package": None}
