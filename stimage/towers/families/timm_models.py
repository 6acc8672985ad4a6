"""Image encoders of timm: of its own names, of the Hub, or of a folder."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from stimage.core.errors import DataError
from stimage.core.extras import needs
from stimage.towers.families.encoder import Encoder, Vectors, poolings_of_maps, poolings_of_tokens
from stimage.towers.options import TowerOptions
from stimage.towers.reading import told

PREFIXES = ("timm:", "hf-hub:", "hf_hub:", "local-dir:")


def timm_encoder(name: str, options: TowerOptions) -> Encoder:
    """Make an encoder of a name of timm; its own pooled output is the default, where it has one.

    Raises
    ------
    DataError
        If timm can't load the model, or the model takes no square images.
    """
    timm = needs("timm")
    given = {key: _layer(timm, key, value) for key, value in options.model_args.items()}
    size = options.size
    with told(name, "can't be loaded by timm"):
        model = _create(timm, name.removeprefix("timm:"), given)
        config = timm.data.resolve_model_data_config(model)
        height, width = (size, size) if size else config["input_size"][-2:]
        if (height, width) != tuple(config["input_size"][-2:]) and hasattr(model, "set_input_size"):
            model.set_input_size(img_size=height)
    if height != width:
        raise DataError(f"{name}: takes images of {height} x {width}; pass size= (--size)")
    return Encoder(model, _poolings(model, height), height, tuple(config["mean"]), tuple(config["std"]))


def _poolings(model: Any, size: int) -> dict[str, Vectors]:
    """Return the poolings of a model by the shape of what it gives."""
    if not hasattr(model, "forward_features"):  # features_only: a list of maps, the deepest last
        return poolings_of_maps(lambda pixels: model(pixels)[-1])
    with torch.inference_mode():
        whole = model.eval()(torch.zeros(1, 3, size, size))
        features = model.forward_features(torch.zeros(1, 3, size, size))
    own: dict[str, Vectors] = {"pooler": model} if whole.ndim == 2 else {}
    if features.ndim == 3:
        return own | poolings_of_tokens(model.forward_features, getattr(model, "num_prefix_tokens", 0))
    if getattr(model, "output_fmt", "NCHW") == "NHWC":  # Swin and its like
        return own | poolings_of_maps(lambda pixels: model.forward_features(pixels).permute(0, 3, 1, 2))
    return own | poolings_of_maps(model.forward_features)


def _create(timm: Any, name: str, given: Mapping[str, Any]) -> Any:
    options: dict[str, Any] = (
        {"pretrained": True} if given.get("features_only") else {"pretrained": True, "num_classes": 0}
    )
    try:
        return timm.create_model(name, **{**options, **given})
    except RuntimeError as error:
        if "ls1.gamma" not in str(error) or "init_values" in given:
            raise
    # UNI's weights scale layers, which its configuration does not say; the value is the checkpoint's
    return timm.create_model(name, init_values=1.0, **{**options, **given})


def _layer(timm: Any, key: str, value: object) -> Any:
    """Return a model argument; a layer's class is given by its name."""
    if not key.endswith("_layer") or not isinstance(value, str):
        return value
    if value == "ConvStem":
        return ConvStem
    for home in (timm.layers, nn):
        if hasattr(home, value):
            return getattr(home, value)
    raise DataError(f"model_args= (--model-args): {key}={value!r} is no layer of timm.layers or torch.nn")


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
