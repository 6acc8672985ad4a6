"""What of the image tower is tuned, through the script: LoRA, frozen parts, slower lower layers, heads alone first."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import CLIPVisionModelWithProjection

from stimage.core.errors import DataError
from stimage.towers.image_towers import load_tower
from stimage.towers.two_towers import CLIP_MEAN, CLIP_STD, TwoTowers, gene_towers
from stimage.training.optimizer import make_optimizer, make_schedule
from stimage.training.run import Run, make_towers
from stimage.training.settings.reading import make_settings, read_settings
from tests.training.finetuning import finetune, losses
from tests.training.test_settings import LEAST, refused

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
GENES = LEAST | {"second": "linear", "panel": "panel.json"}
IMAGE = ("vision_model.", "visual_projection.")
LORA = ("lora_rank=4", "lora_alpha=8", "run.epochs=1")


def image_weights(folder) -> dict[str, torch.Tensor]:
    return {name: one for name, one in load_file(folder / "model.safetensors").items() if name.startswith(IMAGE)}


def changed(before: dict, after: dict) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_lora_is_merged_into_a_model_that_clips_own_class_loads(folder, tmp_path):
    done = finetune(folder, tmp_path / "run", *LORA)
    assert done.returncode == 0, done.stderr
    found = losses(tmp_path / "run")
    assert sum(found[-2:]) < sum(found[:2])
    names = changed(image_weights(folder / "clip"), image_weights(tmp_path / "run/model"))
    ends = ("q_proj.weight", "k_proj.weight", "v_proj.weight", "out_proj.weight", "fc1.weight", "fc2.weight")
    assert len(names) == 2 * len(ends) and all(name.endswith(ends) for name in names)
    model = str(tmp_path / "run/model")
    images, pixels = torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8), load_tower(model)
    whole = CLIPVisionModelWithProjection.from_pretrained(model)
    seen = ((images.float() - pixels.mean) / pixels.std).permute(0, 3, 1, 2)
    torch.testing.assert_close(pixels.encode(images), whole(seen).image_embeds, atol=1e-5, rtol=0)
    towers = adapted(folder, tmp_path / "run")
    torch.testing.assert_close(towers.model.encode(seen), whole(seen).image_embeds, atol=1e-5, rtol=0)


def adapted(folder, out):
    """Return the towers of a run's last checkpoint, with LoRA's matrices beside the image tower's own weights."""
    settings = read_settings(folder / "settings.yaml", LORA, str(folder / "root"))
    towers = make_towers(settings)
    towers.load_state_dict(load_file(max((out / "checkpoints").glob("step-*")) / "model.safetensors"))
    return towers.eval()


def test_lora_goes_on_exactly(folder, tmp_path, monkeypatch):
    whole, out, step = tmp_path / "whole", tmp_path / "run", Run.step
    assert finetune(folder, whole, *LORA).returncode == 0

    def interrupted(run: Run, batch: dict) -> float:
        if run.progress.step == 3:
            raise DataError("the power went off")
        return step(run, batch)

    with monkeypatch.context() as patched:
        patched.setattr(Run, "step", interrupted)
        assert "the power went off" in finetune(folder, out, *LORA, "checkpoint_steps=2").stderr
    done = finetune(folder, out, *LORA, "checkpoint_steps=2")
    assert done.returncode == 0 and "going on after step 2" in done.stdout, done.stderr
    assert losses(out) == losses(whole)
    ours, theirs = (load_file(run / "model/model.safetensors") for run in (out, whole))
    assert not changed(ours, theirs)
    assert "has a run with towers.lora_rank=4, not 8" in finetune(folder, out, *LORA, "lora_rank=8").stderr


@pytest.mark.parametrize("launcher", [TORCHRUN, (*TORCHRUN, str(Path(__file__).with_name("fsdp_on_cpus.py")))])
def test_two_processes_give_the_same_lora_and_rest_alike(folder, tmp_path, launcher):
    more = (*LORA, "run.epochs=2", "heads_first=1")
    for name, own in (("one", {"env": os.environ}), ("two", {"launcher": launcher})):
        done = finetune(folder, tmp_path / name, *more, **own)
        assert done.returncode == 0, done.stderr
    assert losses(tmp_path / "one") == pytest.approx(losses(tmp_path / "two"), abs=1e-4)
    ours, theirs = (load_file(tmp_path / name / "model/model.safetensors") for name in ("one", "two"))
    assert ours.keys() == theirs.keys()
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-3) for name in ours)


def test_the_image_tower_rests_while_heads_are_warmed_up(folder, tmp_path):
    done = finetune(folder, tmp_path / "run", "heads_first=1", "run.epochs=2", "keep=9")
    assert done.returncode == 0, done.stderr
    first, last = (load_file(path / "model.safetensors") for path in sorted((tmp_path / "run/checkpoints").iterdir()))
    before = {f"model.{name}": one for name, one in image_weights(folder / "clip").items()}
    resting = {name: one for name, one in first.items() if name in before}
    assert resting.keys() == before.keys() and not changed(before, resting)
    moved = {name for name in first if not torch.equal(first[name], last[name])}
    assert moved >= {name for name in before if "k_proj.bias" not in name and "position_ids" not in name}
    history = json.loads((tmp_path / "run/results.json").read_text())["history"]
    assert history[1]["loss"] < history[0]["loss"]  # heads alone learn something


def test_each_layer_learns_slower_than_the_one_above_it():
    torch.manual_seed(0)
    towers = gene_towers("configs/finetune/tiny_clip", ["A", "B"], "linear", 4, pretrained=False)
    optimiser = make_settings(GENES | {"lr": 1e-3, "layer_decay": 0.5, "head_lr": 2e-3, "heads_first": 1}).optimiser
    made = make_optimizer(towers, optimiser)
    rates = {id(weight): group["lr"] for group in made.param_groups for weight in group["params"]}
    names = {name.removeprefix("model."): rates[id(weight)] for name, weight in towers.named_parameters()}
    layers = sum(f"vision_model.encoder.layers.{k}.mlp.fc1.weight" in names for k in range(9))
    for k in range(layers):
        assert names[f"vision_model.encoder.layers.{k}.mlp.fc1.bias"] == pytest.approx(1e-3 * 0.5 ** (layers - k))
    assert names["vision_model.embeddings.patch_embedding.weight"] == pytest.approx(1e-3 * 0.5 ** (layers + 1))
    assert names["visual_projection.weight"] == names["vision_model.post_layernorm.weight"] == 1e-3
    assert names["gene_tower.0.weight"] == names["image_head.weight"] == 2e-3
    assert len(rates) == len(names)

    schedule = make_schedule(made, optimiser, 20, 5)
    rests = [group["rests"] for group in made.param_groups]
    assert set(rests) == {True, False}
    for step in range(20):
        heads = [lr for lr, rest in zip(schedule.get_last_lr(), rests) if not rest]
        image = [lr for lr, rest in zip(schedule.get_last_lr(), rests) if rest]
        assert min(heads) > 0 and (max(image) == 0) == (step < 5)
        made.step()
        schedule.step()
    assert max(schedule.get_last_lr()) == pytest.approx(0, abs=1e-12)


def test_batch_norm_keeps_its_statistics():
    model = SmallTowers()
    towers = TwoTowers(model, CLIP_MEAN, CLIP_STD).train()
    assert towers.training and model.image_encoder.training and model.gene_tower.training
    before = {name: one.clone() for name, one in model.image_encoder.state_dict().items()}
    model.image_encoder(torch.randn(8, 3, 4, 4))
    assert not changed(before, model.image_encoder.state_dict())
    towers.eval()
    assert not model.gene_tower.training


class SmallTowers(nn.Module):
    """A convolutional encoder beside a gene tower, both with BatchNorm."""

    def __init__(self):
        super().__init__()
        self.image_encoder = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        self.gene_tower = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"lora_rank": 4, "second": "text"}, "towers.lora_rank: is for a gene tower"),
        ({"heads_first": 1, "second": "text"}, "optimiser.heads_first: is for a gene tower"),
        ({"heads_first": 2, "epochs": 2}, "optimiser.heads_first: is 2 of 2 epochs, so the image tower would never"),
        ({"layer_decay": 0.5, "optimiser.kind": "adam"}, "optimiser.layer_decay: needs optimiser.kind=adamw"),
        ({"layer_decay": 1.5}, "optimiser.layer_decay: is 1.5; must be a number"),
        ({"lora_targets": ("q_proj",)}, "towers.lora_targets: needs towers.lora_rank"),
        ({"image_vectors": "x", "freeze_layers": 1}, "towers.freeze_layers: is for an image tower, but data.image_vec"),
        ({"image_vectors": "x", "lora_rank": 1}, "towers.lora_rank: is for an image tower"),
        ({"image_vectors": "x", "size": 64}, "towers.size: is for an image tower, but data.image_vectors take"),
        ({"image_vectors": "x", "pooling": "cls"}, "towers.pooling: is for an image tower"),
        ({"image_vectors": "x", "model_args": {"a": 1}}, "towers.model_args: is for an image tower"),
        ({"image_vectors": "x", "trust_remote_code": True}, "towers.trust_remote_code: is for an image tower"),
        ({"image_vectors": "x", "second": "text"}, "data.image_vectors: is for a gene tower"),
    ],
)
def test_what_can_not_be_tuned_so(said, message):
    with refused(message):
        make_settings(GENES | said)


def test_parts_that_are_not_there_are_told(folder, tmp_path):
    done = finetune(folder, tmp_path / "run", "towers.freeze=[blocks]")
    assert "towers.freeze: no weight's name begins with 'blocks'; there are vision_model.embeddings" in done.stderr
    done = finetune(folder, tmp_path / "run", "freeze_layers=7")
    assert "towers.freeze_layers: is 7; the image tower has fewer layers: 2" in done.stderr
    done = finetune(folder, tmp_path / "run", "lora_rank=4", "lora_targets=[qkv]")
    assert (
        "towers.lora_targets: no layer's name ends with 'qkv'; there are patch_embedding, k_proj, v_proj, q_proj"
        in done.stderr
    )


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"lora_rank": 33}, "towers.lora_rank: is 33, but no layer .* is wider than 32; make it less"),
        ({"lora_rank": 32, "freeze_layers": 2}, "towers.lora_rank: all layers that LoRA's matrices lie beside are fro"),
    ],
)
def test_lora_that_could_not_learn(folder, said, message):
    clip = {"image": str(folder / "clip"), "panel": str(folder / "panel.json")}
    with refused(message):
        make_towers(make_settings(GENES | clip | said))
    assert make_towers(make_settings(GENES | clip | said | {"lora_rank": 32, "freeze_layers": 1}))
