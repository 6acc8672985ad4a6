"""What of the image tower is tuned, through the script: LoRA, frozen parts, slower lower layers, heads alone first."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file
from transformers import CLIPVisionModelWithProjection

from stimage.towers.image_towers import load_tower
from stimage.training.optimizer import make_optimizer, make_schedule
from stimage.training.settings.reading import make_settings
from tests.training.finetuning import command, finetune, losses
from tests.training.test_settings import LEAST, refused

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
    tuned = CLIPVisionModelWithProjection.from_pretrained(tmp_path / "run/model")
    pixels = torch.randn(2, 3, 32, 32)
    assert torch.isfinite(tuned(pixels).image_embeds).all()
