"""Presets of timm's models as small look-alikes, made with the very arguments of the table: `make test-timm`."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from stimage.core.errors import DataError
from stimage.towers.image_towers import load_tower
from stimage.towers.joint.image_encoders import ConvStem
from stimage.towers.options import TowerOptions
from stimage.towers.presets import Preset, presets

timm = pytest.importorskip("timm", reason="make test-timm has timm")
VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 1, "num_heads": 2}
ViTs = {  # preset → what its configuration on the Hub says beyond the table: registers, and no pooling
    "uni": {},
    "uni2-h": {},
    "virchow": {"global_pool": ""},
    "virchow2": {"global_pool": "", "reg_tokens": 4},
    "h-optimus-0": {"reg_tokens": 4},
    "h-optimus-1": {"reg_tokens": 4},
    "h0-mini": {"global_pool": "", "reg_tokens": 4},
    "prov-gigapath": {},
}
OTHERS = ("resnet50", "ctranspath")  # no ViTs: each has a test of its own below
SILU = {"mlp_layer": timm.layers.SwiGLUPacked, "act_layer": torch.nn.SiLU}


def save(model, folder: Path, said: dict, size: int = 32) -> str:
    """Save a model with what a configuration on the Hub says of it; classes of layers can't stand there."""
    folder.mkdir()
    save_file(model.state_dict(), folder / "model.safetensors")
    config = {key: value for key, value in model.pretrained_cfg.items() if key in ("mean", "std")}
    config |= {"input_size": [3, size, size], "num_classes": 0}
    architecture = model.pretrained_cfg["architecture"]
    said = {"architecture": architecture, "num_classes": 0, "pretrained_cfg": config, "model_args": said}
    (folder / "config.json").write_text(json.dumps(said))
    return f"local-dir:{folder}"


def tiny(name: str, loader: str, width: int, model_args: dict) -> Preset:
    """Return the preset of a name with another loader, 32 pixels and few weights."""
    preset = presets()[name]
    options = replace(preset.options, size=32, model_args=model_args)
    return replace(preset, loader=loader, options=options, width=width)


def pixels_of(images: torch.Tensor, options: TowerOptions) -> torch.Tensor:
    return ((images / 255 - torch.tensor(options.mean)) / torch.tensor(options.std)).permute(0, 3, 1, 2)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_each_preset_of_timm_has_a_look_alike():
    assert {*ViTs, *OTHERS} == {name for name, preset in presets().items() if preset.package == "timm"}


@pytest.mark.parametrize("name", ViTs)
def test_transformers_of_the_table(name, tmp_path, images, monkeypatch):
    preset, torch_of = presets()[name], SILU if "mlp_layer" in presets()[name].options.model_args else {}
    given = preset.options.model_args | {key: VIT[key] for key in VIT if key in preset.options.model_args}
    told = ViTs[name] | {key: given[key] for key in given if not key.endswith("_layer")}
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", **VIT | told, **torch_of, num_classes=0).eval()
    loader = save(model, tmp_path / name, VIT | ViTs[name])
    width = 48 if preset.options.pooling == "cls+mean" else 24
    monkeypatch.setitem(presets(), name, tiny(name, loader, width, given))
    tower = load_tower(name)
    with torch.inference_mode():
        tokens = model.forward_features(pixels_of(images, preset.options))
    prefix = 1 + told.get("reg_tokens", 0)
    want = {"pooler": tokens[:, 0], "cls": tokens[:, 0],
            "cls+mean": torch.cat([tokens[:, 0], tokens[:, prefix:].mean(1)], 1)}[preset.options.pooling]  # fmt: skip
    assert torch.allclose(tower.encode(images), want, atol=1e-5)
    if given:  # the arguments of the table are what makes the checkpoint load: without, other vectors or none
        monkeypatch.setitem(presets(), name, tiny(name, loader, width, {}))
        try:
            other = load_tower(name).encode(images)
        except DataError as error:
            assert "can't be loaded by timm" in str(error)
        else:
            assert not torch_of or not torch.allclose(other, want, atol=1e-5)


def test_a_model_that_pools_nothing_must_be_told_how(tmp_path, images):
    model = timm.create_model("vit_tiny_patch16_224", **VIT, global_pool="", num_classes=0).eval()
    name = save(model, tmp_path / "bare", VIT | {"global_pool": ""})
    tower = load_tower(name)
    assert tower.pooling == "cls" and tower.width == 24
    with pytest.raises(DataError, match=r"has no pooling 'pooler'; pass pooling= \(--pooling\): cls, mean, cls\+mean"):
        load_tower(name, options=TowerOptions("pooler"))


def test_resnet_gives_its_third_stage(tmp_path, images, monkeypatch):
    torch.manual_seed(0)
    model = timm.create_model("resnet10t", num_classes=0).eval()
    loader = save(model, tmp_path / "resnet", {})
    given = presets()["resnet50"].options.model_args
    monkeypatch.setitem(presets(), "resnet50", tiny("resnet50", loader, 256, given))
    with torch.inference_mode():
        third = model.forward_intermediates(pixels_of(images, presets()["resnet50"].options), indices=4)[1][2]
    assert torch.allclose(load_tower("resnet50").encode(images), third.mean((2, 3)), atol=1e-5)


@pytest.mark.parametrize("old", [False, True])
def test_ctranspath_has_its_own_stem(tmp_path, monkeypatch, old):
    """224 pixels, as its windows of 7 ask for; the weights are called as timm does today, or as it did before 0.9."""
    torch.manual_seed(0)
    small = {"embed_dim": 16, "depths": (1, 1), "num_heads": (1, 2)}
    model = timm.create_model("swin_tiny_patch4_window7_224", embed_layer=ConvStem, **small, num_classes=0).eval()
    loader = save(model, tmp_path / "ctranspath", small, 224)
    if old:
        weights = load_file(tmp_path / "ctranspath/model.safetensors")
        named = {key.replace("layers.1.downsample", "layers.0.downsample"): value for key, value in weights.items()}
        save_file(named, tmp_path / "ctranspath/model.safetensors")
    preset = presets()["ctranspath"]
    monkeypatch.setitem(presets(), "ctranspath", replace(preset, loader=loader, width=32))
    images = torch.randint(0, 256, (1, 224, 224, 3), dtype=torch.uint8)
    with torch.inference_mode():
        want = model(pixels_of(images, preset.options))
    tower = load_tower("ctranspath")
    assert torch.allclose(tower.encode(images), want, atol=1e-5)
    assert [type(layer).__name__ for layer in tower.model.patch_embed.proj] == [
        "Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU", "Conv2d",
    ]  # fmt: skip
    mean = load_tower("ctranspath", options=TowerOptions("mean")).encode(images)
    assert mean.shape == (1, 32) and torch.allclose(mean, want, atol=1e-5)


def test_another_size_of_image(tmp_path):
    model = timm.create_model("vit_tiny_patch16_224", **VIT, num_classes=0).eval()
    name = save(model, tmp_path / "vit", VIT)
    tower = load_tower(name, options=TowerOptions(size=48))
    images = torch.randint(0, 256, (1, 48, 48, 3), dtype=torch.uint8)
    model.set_input_size(img_size=48)
    with torch.inference_mode():
        want = model((images / 255 - 0.5).permute(0, 3, 1, 2) / 0.5)
    assert tower.size == 48 and torch.allclose(tower.encode(images), want, atol=1e-4)


@pytest.mark.parametrize(("given", "message"), [
    ({"mlp_layer": "NoSuchLayer"}, "mlp_layer='NoSuchLayer' is no layer"), ({"no_such": 1}, "no_such"),
])  # fmt: skip
def test_arguments_that_the_model_does_not_have(tmp_path, given, message):
    name = save(timm.create_model("vit_tiny_patch16_224", **VIT, num_classes=0), tmp_path / "vit", VIT)
    with pytest.raises(DataError, match=message):
        load_tower(name, options=TowerOptions(model_args=given))
