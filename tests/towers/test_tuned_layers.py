"""Layers of any encoder, frozen from below; LoRA beside them, and merged."""

import copy

import pytest
import torch
import transformers
from torch import nn

from stimage.core.errors import DataError
from stimage.towers.tuning.layers import depths_of, freeze_lowest, freeze_parts, layers_of
from stimage.towers.tuning.lora import add_lora, merged

SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 32,
         "patch_size": 8}  # fmt: skip
STAGES = {"depths": [1, 2], "hidden_sizes": [8, 16], "num_stages": 2}
SWIN = {"embed_dim": 8, "depths": [1, 2], "num_heads": [2, 2], "image_size": 32, "window_size": 2, "patch_size": 4}
MADE = {  # what makes an encoder: its layers, and some of what is below and above them
    "CLIPVisionModelWithProjection": ("vision_model.encoder.layers.{}", 3, "vision_model.pre_layrnorm.bias",
                                      "visual_projection.weight"),
    "SiglipVisionModel": ("encoder.layers.{}", 3, "embeddings.patch_embedding.bias", "post_layernorm.bias"),
    "Dinov2Model": ("encoder.layer.{}", 3, "embeddings.cls_token", "layernorm.bias"),
    "ViTModel": ("layers.{}", 3, "embeddings.position_embeddings", "layernorm.bias"),
    "ConvNextModel": ("encoder.stages.{}", 2, "embeddings.layernorm.bias", "layernorm.bias"),
    "SwinModel": ("encoder.layers.{}", 2, "embeddings.norm.bias", "layernorm.bias"),
    "ResNetModel": ("encoder.stages.{}", 2, "embedder.embedder.normalization.bias", None),
}  # fmt: skip
LINEAR = [name for name in MADE if name != "ResNetModel"]


def encoder(name: str) -> nn.Module:
    torch.manual_seed(0)
    cls = getattr(transformers, name)
    said = {"ConvNextModel": STAGES, "ResNetModel": STAGES | {"embedding_size": 8}, "SwinModel": SWIN}
    return cls(cls.config_class(**said.get(name, SMALL))).eval()


def vectors(model: nn.Module) -> torch.Tensor:
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = model(pixels)
    return found.image_embeds if "image_embeds" in found else found.last_hidden_state


class Numbered(nn.Module):
    """Stages as ResNet of torchvision and timm has them, beside what is no stage."""

    def __init__(self):
        super().__init__()
        self.text = nn.Sequential(*(nn.Linear(1, 1) for _ in range(20)))
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        for k in range(1, 5):
            setattr(self, f"layer{k}", nn.Sequential(*(nn.Conv2d(4, 4, 1) for _ in range(k))))


@pytest.mark.parametrize("name", MADE)
def test_layers_are_found_and_what_is_below_and_above_them(name):
    layers, number, below, above = MADE[name]
    model = encoder(name)
    assert layers_of(model) == [layers.format(k) for k in range(number)]
    depths = depths_of(model)
    assert depths.keys() == dict(model.named_parameters()).keys()
    assert depths[below] == 0 and (above is None or depths[above] == number + 1)
    assert {depth for name, depth in depths.items() if name.startswith(layers.format(1))} == {2}


def test_numbered_stages_are_layers():
    assert layers_of(Numbered()) == ["layer1", "layer2", "layer3", "layer4"]
    assert depths_of(Numbered())["stem.1.bias"] == 0
    assert layers_of(nn.Linear(2, 2)) == []


@pytest.mark.parametrize("name", MADE)
def test_the_lowest_layers_are_frozen_with_what_is_below(name):
    model, depths = encoder(name), depths_of(encoder(name))
    freeze_lowest(model, 1)
    assert {n for n, p in model.named_parameters() if not p.requires_grad} == {n for n in depths if depths[n] < 2}
    freeze_lowest(model, 0)
    number = MADE[name][1]
    with pytest.raises(DataError, match=f"freeze_layers: is 9; the image tower has fewer layers: {number}$"):
        freeze_lowest(model, 9)


def test_parts_are_frozen_by_name():
    model = encoder("ViTModel")
    freeze_parts(model, ("embeddings", "layers.1."))
    frozen = {name.split(".")[0] + name.split(".")[1] for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {"embeddingscls_token", "embeddingsposition_embeddings", "embeddingspatch_embeddings", "layers1"}
    there = "embeddings, embeddings.patch_embeddings.projection, layers.0, layers.1, layers.2, layernorm, pooler.dense"
    with pytest.raises(DataError, match=f"towers.freeze: no weight's name begins with 'blocks'; there are {there}$"):
        freeze_parts(model, ("blocks",))


@pytest.mark.parametrize("name", LINEAR)
def test_lora_begins_as_the_encoder_and_is_merged_into_it(name):
    model = encoder(name)
    before, clean = vectors(model), copy.deepcopy(model)
    add_lora(model, 4, 8)
    assert torch.equal(vectors(model), before)
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert trained and all(".lora_" in n and n.startswith(tuple(layers_of(clean))) for n in trained)
    for n, p in trained.items():
        if ".lora_B." in n:
            nn.init.normal_(p, std=0.5)
    after = vectors(model)
    assert (after - before).abs().max() > 1e-6
    clean.load_state_dict(merged(model.state_dict(), 8 / 4))
    torch.testing.assert_close(vectors(clean), after, atol=1e-5, rtol=1e-5)


def test_lora_of_convolutions_is_merged_as_peft_does():
    model = encoder("ResNetModel")
    clean = copy.deepcopy(model)
    add_lora(model, 2, 6, ("convolution",))
    for n, p in model.named_parameters():
        if ".lora_B." in n:
            nn.init.normal_(p, std=0.1)
    after = vectors(model)
    clean.load_state_dict(merged(model.state_dict(), 6 / 2))
    torch.testing.assert_close(vectors(clean), after, atol=1e-5, rtol=1e-5)
    for part in model.modules():
        if hasattr(part, "merge") and hasattr(part, "base_layer"):
            part.merge()
    theirs = {n.replace(".base_layer.", "."): v for n, v in model.state_dict().items() if ".lora_" not in n}
    for n, value in clean.state_dict().items():
        torch.testing.assert_close(value, theirs[n], atol=1e-6, rtol=1e-5)


def test_what_lora_can_not_adapt():
    with pytest.raises(DataError, match=r"layers have no linear layer; name convolutions of it: convolution$"):
        add_lora(encoder("ResNetModel"), 2, 4)
    with pytest.raises(DataError, match=r"no layer's name ends with 'qkv'; there are projection, q_proj, .*, fc1, fc2"):
        add_lora(encoder("ViTModel"), 2, 4, ("qkv",))
    with pytest.raises(DataError, match=r"dwconv is a convolution of 8 groups, whose LoRA can't be merged"):
        add_lora(encoder("ConvNextModel"), 2, 4, ("dwconv",))


def test_without_peft_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install .*\[train\]"):
        add_lora(encoder("ViTModel"), 2, 4)
