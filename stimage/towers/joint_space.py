"""A trained model's joint space: images of spots in it, and their genes or sentences."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import CLIPModel, PreTrainedModel

from stimage.core.errors import DataError
from stimage.towers.image_towers import digest_of
from stimage.towers.joint.modeling_spot_clip import SpotClipModel
from stimage.towers.presets import find_preset
from stimage.towers.reading import read_config, read_processor, read_weights

JOINT = {"spot_clip": (SpotClipModel, "genes"), "clip": (CLIPModel, "text")}  # kind of model → what it has by images


class JointSpace(nn.Module):
    """A model whose two towers meet.

    Attributes
    ----------
    name, checkpoint
        As it was asked for, and what was loaded: a path, or a name on the Hub.
    model
        `SpotClipModel`, or transformers' `CLIPModel`.
    other
        What is beside images: "genes" or "text".
    width
        Of the joint space.
    image_size
        Pixels along a side of its images.
    digest
        Of its weights.
    """

    model: PreTrainedModel
    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, name: str, checkpoint: str, model: PreTrainedModel, other: str, mean: Sequence, std: Sequence):
        super().__init__()
        self.name, self.checkpoint, self.model, self.other = name, checkpoint, model, other
        self.digest = digest_of(model)
        self.register_buffer("mean", 255 * torch.tensor(mean), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(std), persistent=False)

    @property
    def width(self) -> int:
        config: Any = self.model.config
        return config.projection_dim if self.other == "text" else config.latent_dim

    @property
    def image_size(self) -> int:
        config: Any = self.model.config
        return getattr(config, "image_size", None) or config.vision_config.image_size

    def encode_images(self, images: torch.Tensor) -> torch.Tensor:
        """Embed images (uint8, n x size x size x 3): float32, n x width, of unit length, on the CPU."""
        pixels = ((images.to(self.mean.device).float() - self.mean) / self.std).permute(0, 3, 1, 2)
        return self._encode("image", pixel_values=pixels)

    def encode_other(self, **inputs: torch.Tensor) -> torch.Tensor:
        """Embed what the other tower takes, by its name: float32, n x width, of unit length, on the CPU."""
        there = {name: part.to(self.mean.device) for name, part in inputs.items()}
        return self._encode("text" if self.other == "text" else "gene", **there)

    @torch.inference_mode()
    def _encode(self, kind: str, **inputs: torch.Tensor) -> torch.Tensor:
        dtype = next(self.model.parameters()).dtype
        kept = [name for name, part in inputs.items() if name == "counts" or not part.is_floating_point()]  # as exact
        inputs = {name: part if name in kept else part.to(dtype) for name, part in inputs.items()}
        found = getattr(self.model, f"get_{kind}_features")(**inputs)
        vectors = found if isinstance(found, torch.Tensor) else found.pooler_output  # as CLIPModel gives it
        return nn.functional.normalize(vectors.to("cpu", torch.float32), dim=1)


def load_joint(name: str, device: str | torch.device = "cpu", dtype: str = "float32") -> JointSpace:
    """Load a model with its joint space.

    Parameters
    ----------
    name
        What `finetune` made, a folder or a name on the Hub; or a whole CLIP, whose images meet text.
    dtype
        "float32", "bfloat16" or "float16".

    Raises
    ------
    DataError
        If there is no such model, it lacks weights, or it is an encoder alone, which has no joint space.
    """
    preset = find_preset(name)
    checkpoint = preset.loader if preset else name
    prefixed = ":" in checkpoint  # of another library
    kind = checkpoint.partition(":")[0] if prefixed else read_config(checkpoint).get("model_type")
    if kind not in JOINT:
        raise DataError(f"{name}: is an image encoder alone ({kind}), which has no joint space; pass a model that "
                        "finetune made, or space='tower' (--space tower)")  # fmt: skip
    made, other = JOINT[kind]
    model, missing = read_weights(made, checkpoint)
    if missing:
        raise DataError(f"{name}: lacks weights of the joint space, such as {sorted(missing)[0]}; get the model "
                        "again")  # fmt: skip
    processor = read_processor(checkpoint)
    space = JointSpace(name, checkpoint, model, other, processor.image_mean, processor.image_std)
    space.model.to(dtype=getattr(torch, dtype))
    return space.eval().requires_grad_(False).to(device)
