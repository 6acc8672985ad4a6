"""Each family of transformers, tuned and saved: its own library, this project, and a stranger load it."""

import os
import subprocess
import sys

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from stimage.core.errors import DataError
from stimage.towers.image_towers import load_tower
from stimage.towers.options import TowerOptions
from stimage.towers.saving import save_towers
from stimage.towers.two_towers import gene_towers
from stimage.training.settings.groups import TowerSettings
from tests.towers.checkpoints import batch
from tests.towers.families import (
    FAMILIES,
    GENES,
    image_vectors,
    taken_by,
    tuned_one_step,
    weights_of,
    write_encoder,
)

STRANGER = """
import sys
sys.modules["stimage"] = None  # as where it is not installed
import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, pipeline

place, image, out = sys.argv[1:]
model = AutoModel.from_pretrained(place, trust_remote_code=True)
processor = AutoImageProcessor.from_pretrained(place)
pixels = processor(Image.open(image), return_tensors="pt")
with torch.inference_mode():
    vectors = model.get_image_features(**pixels)
    genes = model.get_gene_features(expression=torch.ones(1, len(model.config.genes)))
piped = pipeline("image-feature-extraction", model=place, trust_remote_code=True)(Image.open(image))
torch.save([vectors, genes, torch.tensor(piped), model.state_dict()], out)
"""


def as_stranger(place, image, out, tmp_path) -> list:
    """Return what a process that lacks the project makes of a model and an image."""
    environment = {**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules")}
    done = subprocess.run([sys.executable, "-c", STRANGER, place, image, out], capture_output=True, text=True,
                          env=environment)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return torch.load(out)


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_tuned_tower_is_loaded_by_its_own_library_and_by_ours(kind, tmp_path):
    import transformers as hf

    towers = tuned_one_step(str(write_encoder(kind, tmp_path / kind)))
    images = batch(3, 3)["images"]
    save_towers(towers, weights_of(towers), tmp_path / "model")
    vectors = image_vectors(towers, images)
    pixels = ((images - towers.mean) / towers.std).permute(0, 3, 1, 2)
    place = tmp_path / "model" if kind == "clip" else tmp_path / "model/image_tower"
    own = (hf.CLIPVisionModelWithProjection if kind == "clip" else hf.AutoModel).from_pretrained(place)
    with torch.inference_mode():
        found = own(**taken_by(own, pixels))
    theirs = found.image_embeds if kind == "clip" else found.pooler_output
    if kind == "vit":  # whose checkpoint has no pooler, so that the class token is taken
        theirs = found.last_hidden_state[:, 0]
    torch.testing.assert_close(theirs, vectors, atol=1e-5, rtol=0)
    tower = load_tower(str(tmp_path / "model"))
    torch.testing.assert_close(tower.encode(images), vectors, atol=1e-5, rtol=0)
    assert hf.AutoImageProcessor.from_pretrained(place).image_mean == pytest.approx((towers.mean / 255).tolist())
    again = gene_towers(str(tmp_path / "model"), GENES, "linear", 8).eval()  # tuning goes on
    torch.testing.assert_close(image_vectors(again, images), vectors, atol=1e-6, rtol=0)
    trained = {name for name, weight in towers.named_parameters() if weight.requires_grad}
    assert {name for name, weight in again.named_parameters() if weight.requires_grad} == trained
    saved, ours = load_file(tmp_path / "model/model.safetensors"), weights_of(towers)  # named as transformers likes
    assert len(saved) == len(ours) and sum(map(torch.numel, saved.values())) == sum(map(torch.numel, ours.values()))


@pytest.mark.parametrize("kind", FAMILIES)
def test_lora_is_merged_into_what_its_own_library_loads(kind, tmp_path):
    import transformers as hf

    place = str(write_encoder(kind, tmp_path / kind))
    towers = tuned_one_step(place, TowerSettings(lora_rank=4, lora_alpha=8))
    images = batch(3, 3)["images"]
    vectors, begun = image_vectors(towers, images), load_tower(place).encode(images)
    assert (vectors - begun).abs().max() > 1e-3  # or nothing was learnt
    save_towers(towers, weights_of(towers, scaling=2.0), tmp_path / "model")
    tower = load_tower(str(tmp_path / "model"))
    torch.testing.assert_close(tower.encode(images), vectors, atol=1e-5, rtol=0)
    own = tmp_path / "model" if kind == "clip" else tmp_path / "model/image_tower"
    cls = hf.CLIPVisionModelWithProjection if kind == "clip" else hf.AutoModel
    model, found = cls.from_pretrained(own, output_loading_info=True)
    assert not found["missing_keys"] - {"pooler.dense.weight", "pooler.dense.bias"}  # of a ViT that has none
    with torch.inference_mode():
        out = model(**taken_by(model, ((images - towers.mean) / towers.std).permute(0, 3, 1, 2)))
    theirs = out.image_embeds if kind == "clip" else out.last_hidden_state[:, 0] if kind == "vit" else out.pooler_output
    torch.testing.assert_close(theirs, vectors, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["clip", "vit"])
def test_a_stranger_loads_a_model(kind, tmp_path):
    towers = tuned_one_step(str(write_encoder(kind, tmp_path / kind)))
    save_towers(towers, weights_of(towers), tmp_path / "model")
    images = batch(2, 3)["images"][:1]
    Image.fromarray(images[0].numpy()).save(tmp_path / "spot.png")
    found = as_stranger(tmp_path / "model", tmp_path / "spot.png", tmp_path / "found.pt", tmp_path)
    with torch.inference_mode():
        ours = towers.model.image_head(image_vectors(towers, images))
        genes = towers.model.get_gene_features(expression=torch.ones(1, 3))
        unit = torch.nn.functional.normalize(ours)
    torch.testing.assert_close(found[0], ours, atol=1e-5, rtol=0)
    torch.testing.assert_close(found[1], genes, atol=1e-6, rtol=0)
    torch.testing.assert_close(found[2].reshape(1, -1), unit, atol=1e-5, rtol=0)
    assert all(torch.equal(value, weights_of(towers)[name]) for name, value in found[3].items())


def test_pooling_and_colours_that_were_asked_for_are_saved(tmp_path):
    options = TowerOptions("cls+mean", 40, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    towers = tuned_one_step(str(write_encoder("vit", tmp_path / "vit")), options=options)
    assert towers.image_size == 40 and towers.model.config.image_width == 64
    save_towers(towers, weights_of(towers), tmp_path / "model")
    tower, images = load_tower(str(tmp_path / "model")), batch(2, 3, 40)["images"]
    assert (tower.size, tower.pooling, tower.width, tower.name) == (40, "cls+mean", 64, str(tmp_path / "model"))
    torch.testing.assert_close(tower.encode(images), image_vectors(towers, images), atol=1e-5, rtol=0)
    with pytest.raises(DataError, match=r"is tuned further as it is; leave out towers.pooling"):
        gene_towers(str(tmp_path / "model"), GENES, "linear", 8, options=options)


def test_a_tower_begins_at_random_by_its_configuration(tmp_path):
    place = str(write_encoder("dinov2", tmp_path / "dinov2"))
    (tmp_path / "dinov2/model.safetensors").unlink()
    torch.manual_seed(1)
    one = gene_towers(place, GENES, "linear", 8, pretrained=False)
    torch.manual_seed(1)
    two = gene_towers(place, GENES, "linear", 8, pretrained=False)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    with pytest.raises(DataError, match="can't be loaded as AutoModel"):
        gene_towers(place, GENES, "linear", 8)


def test_encoders_that_cannot_be_tuned(tmp_path):
    import transformers as hf

    place = write_encoder("vit", tmp_path / "vit")
    hf.ViTModel(hf.ViTConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=1,
                             image_size=32, patch_size=8, num_channels=1)).save_pretrained(place)  # fmt: skip
    with pytest.raises(DataError, match=r"vit: can't take RGB images of 32 x 32 pixels .*; pass another encoder, or"):
        gene_towers(str(place), GENES, "linear", 8)
    with pytest.raises(DataError, match=r"can't be loaded as AutoModel .*no_such.*; check model_args= "):
        gene_towers(str(place), GENES, "linear", 8, options=TowerOptions(model_args={"no_such": 1}))
    with pytest.raises(DataError, match=r"conch: comes with its weights alone: leave out pretrained=false"):
        gene_towers("conch:x/conch", GENES, "linear", 8, pretrained=False)
