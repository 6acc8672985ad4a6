"""Tiny checkpoints of image encoders' families, and one step of tuning them."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from packaging.version import Version

from stimage.towers.joint.modeling_spot_clip import SpotClipModel
from stimage.towers.tuning.lora import merged
from stimage.towers.two_towers import TwoTowers, gene_towers, model_state
from stimage.training.optimizer import choose_tuned
from stimage.training.settings.groups import TowerSettings
from tests.towers.checkpoints import batch

GENES = ["ERBB2", "KRT8", "ACTB"]
TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32,
         "patch_size": 8}  # fmt: skip
PATCHES = {key: value for key, value in TOWER.items() if key != "image_size"} | {"num_patches": 16}
FAMILIES = ("clip", "siglip", "siglip2", "dinov2", "dinov3", "vit", "convnext")
TEXT = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 50}


def write_encoder(kind: str, folder: Path) -> Path:
    """Save a tiny encoder of a family of transformers with random weights, and its image processor."""
    import transformers as hf

    if Version(hf.__version__) < Version("5.20") and find_spec("torchvision") is None:
        pytest.skip("transformers before 5.20 reads no image processor without torchvision")
    made = {  # layers of a ConvNeXt add a millionth at first, unless told otherwise
        "clip": lambda: hf.CLIPVisionModelWithProjection(hf.CLIPVisionConfig(**TOWER, projection_dim=16)),
        "siglip": lambda: hf.SiglipVisionModel(hf.SiglipVisionConfig(**TOWER)),
        "siglip2": lambda: hf.Siglip2Model(hf.Siglip2Config(vision_config=PATCHES, text_config=TEXT)),
        "dinov2": lambda: hf.Dinov2Model(hf.Dinov2Config(**TOWER)),
        "dinov3": lambda: hf.DINOv3ViTModel(hf.DINOv3ViTConfig(**TOWER, num_register_tokens=2)),
        "vit": lambda: hf.ViTModel(hf.ViTConfig(**TOWER), add_pooling_layer=False),
        "convnext": lambda: hf.ConvNextModel(
            hf.ConvNextConfig(num_stages=2, hidden_sizes=[16, 32], depths=[1, 1], layer_scale_init_value=0.5)
        ),
    }
    torch.manual_seed(0)
    made[kind]().save_pretrained(folder)
    square, colours = {"height": 32, "width": 32}, {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]}
    if kind == "siglip2":
        processor = hf.models.siglip2.image_processing_pil_siglip2.Siglip2ImageProcessorPil
        processor(patch_size=8, max_num_patches=16, **colours).save_pretrained(folder)
        return folder
    hf.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=square, **colours).save_pretrained(folder)
    return folder


def taken_by(model, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return normalised images as a model of transformers takes them: SigLIP 2's by its library's own function."""
    if model.config.model_type != "siglip2_vision_model":
        return {"pixel_values": pixels}
    from transformers.models.siglip2.image_processing_pil_siglip2 import convert_image_to_patches

    patches = torch.stack([torch.from_numpy(convert_image_to_patches(image.numpy(), 8)) for image in pixels])
    shapes = torch.tensor([[image.shape[1] // 8, image.shape[2] // 8] for image in pixels])
    mask = torch.ones(patches.shape[:2], dtype=torch.int32)
    return {"pixel_values": patches, "pixel_attention_mask": mask, "spatial_shapes": shapes}


def tuned_one_step(checkpoint: str, lora: TowerSettings | None = None, **more) -> TwoTowers:
    """Return towers after one step, in which each weight that is trained has changed; of LoRA's, if these are asked."""
    towers = gene_towers(checkpoint, GENES, "linear", 8, **more)
    choose_tuned(towers, lora or TowerSettings())
    towers.train()
    weights = {name: weight for name, weight in towers.named_parameters() if weight.requires_grad}
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    told = batch(4, 3, towers.image_size)
    images, genes, scale = towers(told["images"], expression=told["expression"])
    loss = torch.nn.functional.cross_entropy(scale.exp() * images @ genes.T, torch.arange(4))
    loss.backward()
    assert not [name for name, weight in weights.items() if weight.grad is None]
    torch.optim.AdamW(weights.values(), lr=1e-2).step()
    assert sum(not torch.equal(before[name], weight) for name, weight in weights.items()) > len(weights) / 2
    return towers.eval()


def image_vectors(towers: TwoTowers, images: torch.Tensor) -> torch.Tensor:
    """Return the vectors of towers' image encoder."""
    model: SpotClipModel = towers.model
    with torch.inference_mode():
        return model.encode(((images - towers.mean) / towers.std).permute(0, 3, 1, 2))


def weights_of(towers: TwoTowers, scaling: float = 1.0) -> dict[str, torch.Tensor]:
    """Return the model's weights as they are saved; LoRA's are merged, times their scaling."""
    return merged(model_state(towers.state_dict()), scaling)
