"""Image encoders of transformers and timm: made of a configuration, called on pixels, their features pooled."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

LIBRARIES = ("clip", "transformers", "timm")
BY_PATCHES = "siglip2_vision_model"  # SigLIP 2 for images of any shape; that for squares is of the kind siglip


def build_encoder(said: Mapping[str, Any]) -> nn.Module:
    """Make an encoder with random weights.

    Parameters
    ----------
    said
        ``library`` ("transformers" or "timm"), ``config``, what the library's own config.json says, and ``model_args``.

    Raises
    ------
    ImportError
        If timm is asked for, and is not installed.
    """
    config, given = dict(said["config"]), dict(said.get("model_args") or {})
    if said["library"] == "timm":
        timm, own = the_timm(), dict(config["pretrained_cfg"])
        given = {**config.get("model_args", {}), **given}
        given = {key: layer_named(key, value) for key, value in given.items()}
        with torch.device("cpu"):  # not all of timm's models can be made on the device meta
            return timm.create_model(config["architecture"], pretrained_cfg=own, **given)
    from transformers import AutoConfig, AutoModel

    return AutoModel.from_config(AutoConfig.for_model(**config), **given)


def image_vectors(model: Any, library: str, pooling: str, pixels: torch.Tensor) -> torch.Tensor:
    """Turn normalised images (n x 3 x size x size) into vectors (n x width).

    Parameters
    ----------
    model
        Of "clip", what has a ``vision_model`` and a ``visual_projection``.
    pooling
        "projection" of CLIP; "pooler", the model's own; "cls", the first token; "mean" over patches, of a
        transformer's tokens or a network's map; "cls+mean", both side by side.
    """
    if library == "timm":
        if pooling == "pooler":
            return model(pixels)
        features = _timm_features(model, pixels)
        prefix = getattr(model, "num_prefix_tokens", 0)
    else:
        part = model.vision_model if library == "clip" else model
        output = _run(part, pixels)
        if pooling == "projection":
            return model.visual_projection(output.pooler_output)
        if pooling == "pooler":
            return output.pooler_output.flatten(1)
        features = output.last_hidden_state
        prefix = _prefix(part, features, pixels.shape[-1])
    return _pooled(features, pooling, prefix)


@torch.inference_mode()
def poolings_of(model: Any, library: str, size: int) -> list[str]:
    """Return the poolings that a model offers, its own one first; leaves the model in eval mode."""
    model.eval()  # or the statistics of batch norms would learn from these pixels
    pixels = torch.zeros(1, 3, size, size)
    if library == "timm":
        own = ["pooler"] if hasattr(model, "forward_features") and model(pixels).ndim == 2 else []
        features = _timm_features(model, pixels)
        prefix = getattr(model, "num_prefix_tokens", 0)
    else:
        part = model.vision_model if library == "clip" else model
        output = _run(part, pixels)
        own = ["projection"] if library == "clip" else []
        own += ["pooler"] if getattr(output, "pooler_output", None) is not None else []
        features = output.last_hidden_state
        prefix = _prefix(part, features, size)
    return [*own, *(["cls", "mean", "cls+mean"] if features.ndim == 3 and prefix else ["mean"])]


def _timm_features(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Return tokens (n x tokens x width) or maps (n x width x height x width)."""
    if not hasattr(model, "forward_features"):  # features_only: a list of maps, the deepest last
        return model(pixels)[-1]
    features = model.forward_features(pixels)
    last = features.ndim == 4 and getattr(model, "output_fmt", "NCHW") == "NHWC"  # Swin and its like
    return features.permute(0, 3, 1, 2) if last else features


def _run(model: Any, pixels: torch.Tensor) -> Any:
    """Call a model of transformers; its places are interpolated where the images have another size."""
    if model.config.model_type == BY_PATCHES:
        return model(**flat_patches(pixels, model.config.patch_size))
    other = getattr(model.config, "image_size", pixels.shape[-1]) != pixels.shape[-1]
    if other and "interpolate_pos_encoding" in inspect.signature(model.forward).parameters:
        return model(pixel_values=pixels, interpolate_pos_encoding=True)
    return model(pixel_values=pixels)


def flat_patches(pixels: torch.Tensor, side: int) -> dict[str, torch.Tensor]:
    """Return images (n x 3 x height x width) as SigLIP 2 takes those of any shape: their patches, row by row.

    Raises
    ------
    ValueError
        If the images can't be divided into patches of this side.
    """
    n, channels, height, width = pixels.shape
    if height % side or width % side:
        raise ValueError(f"patches of {side} pixels do not divide images of {height} x {width}")
    shape = (height // side, width // side)
    parts = pixels.reshape(n, channels, shape[0], side, shape[1], side).permute(0, 2, 4, 3, 5, 1)
    return {
        "pixel_values": parts.reshape(n, shape[0] * shape[1], -1),
        "pixel_attention_mask": torch.ones(n, shape[0] * shape[1], dtype=torch.int32, device=pixels.device),
        "spatial_shapes": torch.tensor([shape] * n, device=pixels.device),
    }


def _prefix(model: Any, features: torch.Tensor, side: int) -> int:
    """Return how many tokens stand for no patch: the class token and registers."""
    patch = getattr(model.config, "patch_size", None)
    if features.ndim != 3 or not isinstance(patch, int):
        return 0
    return max(0, features.shape[1] - (side // patch) ** 2)  # of a Swin, whose tokens are fewer than its patches, none


def _pooled(features: torch.Tensor, pooling: str, prefix: int) -> torch.Tensor:
    """Pool tokens, the first of whose prefix is the class token and the others registers; or maps, over places."""
    if features.ndim == 4:
        return features.mean((2, 3))
    if pooling == "cls":
        return features[:, 0]
    mean = features[:, prefix:].mean(1)
    return torch.cat([features[:, 0], mean], 1) if pooling == "cls+mean" else mean


def the_timm() -> Any:
    """Return timm; raises an ImportError that says how to get it."""
    try:  # transformers demands all imports of a model's files that no try holds
        import timm
    except ImportError:
        raise ImportError("this model's image encoder is of timm: run pip install timm") from None
    return timm


def layer_named(key: str, value: object) -> Any:
    """Return an argument of a timm model; a layer's class is given by its name, which JSON can have.

    Raises
    ------
    ValueError
        If there is no such layer.
    """
    if not key.endswith("_layer") or not isinstance(value, str):
        return value
    if value == "ConvStem":
        return ConvStem
    for home in (the_timm().layers, nn):
        if hasattr(home, value):
            return getattr(home, value)
    raise ValueError(f"{key}={value!r} is no layer of timm.layers or torch.nn")


class ConvStem(nn.Module):
    """CTransPath's patch embedding: three convolutions in place of one (Wang et al., Medical Image Analysis 2022).

    Images (n x 3 x size x size) become maps of a quarter of the side (n x side x side x width).
    """

    def __init__(self, img_size: int = 224, patch_size: int = 4, in_chans: int = 3, embed_dim: int = 96,
                 norm_layer: Any = None, **_: object):  # fmt: skip
        super().__init__()
        if patch_size != 4:
            raise ValueError(f"patch_size={patch_size}: this stem makes patches of 4 pixels")
        side, width = (img_size if isinstance(img_size, int) else img_size[0]) // patch_size, embed_dim // 8
        self.grid_size, self.num_patches, self.patch_size = (side, side), side * side, (patch_size, patch_size)
        layers: list[nn.Module] = []
        for channels, out in ((in_chans, width), (width, 2 * width)):
            layers += [nn.Conv2d(channels, out, 3, 2, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
        self.proj = nn.Sequential(*layers, nn.Conv2d(2 * width, embed_dim, 1))
        self.norm = norm_layer(embed_dim) if norm_layer else nn.Identity()

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.norm(self.proj(pixels).permute(0, 2, 3, 1))
