"""The joint model over encoders of transformers, and over vectors of images alone."""

import importlib
import json
import sys

import pytest
import torch
from transformers import ConvNextConfig, ConvNextModel, ViTConfig, ViTModel

from stimage.towers.joint.configuration_spot_clip import SpotClipConfig
from stimage.towers.joint.modeling_spot_clip import SpotClipModel
from tests.towers.checkpoints import write_clip

GENES = ["ERBB2", "KRT8", "ACTB"]
VIT = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32,
       "patch_size": 8}  # fmt: skip
CONVNEXT = {"num_stages": 2, "hidden_sizes": [16, 32], "depths": [1, 1], "image_size": 32}


def config_over(model, pooling: str, width: int) -> SpotClipConfig:
    said = {"library": "transformers", "config": model.config.to_dict(), "pooling": pooling, "size": 32}
    return SpotClipConfig(image_encoder=said, image_width=width, genes=GENES, latent_dim=8)


@pytest.mark.parametrize(("made", "pooling", "width"), [
    (lambda: ViTModel(ViTConfig(**VIT)), "pooler", 32), (lambda: ViTModel(ViTConfig(**VIT)), "cls+mean", 64),
    (lambda: ConvNextModel(ConvNextConfig(**CONVNEXT)), "mean", 32),
])  # fmt: skip
def test_an_encoder_is_taken_as_it_is_and_saved(made, pooling, width, tmp_path):
    encoder = made()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    model = SpotClipModel(config_over(encoder, pooling, width), encoder).eval()
    assert model.image_encoder is encoder
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    model.save_pretrained(tmp_path)
    again = SpotClipModel.from_pretrained(tmp_path)
    pixels, expression = torch.randn(2, 3, 32, 32), torch.randn(2, 3)
    for ours, theirs in zip(model(pixels, expression).values(), again(pixels, expression).values(), strict=True):
        assert torch.equal(ours, theirs)
    output = again(pixels)
    assert output.gene_embeds is None and torch.equal(output[0], model(pixels, expression).image_embeds)
    assert torch.equal(again(expression=expression)[0], model(pixels, expression).gene_embeds)


def test_a_model_of_heads_takes_vectors(tmp_path):
    model = SpotClipModel(SpotClipConfig(image_encoder=None, image_width=5, genes=GENES, latent_dim=8))
    assert {name.split(".")[0] for name in model.state_dict()} == {"image_head", "gene_tower", "logit_scale"}
    model.save_pretrained(tmp_path)
    again, vectors = SpotClipModel.from_pretrained(tmp_path), torch.randn(2, 5)
    assert again.config.image_encoder is None and again.config.vision_config is None
    assert torch.equal(again(image_vectors=vectors).image_embeds, model(image_vectors=vectors).image_embeds)
    with pytest.raises(ValueError, match="has no image encoder: pass image_vectors"):
        again(torch.randn(2, 3, 32, 32))
    with pytest.raises(ValueError, match="counts: this model's gene tower takes expression"):
        again.get_gene_features(counts=vectors)
    with pytest.raises(ValueError, match="image_width: is not given"):
        SpotClipConfig(image_encoder=None)


def test_what_older_models_say_is_understood(tmp_path):
    """Of before there were other encoders than CLIP's: config.json does not name any."""
    write_clip(tmp_path / "clip")
    vision = json.loads((tmp_path / "clip/config.json").read_text())["vision_config"]
    older = {"model_type": "spot_clip", "vision_config": vision, "projection_dim": 24, "genes": GENES, "latent_dim": 8}
    (tmp_path / "config.json").write_text(json.dumps(older))
    config = SpotClipConfig.from_pretrained(tmp_path)
    assert (config.library, config.image_size, config.image_width) == ("clip", 32, 24)
    names = SpotClipModel(config).state_dict().keys()
    assert {"visual_projection.weight", "image_head.bias", "gene_tower.0.weight", "logit_scale"} <= names
    assert not [name for name in names if name.startswith("image_encoder.")]


@pytest.mark.parametrize("former", ["towers", "modeling"])
def test_former_places_of_the_model(former, monkeypatch):
    monkeypatch.delitem(sys.modules, f"stimage.{former}.spot_clip", raising=False)
    with pytest.warns(FutureWarning, match=f"stimage.{former}.spot_clip: import SpotClipModel from stimage.towers"):
        module = importlib.import_module(f"stimage.{former}.spot_clip")
    assert module.SpotClipModel is SpotClipModel and module.SpotClipConfig is SpotClipConfig
