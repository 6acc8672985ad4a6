"""The model, saved and loaded as users do."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import (
    AutoModel,
    CLIPImageProcessor,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    SiglipConfig,
    SiglipModel,
)

import stimage.towers.joint.modeling_spot_clip  # noqa: F401
from stimage.core.errors import DataError
from stimage.loading.pixels import augment, resize
from stimage.towers.presets import find_preset
from stimage.towers.two_towers import CLIP_MEAN, CLIP_STD, gene_towers, model_state, text_towers
from tests.towers.checkpoints import batch, write_clip

GENES = ["ERBB2", "KRT8", "ACTB"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> str:
    return str(write_clip(tmp_path_factory.mktemp("clip") / "clip"))


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_a_saved_model_gives_the_same_embeddings_everywhere(clip, tmp_path, kind):
    towers = gene_towers(clip, GENES, kind, 8)
    model, spots = towers.model, batch(4, 3)
    pixels = torch.randn(4, 3, 32, 32)
    model.save_pretrained(tmp_path, state_dict=model_state(towers.state_dict()))
    assert [p.name for p in tmp_path.iterdir() if p.suffix not in (".json", ".safetensors", ".py")] == []
    again = AutoModel.from_pretrained(tmp_path)
    assert again.config.genes == GENES
    for ours, theirs in zip(model(pixels, spots["expression"]).values(), again(pixels, spots["expression"]).values()):
        assert torch.equal(ours.reshape(theirs.shape), theirs)
    vision = CLIPVisionModelWithProjection.from_pretrained(tmp_path)
    assert torch.equal(vision(pixels).image_embeds, model.visual_projection(model.vision_model(pixels).pooler_output))
    base = CLIPModel.from_pretrained(clip)
    assert torch.equal(vision(pixels).image_embeds, base.get_image_features(pixels).pooler_output)
    taken = {name: spots[name] for name in ("images", "expression")}
    continued = gene_towers(str(tmp_path), GENES, kind, 8)  # tuning goes on from a tuned checkpoint
    assert torch.equal(continued(**taken)[1], towers(**taken)[1])


def test_new_parts_begin_as_they_should(clip):
    """Not as from_pretrained leaves what a checkpoint lacks, and for whatever checkpoint."""
    model = gene_towers(clip, [f"G{i}" for i in range(400)], "linear", 32).model
    bound = (6 / (400 + 32)) ** 0.5
    weight = model.gene_tower[0].weight.detach()
    assert weight.abs().max() <= bound and weight.std() == pytest.approx(bound / 3**0.5, rel=0.05)
    assert model.gene_tower[0].bias.abs().max() == 0
    assert model.logit_scale.item() == pytest.approx(np.log(1 / 0.07), abs=1e-3)


def test_the_image_processor_and_towers_see_the_same(clip):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32)
    pixels = processor([Image.fromarray(image) for image in images], return_tensors="pt")["pixel_values"]
    towers = text_towers(clip)
    ours = towers(torch.from_numpy(images), input_ids=torch.full((3, 5), 189))[0]
    theirs = torch.nn.functional.normalize(towers.model.get_image_features(pixels).pooler_output, dim=-1)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert tuple(CLIP_MEAN) == tuple(processor.image_mean) and tuple(CLIP_STD) == tuple(processor.image_std)


@pytest.mark.parametrize("size", [20, 56, 112, 137, 224, 300])
def test_resized_as_pillow_does(size):
    rng = np.random.default_rng(size)
    images = [np.clip(rng.normal(150, 60, (size, size + i % 2, 3)), 0, 255).astype(np.uint8) for i in range(10)]
    ours = resize(images, 224).numpy().astype(int)
    theirs = [np.asarray(Image.fromarray(image).resize((224, 224), Image.Resampling.BICUBIC), int) for image in images]
    difference = np.abs(ours - np.stack(theirs))
    assert difference.max() <= 2 and (difference > 1).mean() < 1e-4


def test_augmentation_is_a_spots_own():
    images = batch(6, 1)["images"]
    seeds = [(0, 1, i) for i in range(6)]
    some = augment(images, seeds)
    assert torch.equal(some[2:4], augment(images[2:4], seeds[2:4]))
    assert not torch.equal(some, augment(images, [(0, 2, i) for i in range(6)]))
    assert (some.float().mean() - images.float().mean()).abs() < 20


def test_weights_of_an_older_checkpoint(clip, tmp_path):
    older = Path(shutil.copytree(clip, tmp_path / "older"))
    torch.save(load_file(older / "model.safetensors"), older / "pytorch_model.bin")
    (older / "model.safetensors").unlink()
    ours, theirs = (gene_towers(str(name), GENES, "linear", 8).model.vision_model for name in (older, clip))
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters()))


def test_checkpoints_that_do_not_serve(clip, tmp_path):
    with pytest.raises(DataError, match="cannot be read as a checkpoint"):
        gene_towers(str(tmp_path / "nothing"), GENES, "linear", 8)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    SiglipModel(SiglipConfig(text_config=small, vision_config=small)).save_pretrained(tmp_path / "siglip")
    with pytest.raises(DataError, match=r"has no readable preprocessor_config.json"):
        gene_towers(str(tmp_path / "siglip"), GENES, "linear", 8)
    config = CLIPVisionConfig(**small, image_size=32, patch_size=8, projection_dim=8)
    CLIPVisionModelWithProjection(config).save_pretrained(tmp_path / "vision")
    gene_towers(str(tmp_path / "vision"), GENES, "linear", 8)
    with pytest.raises(DataError, match="has no text tower"):
        text_towers(str(tmp_path / "vision"))
    towers = gene_towers(clip, GENES, "linear", 8)
    towers.model.save_pretrained(tmp_path / "tuned", state_dict=model_state(towers.state_dict()))
    with pytest.raises(DataError, match=r"trained on another panel \(3 genes, not these 2\)"):
        gene_towers(str(tmp_path / "tuned"), GENES[:2], "linear", 8)


def test_a_preset_has_the_text_tower_of_its_checkpoint(clip, monkeypatch):
    preset = replace(find_preset("clip"), loader=clip)
    monkeypatch.setattr(sys.modules["stimage.towers.presets"], "presets", lambda: {"clip": preset})
    assert type(text_towers("clip").model).__name__ == "CLIPModel"
