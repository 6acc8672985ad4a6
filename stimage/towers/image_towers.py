"""Image towers from checkpoints of transformers (this project's among them) and of timm: images in, vectors out."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from stimage.core.errors import DataError, one_line
from stimage.core.extras import needs
from stimage.towers.reading import read_config, read_processor, read_weights

CLIP = ("clip", "clip_vision_model")
SIGLIP = ("siglip", "siglip_vision_model")
TIMM = ("timm:", "hf-hub:", "local-dir:")


@dataclass(frozen=True)
class VisionTower:
    """An image encoder, and what its images must be.

    Attributes
    ----------
    name
        As it was asked for: a path, a name on the Hub, ``timm:NAME``.
    digest
        Of its weights: two towers of one name may differ.
    size
        Pixels along a side.
    mean, std
        Of each channel, of values from 0 to 1.
    width
        Length of the vectors.
    embed
        Turns normalised images (n x 3 x size x size) into vectors (n x width).
    """

    name: str
    digest: str
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    width: int
    device: torch.device
    dtype: torch.dtype
    embed: Callable[[torch.Tensor], torch.Tensor]

    @torch.inference_mode()
    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Encode images (uint8, n x size x size x 3) into vectors (float32, n x width, on the CPU)."""
        pixels = images.to(self.device).permute(0, 3, 1, 2).to(torch.float32) / 255
        mean, std = (torch.tensor(v, device=self.device).view(1, 3, 1, 1) for v in (self.mean, self.std))
        return self.embed(((pixels - mean) / std).to(self.dtype)).to("cpu", torch.float32)


def load_tower(name: str, device: str | torch.device = "cpu", dtype: str = "float32") -> VisionTower:
    """Load a vision tower.

    Parameters
    ----------
    name
        Path or Hub name of a transformers checkpoint: of CLIP and of what keeps CLIP's vision tower and projection,
        as ours do, the projected image embedding; of SigLIP the pooled output; of others (DINOv2, ViT, …) the pooled
        output, or the first token's where the checkpoint has no pooling weights. ``timm:NAME``, ``hf-hub:REPO`` or
        ``local-dir:FOLDER``: a model of timm without its classifier.
    dtype
        "float32", "bfloat16" or "float16".

    Raises
    ------
    DataError
        If there is no such checkpoint, it is no vision model, or it lacks weights, which would then be random.
    """
    if name.startswith(TIMM):
        model, embed, (size, mean, std) = _timm_tower(name)
    else:
        model, embed = _transformers_tower(name)
        size, mean, std = _processor_facts(name)
    device, kind = torch.device(device), getattr(torch, dtype)
    digest = _digest(model)
    model.to(device, kind).eval().requires_grad_(False)
    tower = VisionTower(name, digest, size, mean, std, 0, device, kind, embed)
    width = tower(torch.zeros(1, tower.size, tower.size, 3, dtype=torch.uint8)).shape[-1]
    return VisionTower(name, digest, size, mean, std, width, device, kind, embed)


def _transformers_tower(name: str) -> tuple[nn.Module, Callable]:
    import transformers

    config = read_config(name)
    kind = _kind(config)
    if kind in CLIP:
        vision = transformers.CLIPVisionConfig.from_pretrained(name)
        if config.get("model_type") == "clip":  # CLIPModel goes by the outer one
            vision.projection_dim = config.get("projection_dim", vision.projection_dim)
        model, _ = _load(transformers.CLIPVisionModelWithProjection, name, config=vision)
        return model, lambda pixels: model(pixel_values=pixels).image_embeds
    if kind in SIGLIP:
        model, _ = _load(transformers.SiglipVisionModel, name)
        return model, lambda pixels: model(pixel_values=pixels).pooler_output
    model, missing = _load(transformers.AutoModel, name)
    if model.main_input_name != "pixel_values" or hasattr(model, "get_image_features"):
        raise DataError(f"{name}: is no vision model that is known here, but {kind!r}; pass CLIP, SigLIP, DINOv2 or "
                        "another image encoder, or timm:NAME")  # fmt: skip
    trained = not any(key.startswith("pooler.") for key in missing)
    return model, lambda pixels: _pooled(model(pixel_values=pixels), trained)


def _pooled(output: Any, pooler_is_trained: bool) -> torch.Tensor:
    pooled = getattr(output, "pooler_output", None)
    return pooled.flatten(1) if pooled is not None and pooler_is_trained else output.last_hidden_state[:, 0]


def _kind(config: dict) -> str:
    """Return what kind of vision tower a checkpoint has; ours are CLIP's within."""
    inner = config.get("vision_config")
    within = inner.get("model_type") if isinstance(inner, dict) else None
    return "clip" if within == "clip_vision_model" else str(config.get("model_type"))


def _load(cls: Any, name: str, **options: object) -> tuple[nn.Module, set[str]]:
    """Load a checkpoint; of its weights only those of a pooler may be missing."""
    model, missing = read_weights(cls, name, **options)
    if lost := sorted(key for key in missing if not key.startswith("pooler.")):
        raise DataError(f"{name}: lacks {len(lost)} weights of {cls.__name__}, such as {lost[0]}; they would be random")
    return model, missing


def _processor_facts(name: str) -> tuple[int, tuple[float, ...], tuple[float, ...]]:
    """Return size, mean and std that the checkpoint's own image processor uses."""
    processor = read_processor(name)
    size = (getattr(processor, "do_center_crop", False) and processor.crop_size) or processor.size
    sides = {value for key, value in dict(size).items() if key in ("height", "width", "shortest_edge") and value}
    if len(sides) != 1:
        raise DataError(f"{name}: its image processor makes images of {dict(size)}; expected squares")
    if not processor.do_normalize:
        return int(sides.pop()), (0.0,) * 3, (1.0,) * 3
    return int(sides.pop()), tuple(processor.image_mean), tuple(processor.image_std)


def _timm_tower(name: str) -> tuple[nn.Module, Callable, tuple]:
    timm = needs("timm")
    try:
        model = _create(timm, name.removeprefix("timm:"))
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{name}: can't be loaded by timm ({one_line(error)})") from None
    config = timm.data.resolve_model_data_config(model)
    height, width = config["input_size"][-2:]
    if height != width:
        raise DataError(f"{name}: takes images of {height} x {width}; expected squares")
    return model, model, (height, tuple(config["mean"]), tuple(config["std"]))


def _create(timm: Any, name: str) -> nn.Module:
    options = {"pretrained": True, "num_classes": 0}
    try:
        return timm.create_model(name, **options)
    except RuntimeError as error:
        if "ls1.gamma" not in str(error):
            raise
    # UNI's weights scale layers, which its configuration does not say; the value is the checkpoint's
    return timm.create_model(name, init_values=1.0, **options)


def _digest(model: nn.Module) -> str:
    """Digest names and values of all weights."""
    digest = hashlib.blake2b(digest_size=16)
    for key, value in sorted(model.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
