"""LoRA in models of timm, merged into what timm itself loads; `make test-timm` has timm."""

import pytest
import torch
from torch import nn

from stimage.towers.image_towers import load_tower
from stimage.towers.saving import IMAGE_TOWER, save_towers
from stimage.towers.tuning.layers import image_encoder_of, layers_of
from stimage.towers.tuning.lora import merged
from stimage.towers.two_towers import gene_towers, model_state
from stimage.training.optimizer import choose_tuned
from stimage.training.settings.groups import TowerSettings

timm = pytest.importorskip("timm", reason="make test-timm has timm")
LITE = ("conv_pw", "conv_pwl", "conv_head")  # its convolutions of one group
MADE = {
    "vit_tiny_patch16_224": ({"img_size": 32, "embed_dim": 24, "depth": 2, "num_heads": 2}, (), 2),
    "swin_tiny_patch4_window7_224": ({"img_size": 64, "embed_dim": 8, "depths": (1, 1), "num_heads": (1, 2),
                                      "window_size": 4}, (), 2),
    "tf_efficientnet_lite0": ({}, LITE, 7),
    "resnet18": ({}, ("conv1", "conv2"), 4),
    "convnext_tiny": ({"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)}, (), 4),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_lora_is_merged_into_what_timm_loads(name, tmp_path):
    torch.manual_seed(0)
    args, targets, layers = MADE[name]
    timm.models.save_for_hf(timm.create_model(name, num_classes=0, **args), tmp_path / "begun", model_args=args)
    towers = gene_towers(f"local-dir:{tmp_path / 'begun'}", ["A", "B"], "linear", 8)
    assert len(layers_of(image_encoder_of(towers.model))) == layers
    choose_tuned(towers.eval(), TowerSettings(lora_rank=4, lora_alpha=8, lora_targets=targets))
    for key, weight in towers.named_parameters():
        if ".lora_B." in key:
            nn.init.normal_(weight, std=0.1)
    size = towers.image_size
    images = torch.randint(0, 256, (2, size, size, 3), dtype=torch.uint8)
    pixels = ((images.float() - towers.mean) / towers.std).permute(0, 3, 1, 2)
    with torch.inference_mode():
        adapted = towers.model.encode(pixels)
    save_towers(towers, merged(model_state(towers.state_dict()), 2.0), tmp_path / "model")
    again = load_tower(f"local-dir:{tmp_path / 'model' / IMAGE_TOWER}").encode(images)
    torch.testing.assert_close(again, adapted, atol=1e-5, rtol=1e-5)
