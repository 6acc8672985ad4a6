"""Image encoders of each family as small look-alikes: their vectors are those of their own library, by each pooling."""

import json
import sys
import types
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers as hf

from stimage.core.errors import DataError
from stimage.towers.image_towers import load_tower
from stimage.towers.options import TowerOptions
from stimage.towers.presets import presets
from tests.evaluation.towers import SIZE, VISION, make_tower

SMALL = {key: VISION[key] for key in ("hidden_size", "num_hidden_layers", "num_attention_heads", "image_size")}
MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]


def save(model, folder: Path) -> str:
    """Save a model beside an image processor of 32 pixels."""
    size = {"height": SIZE, "width": SIZE}
    model.save_pretrained(folder)
    hf.ViTImageProcessor(size=size, image_mean=MEAN, image_std=STD).save_pretrained(folder)
    return str(folder)


def images(number: int = 2, size: int = SIZE) -> torch.Tensor:
    return torch.randint(0, 256, (number, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def normalised(of: torch.Tensor) -> torch.Tensor:
    return ((of / 255 - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2)


@pytest.fixture(params=["vit", "dinov2", "registers", "dinov3"])
def tokens(request, tmp_path) -> tuple[str, torch.nn.Module, int]:
    """A checkpoint of tokens, its model, and how many of its tokens stand for no patch."""
    torch.manual_seed(0)
    if request.param == "vit":
        model, prefix = hf.ViTModel(hf.ViTConfig(**SMALL, patch_size=8, intermediate_size=64)), 1
    elif request.param == "dinov2":
        model, prefix = hf.Dinov2Model(hf.Dinov2Config(**SMALL, patch_size=8)), 1
    elif request.param == "registers":
        config = hf.Dinov2WithRegistersConfig(**SMALL, patch_size=8, num_register_tokens=3)
        model, prefix = hf.Dinov2WithRegistersModel(config), 4
    else:
        config = hf.DINOv3ViTConfig(**SMALL, patch_size=8, intermediate_size=64, num_register_tokens=2)
        model, prefix = hf.DINOv3ViTModel(config), 3
    return save(model.eval(), tmp_path / request.param), model, prefix


def test_tokens_are_pooled_without_registers(tokens):
    name, model, prefix = tokens
    with torch.inference_mode():
        output = model(pixel_values=normalised(images()))
    cls, mean = output.last_hidden_state[:, 0], output.last_hidden_state[:, prefix:].mean(1)
    for pooling, want in (
        ("cls", cls), ("mean", mean), ("cls+mean", torch.cat([cls, mean], 1)), ("pooler", output.pooler_output),
    ):  # fmt: skip
        tower = load_tower(name, options=TowerOptions(pooling))
        assert tower.width == want.shape[1] and torch.allclose(tower.encode(images()), want, atol=1e-5), pooling
        assert tower.name == (name if pooling == "pooler" else f"{name}+{pooling}")


def test_a_pooler_without_weights_is_not_offered(tmp_path):
    """As Phikon's checkpoint: of a ViT that was saved without it."""
    model = hf.ViTModel(hf.ViTConfig(**SMALL, patch_size=8, intermediate_size=64), add_pooling_layer=False).eval()
    name = save(model, tmp_path / "phikon")
    with torch.inference_mode():
        want = model(pixel_values=normalised(images())).last_hidden_state[:, 0]
    assert torch.allclose(load_tower(name).encode(images()), want, atol=1e-5)
    assert load_tower(f"untrained:{name}").pooling == load_tower(name).pooling == "cls"
    for one in (name, f"untrained:{name}"):
        with pytest.raises(DataError, match=r"no pooling 'pooler'; pass pooling= \(--pooling\): cls, mean, cls\+mean$"):
            load_tower(one, options=TowerOptions("pooler"))


def test_an_untrained_tower_needs_a_configuration_alone(tmp_path):
    model = hf.ViTModel(hf.ViTConfig(**SMALL, patch_size=8, intermediate_size=64)).eval()
    name = save(model, tmp_path / "vit")
    whole = load_tower(f"untrained:{name}")
    (tmp_path / "vit/model.safetensors").unlink()
    alone = load_tower(f"untrained:{name}")
    assert whole.pooling == alone.pooling == "pooler" and whole.digest == alone.digest


@pytest.mark.parametrize("kind", ["convnext", "swin"])
def test_encoders_without_class_token(tmp_path, kind):
    torch.manual_seed(0)
    if kind == "convnext":
        model = hf.ConvNextModel(hf.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2))
    else:
        model = hf.SwinModel(hf.SwinConfig(image_size=SIZE, patch_size=2, embed_dim=8, depths=[1, 1], num_heads=[1, 2],
                                           window_size=4))  # fmt: skip
    name = save(model.eval(), tmp_path / kind)
    with torch.inference_mode():
        output = model(pixel_values=normalised(images()))
    over = (2, 3) if kind == "convnext" else 1
    assert torch.allclose(load_tower(name).encode(images()), output.pooler_output.flatten(1), atol=1e-5)
    mean = load_tower(name, options=TowerOptions("mean")).encode(images())
    assert torch.allclose(mean, output.last_hidden_state.mean(over), atol=1e-5)
    with pytest.raises(DataError, match="has no pooling 'cls'"):
        load_tower(name, options=TowerOptions("cls"))


def test_clip_before_and_after_its_projection(tmp_path):
    name = str(make_tower("clip", tmp_path / "clip"))
    model = hf.CLIPModel.from_pretrained(name).eval()
    with torch.inference_mode():
        before = model.vision_model(pixel_values=normalised(images())).pooler_output
        projected = model.visual_projection(before)
    after = load_tower(name)
    assert (after.pooling, after.width) == ("projection", 16)
    assert torch.allclose(after.encode(images()), projected, atol=1e-5)
    assert torch.allclose(load_tower(name, options=TowerOptions("pooler")).encode(images()), before, atol=1e-5)


def test_size_and_colours_are_as_asked_for(tmp_path):
    """Without an image processor, too, if all of them are given."""
    torch.manual_seed(0)
    model = hf.Dinov2Model(hf.Dinov2Config(**SMALL, patch_size=8)).eval()
    model.save_pretrained(tmp_path / "bare")
    with pytest.raises(DataError, match=r"preprocessor_config\.json"):
        load_tower(str(tmp_path / "bare"))
    options = TowerOptions(size=48, mean=[0, 0, 0], std=[1, 1, 1])
    tower = load_tower(str(tmp_path / "bare"), options=options)
    with torch.inference_mode():
        want = model(pixel_values=images(2, 48).permute(0, 3, 1, 2) / 255).pooler_output
    assert tower.size == 48 and torch.allclose(tower.encode(images(2, 48)), want, atol=1e-5)


def test_gradients_reach_a_tower_that_is_to_be_trained(tmp_path):
    name = str(make_tower("clip", tmp_path / "clip"))
    tower = load_tower(name, trainable=True)
    tower(images()).sum().backward()
    assert tower.training and all(one.grad is not None for one in tower.model.visual_projection.parameters())
    assert not any(one.requires_grad for one in load_tower(name).parameters())


def test_an_encoder_that_hides_parts_of_an_image_is_refused(tmp_path):
    config = hf.ViTMAEConfig(**SMALL, patch_size=8, intermediate_size=64)
    with pytest.raises(DataError, match="gives another vector each time for one image"):
        load_tower(save(hf.ViTMAEModel(config), tmp_path / "mae"))


OWN_CODE = """
import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

class OwnConfig(PreTrainedConfig):
    model_type = "own"

class OwnModel(PreTrainedModel):
    config_class = OwnConfig
    main_input_name = "pixel_values"

    def __init__(self, config):
        super().__init__(config)
        self.patches = torch.nn.Conv2d(3, 4, 8, 8)
        self.post_init()

    def forward(self, pixel_values):
        tokens = self.patches(pixel_values).flatten(2).mT
        return BaseModelOutputWithPooling(tokens, tokens.amax(1))

    def return_conch(self):
        return Vision(self), None

class Vision(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixels):
        return 2 * self.model(pixels).pooler_output
"""


@pytest.fixture
def own(tmp_path, monkeypatch) -> tuple[str, torch.nn.Module]:
    """A checkpoint whose class is in its folder, as those of Hibou and of TITAN, and its model."""
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    module = types.ModuleType("own_model")
    exec(OWN_CODE, module.__dict__)
    torch.manual_seed(0)
    model = module.OwnModel(module.OwnConfig()).eval()
    name = save(model, tmp_path / "own")
    (tmp_path / "own/modeling_own.py").write_text(OWN_CODE)
    said = json.loads((tmp_path / "own/config.json").read_text())
    classes = {"AutoConfig": "modeling_own.OwnConfig", "AutoModel": "modeling_own.OwnModel"}
    (tmp_path / "own/config.json").write_text(json.dumps(said | {"auto_map": classes}))
    return name, model


def test_code_of_a_checkpoint_runs_only_if_it_is_asked_for(own):
    name, model = own
    with pytest.raises(DataError, match=r"comes with code of its own; .* trust_remote_code=True \(--trust-remote-code"):
        load_tower(name)
    tower = load_tower(name, options=TowerOptions(trust_remote_code=True))
    with torch.inference_mode():
        want = model(normalised(images())).pooler_output
    assert torch.allclose(tower.encode(images()), want, atol=1e-5)


def test_conch_by_its_package(tmp_path, monkeypatch):
    (tmp_path / "conch").mkdir()
    (tmp_path / "conch/__init__.py").touch()
    (tmp_path / "conch/open_clip_custom.py").write_text("""
import torch

class Conch(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.trunk, self.projection = torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)

    def encode_image(self, pixels, normalize=True, proj_contrast=True):
        found = self.trunk(pixels.mean((2, 3)))
        found = self.projection(found) if proj_contrast else found
        return torch.nn.functional.normalize(found, dim=-1) if normalize else found

def create_model_from_pretrained(kind, place):
    assert (kind, place) == ("conch_ViT-B-16", "hf_hub:MahmoodLab/conch")
    return Conch(), None
""")
    with pytest.raises(ImportError, match=r"conch is not installed; pip install git\+https://github.com/mahmoodlab"):
        load_tower("conch")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(presets(), "conch", replace(presets()["conch"], width=4))
    tower = load_tower("conch")
    assert (tower.size, tower.width, tower.pooling) == (448, 4, "pooler")
    pixels = images(2, 448).float() / 255
    said = presets()["conch"].options
    want = tower.model.trunk(((pixels - torch.tensor(said.mean)) / torch.tensor(said.std)).mean((1, 2)))
    assert torch.allclose(tower.encode(images(2, 448)), want, atol=1e-4)
    for module in [name for name in sys.modules if name.partition(".")[0] == "conch"]:
        monkeypatch.delitem(sys.modules, module)


def test_conch_1_5_out_of_titan(own, monkeypatch):
    name, model = own
    preset = presets()["conch1.5"]
    options = replace(preset.options, size=SIZE)
    monkeypatch.setitem(presets(), "conch1.5", replace(preset, loader=f"titan:{name}", width=4, options=options))
    with pytest.raises(DataError, match="comes with code of its own"):
        load_tower("conch1.5")
    tower = load_tower("conch1.5", options=TowerOptions(trust_remote_code=True))
    mean, std = torch.tensor(options.mean), torch.tensor(options.std)
    with torch.inference_mode():
        want = model(((images() / 255 - mean) / std).permute(0, 3, 1, 2)).pooler_output
    assert torch.allclose(tower.encode(images()), 2 * want, atol=1e-5)


def test_a_preset_of_another_length_is_refused(tmp_path, monkeypatch):
    clip = str(make_tower("clip", tmp_path / "clip"))
    monkeypatch.setitem(presets(), "plip", replace(presets()["plip"], loader=clip))
    with pytest.raises(DataError, match="PLIP: gives vectors of 16, not of 512: these are other weights"):
        load_tower("PLIP", options=TowerOptions(size=SIZE))


@pytest.mark.parametrize(("said", "message"), [
    ({"pooling": "max"}, "pass one of projection"), ({"size": 0}, "size"), ({"mean": [1, 2]}, "three numbers"),
    ({"std": [0, 1, 1]}, "above 0"), ({"model_args": "depth=2"}, "pass a dict"),
])  # fmt: skip
def test_options_that_can_not_be(said, message):
    with pytest.raises(ValueError, match=message):
        TowerOptions(**said)


def test_the_table_tells_what_is_missing_here(monkeypatch):
    import stimage

    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    found = stimage.list_towers()
    assert list(found.index) == list(presets()) and len(found) >= 19
    assert "hf auth login" in found.missing["uni"] and "MahmoodLab/UNI" in found.missing["uni"]
    assert "trust-remote-code" in found.missing["hibou-l"] and "conch" in found.missing["conch"]
