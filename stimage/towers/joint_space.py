"""A trained model's joint space: images of spots in it, and their genes or sentences."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import CLIPModel, PreTrainedModel

from stimage.core.errors import DataError, one_line
from stimage.towers.image_towers import ImageTower, digest_of, load_tower
from stimage.towers.joint.modeling_spot_clip import SpotClipModel
from stimage.towers.options import TowerOptions
from stimage.towers.presets import checkpoint_of
from stimage.towers.reading import read_config, read_processor, read_weights

JOINT = {"spot_clip": (SpotClipModel, "genes"), "clip": (CLIPModel, "text")}  # kind of model → what it has by images

NO_IMAGES = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))  # mean and std where no image is embedded


class JointSpace(nn.Module):
    """A model whose two towers meet.

    Attributes
    ----------
    name, checkpoint
        The name that was asked for, and the loaded path or name on the Hub.
    model
        `SpotClipModel`, or transformers' `CLIPModel`.
    other
        The partner of images: "genes" or "text".
    width
        Width of the joint space.
    image_size
        Side of its images in pixels.
    digest
        Digest of the weights.
    encoder
        The image encoder that makes the vectors which the model takes, if it has no encoder of its own.
    """

    model: PreTrainedModel
    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self, name: str, checkpoint: str, model: PreTrainedModel, other: str, images: ImageTower | Sequence[Sequence]
    ):
        super().__init__()
        self.name, self.checkpoint, self.model, self.other = name, checkpoint, model, other
        self.digest = digest_of(model)
        self.encoder = images if isinstance(images, ImageTower) else None
        mean, std = (
            (images.mean / 255, images.std / 255) if isinstance(images, ImageTower) else map(torch.tensor, images)
        )
        self.register_buffer("mean", 255 * mean, persistent=False)
        self.register_buffer("std", 255 * std, persistent=False)

    @property
    def width(self) -> int:
        config: Any = self.model.config
        return config.projection_dim if self.other == "text" else config.latent_dim

    @property
    def image_size(self) -> int:
        config: Any = self.model.config
        own = config.vision_config.image_size if self.other == "text" else config.image_size
        return self.encoder.size if self.encoder else own

    def encode_images(self, images: torch.Tensor) -> torch.Tensor:
        """Embed images (uint8, n x size x size x 3): float32, n x width, of unit length, on the CPU."""
        if self.encoder:
            return self.encode_vectors(self.encoder.encode(images))
        pixels = ((images.to(self.mean.device).float() - self.mean) / self.std).permute(0, 3, 1, 2)
        return self._encode("image", pixel_values=pixels)

    def encode_vectors(self, vectors: torch.Tensor) -> torch.Tensor:
        """Embed image vectors that the model's image encoder made (n x d), as `encode_images` embeds images."""
        return self._encode("image", image_vectors=vectors.to(self.mean.device))

    def encode_other(self, **inputs: torch.Tensor) -> torch.Tensor:
        """Embed the inputs of the other tower, by their names: float32, n x width, of unit length, on the CPU."""
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


def load_joint(
    name: str,
    device: str | torch.device = "cpu",
    dtype: str = "float32",
    encoder: str | None = None,
    with_images: bool = True,
) -> JointSpace:
    """Load a model with its joint space.

    Parameters
    ----------
    name
        A model from `finetune`, as a folder or a name on the Hub; or a whole CLIP, whose images meet text.
    dtype
        "float32", "bfloat16" or "float16".
    encoder
        For a model that was trained on image vectors: the image encoder that made them. None looks for it under the
        name that the model has for it.
    with_images
        False where no image is embedded: that encoder is not loaded.

    Raises
    ------
    DataError
        If there is no such model, it lacks weights, or it is an encoder alone, which has no joint space. If the image
        encoder can't be found, or has other weights than the one of the model's training.
    """
    checkpoint, kind = checkpoint_of(name), _kind_of(name)
    if kind is None:
        raise DataError(f"{name}: its config.json does not say what model it is (model_type); get the whole folder")
    if kind not in JOINT:
        raise DataError(f"{name}: is an image encoder alone ({kind}), which has no joint space; pass a model that "
                        "finetune made, or space='tower' (--space tower)")  # fmt: skip
    made, other = JOINT[kind]
    model, missing = read_weights(made, checkpoint)
    if missing:
        raise DataError(f"{name}: lacks weights of the joint space, such as {sorted(missing)[0]}; get the model "
                        "again")  # fmt: skip
    config: Any = model.config
    heads = other == "genes" and config.image_encoder is None
    if encoder is not None and not heads:
        raise ValueError(f"encoder= (--encoder): {name} has an image encoder of its own; leave it out")
    if heads:
        images: Any = _encoder_of(name, config, encoder, device, dtype) if with_images else NO_IMAGES
    else:
        processor = read_processor(checkpoint)
        images = processor.image_mean, processor.image_std
    space = JointSpace(name, checkpoint, model, other, images)
    space.model.to(dtype=getattr(torch, dtype))
    return space.eval().requires_grad_(False).to(device)


def beside_images(name: str) -> str | None:
    """Return the partner of images in a model's joint space, "genes" or "text"; None for an encoder alone."""
    return JOINT[kind][1] if (kind := _kind_of(name)) in JOINT else None


def _kind_of(name: str) -> str | None:
    """Return what kind of model a name is of: as its configuration calls it, or the prefix of another library."""
    prefix, colon, _ = (checkpoint := checkpoint_of(name)).partition(":")
    return prefix if colon else read_config(checkpoint).get("model_type")


def _encoder_of(name: str, config: Any, encoder: str | None, device: str | torch.device, dtype: str) -> ImageTower:
    """Load the image encoder that made the vectors which a model takes."""
    made = config.image_vectors or {}
    called = encoder or str(made.get("model") or "").partition("@")[0].partition("+")[0]
    known = {key: made[key] for key in ("pooling", "size", "mean", "std", "model_args") if key in made}
    try:
        if not called:
            raise DataError("its name is not known")
        tower = load_tower(called, device, dtype, TowerOptions(**known))
    except DataError as error:
        raise DataError(f"{name}: takes the vectors of an image encoder, {made.get('model')}, that can't be loaded "
                        f"({one_line(error)}); say where it is by encoder= (--encoder)") from None  # fmt: skip
    if tower.width != config.image_width or made.get("weights", tower.digest) != tower.digest:
        raise DataError(f"{name}: was trained on vectors of {made.get('model')}, of length {config.image_width}; "
                        f"{called} has other weights: pass encoder= (--encoder) of that one")  # fmt: skip
    return tower
