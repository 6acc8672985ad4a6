"""Image towers: any image encoder by its name, frozen or to be trained: images in, vectors out."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from stimage.core.errors import DataError
from stimage.towers.families import conch, timm_models, transformers_models
from stimage.towers.families.encoder import Encoder
from stimage.towers.options import TowerOptions
from stimage.towers.presets import checkpoint_of, find_preset

FAMILIES = {  # prefix of a name → what makes the encoder; a name without prefix is of transformers
    **dict.fromkeys(timm_models.PREFIXES, timm_models.timm_encoder),
    "conch:": conch.conch_encoder,
    "titan:": conch.conch15_encoder,
    "": transformers_models.transformers_encoder,
}
UNTRAINED = "untrained:"  # before a name: the same encoder with random weights, always the same ones
WEIGHTS_ALONE = ("conch:", "titan:")  # of these, only the trained weights can be had


class ImageTower(nn.Module):
    """An image encoder with its pooling, and the form of its images.

    Attributes
    ----------
    name
        The name that was asked for: a preset, a path, a name on the Hub, ``timm:NAME``; with its pooling, if that is
        not the usual one.
    model
        The encoder itself, as its library makes it.
    pooling
        The way from features to a vector.
    size
        Side of the images in pixels.
    width
        Length of the vectors.
    digest
        Digest of the weights: two towers of one name may differ.
    said
        The entry in a joint model's configuration (`SpotClipConfig.image_encoder`); None if it can't be part of one.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, name: str, encoder: Encoder, pooling: str, device: torch.device, dtype: torch.dtype):
        super().__init__()
        self.name, self.model, self.pooling, self.size = name, encoder.model, pooling, encoder.size
        self.dtype, self.width, self.digest = dtype, 0, digest_of(encoder.model)
        self.said: Mapping[str, Any] | None = encoder.said and {**encoder.said, "pooling": pooling, "size": self.size}
        self._pool = encoder.poolings[pooling]
        self.register_buffer("mean", 255 * torch.tensor(encoder.mean), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(encoder.std), persistent=False)
        self.model.to(dtype=dtype)
        self.to(device)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Encode images (uint8, n x size x size x 3) into vectors (n x width)."""
        pixels = ((images.to(self.mean.device).float() - self.mean) / self.std).permute(0, 3, 1, 2)
        return self._pool(pixels.to(self.dtype))

    @torch.inference_mode()
    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """Encode images (uint8, n x size x size x 3) into vectors (float32, n x width, on the CPU), untracked."""
        return self(images).to("cpu", torch.float32)


def load_tower(
    name: str,
    device: str | torch.device = "cpu",
    dtype: str = "float32",
    options: TowerOptions | None = None,
    trainable: bool = False,
    pretrained: bool = True,
) -> ImageTower:
    """Load an image tower.

    Parameters
    ----------
    name
        A preset (``stimage towers`` lists them), the path or Hub name of a transformers checkpoint, or a timm model
        without its classifier: ``timm:NAME``, ``hf-hub:REPO`` or ``local-dir:FOLDER``. A folder comes before a preset
        of the same name. ``untrained:`` before any of these gives random weights of one seed. From CLIP, and from
        checkpoints with CLIP's vision tower and projection, such as ours, the vector is the projected embedding. From
        SigLIP it is the pooled output. From others (DINOv2, ViT, …) it is the pooled output, or the first token where
        the checkpoint has no pooling weights.
    dtype
        "float32", "bfloat16" or "float16".
    options
        Values that differ from those of the preset or the checkpoint.
    trainable
        Whether the weights can be trained. They are frozen otherwise, as are those that the vectors don't depend on.
    pretrained
        Whether to load the weights. If False, only the configuration is read, and the weights are random.

    Raises
    ------
    DataError
        If there is no such checkpoint, it is no vision model, or it lacks weights, which would then be random. If it
        takes no images of three colours or has no such pooling. If it gives no vectors of the preset's length, or
        different vectors for the same image.
    """
    if name.startswith(UNTRAINED):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            tower = load_tower(name.removeprefix(UNTRAINED), device, dtype, options, trainable, pretrained=False)
        tower.name = f"{UNTRAINED}{tower.name}"
        return tower
    asked, preset = options or TowerOptions(), find_preset(name)
    known = asked.over(preset.options) if preset else asked
    encoder = _encoder(preset.loader if preset else name, known, pretrained)
    usual = (preset and preset.options.pooling) or next(iter(encoder.poolings), None)
    if (pooling := asked.pooling or usual) not in encoder.poolings:
        can = f"pass pooling= (--pooling): {', '.join(encoder.poolings)}"
        raise DataError(f"{name}: has no pooling {pooling!r}; {can}")
    label = name if pooling == usual else f"{name}+{pooling}"
    encoder.model.eval().requires_grad_(False)
    tower = ImageTower(label, encoder, pooling, torch.device(device), getattr(torch, dtype))
    tower.width = _width(tower)
    if preset and not asked.pooling and not asked.model_args and tower.width != preset.width:
        raise DataError(f"{name}: gives vectors of {tower.width}, not of {preset.width}: these are other weights")
    if trainable:
        image = torch.zeros(1, tower.size, tower.size, 3, dtype=torch.uint8)
        train_what_counts(tower, lambda: tower(image))
    return tower.train() if trainable else tower


def untrained_of(name: str) -> str | None:
    """Return the name of an encoder's untrained look-alike; None if it is untrained itself, or only weights."""
    return None if checkpoint_of(name).startswith((UNTRAINED, *WEIGHTS_ALONE)) else f"{UNTRAINED}{name}"


def _encoder(loader: str, options: TowerOptions, pretrained: bool) -> Encoder:
    """Make an encoder by its family, with mean and std as they were asked for."""
    prefix = next(prefix for prefix in FAMILIES if loader.startswith(prefix))
    made = FAMILIES[prefix](loader, options, pretrained)
    return replace(made, mean=options.mean or made.mean, std=options.std or made.std)


def train_what_counts(model: nn.Module, vectors: Callable[[], torch.Tensor]) -> None:
    """Let those weights of a model be trained on which vectors depend; several processes can't train others."""
    model.requires_grad_(True)
    vectors().sum().backward()
    for weight in model.parameters():
        weight.requires_grad_(weight.grad is not None)
        weight.grad = None


def _width(tower: ImageTower) -> int:
    """Return the length of a tower's vectors, which must be the same each time."""
    noise = torch.randint(
        0, 256, (1, tower.size, tower.size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    first, second = tower.encode(noise), tower.encode(noise)
    if first.ndim != 2:
        raise DataError(f"{tower.name}: pooling {tower.pooling!r} gives {tuple(first.shape[1:])} numbers, no vector; "
                        "pass another pooling= (--pooling)")  # fmt: skip
    if not torch.equal(first, second):
        raise DataError(
            f"{tower.name}: gives another vector each time for one image, as encoders do that hide random parts of it; "
            "take another encoder"
        )
    return first.shape[1]


def digest_of(model: nn.Module) -> str:
    """Digest names and values of all weights."""
    digest = hashlib.blake2b(digest_size=16)
    for key, value in sorted(model.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
