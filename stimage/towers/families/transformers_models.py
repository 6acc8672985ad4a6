"""Image encoders of transformers: the CLIP and SigLIP families, what `finetune` made, and other vision models."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from stimage.core.errors import DataError
from stimage.towers.families.encoder import Encoder, Vectors, poolings_of_maps, poolings_of_tokens
from stimage.towers.options import TowerOptions
from stimage.towers.reading import read_config, read_processor, read_weights

CLIP = ("clip", "clip_vision_model")
SIGLIP = ("siglip", "siglip_vision_model", "siglip2", "siglip2_vision_model")


def transformers_encoder(name: str, options: TowerOptions) -> Encoder:
    """Make an encoder of a checkpoint of transformers.

    The default pooling is CLIP's projection, SigLIP's pooled output, and of others the pooled output where its weights
    are in the checkpoint, else the class token. Size, mean and std are those of its image processor.

    Raises
    ------
    DataError
        If there is no such checkpoint, it is no vision model, or it lacks weights, which would then be random.
    """
    import transformers

    config, trust = read_config(name), options.trust_remote_code
    if "auto_map" in config and not trust and config.get("model_type") not in transformers.CONFIG_MAPPING:
        raise DataError(f"{name}: comes with code of its own; read it, then pass trust_remote_code=True "
                        "(--trust-remote-code)")  # fmt: skip
    kind = _kind(config)
    model, missing = _model(name, kind, config, options)
    side, mean, std = _facts(name, options)
    if kind in CLIP:
        run, vision = _caller(model, side), _caller(model.vision_model, side)
        own: dict[str, Vectors] = {"projection": lambda pixels: run(pixels).image_embeds,
                                   "pooler": lambda pixels: vision(pixels).pooler_output}  # fmt: skip
        return Encoder(model, own | _of_features(model.vision_model, vision, side), side, mean, std)
    run = _caller(model, side)
    trained = not any(key.startswith("pooler.") for key in missing)
    own = {"pooler": lambda pixels: run(pixels).pooler_output.flatten(1)} if trained and _pools(run, side) else {}
    return Encoder(model, own | _of_features(model, run, side), side, mean, std)


def _model(name: str, kind: str, config: dict[str, Any], options: TowerOptions) -> tuple[Any, set[str]]:
    """Load the model of a checkpoint as its kind asks for; return it with the weights of its pooler that it lacks."""
    import transformers

    given = dict(options.model_args)
    if kind in CLIP:
        vision = transformers.CLIPVisionConfig.from_pretrained(name)
        if config.get("model_type") == "clip":  # CLIPModel goes by the outer one
            vision.projection_dim = config.get("projection_dim", vision.projection_dim)
        return _load(transformers.CLIPVisionModelWithProjection, name, config=vision, **given)
    if kind in SIGLIP:
        cls = transformers.Siglip2VisionModel if "2" in kind else transformers.SiglipVisionModel
        return _load(cls, name, **given)
    model, missing = _load(transformers.AutoModel, name, trust_remote_code=options.trust_remote_code, **given)
    if model.main_input_name != "pixel_values" or hasattr(model, "get_image_features"):
        raise DataError(f"{name}: is no vision model that is known here, but {kind!r}; pass CLIP, SigLIP, DINOv2 or "
                        "another image encoder, or timm:NAME")  # fmt: skip
    return model, missing


def _caller(model: nn.Module, side: int) -> Any:
    """Return what calls a model on pixels; its places are interpolated where the images have another size."""
    own = getattr(model.config, "image_size", side)
    if own != side and "interpolate_pos_encoding" in inspect.signature(model.forward).parameters:
        return lambda pixels: model(pixel_values=pixels, interpolate_pos_encoding=True)
    return lambda pixels: model(pixel_values=pixels)


def _pools(run: Any, side: int) -> bool:
    with torch.inference_mode():
        return getattr(run(torch.zeros(1, 3, side, side)), "pooler_output", None) is not None


def _of_features(model: nn.Module, run: Any, side: int) -> dict[str, Vectors]:
    """Return the poolings of a model's last features by their shape; tokens beyond the patches are its prefix."""
    with torch.inference_mode():
        shape = run(torch.zeros(1, 3, side, side)).last_hidden_state.shape
    if len(shape) == 4:
        return poolings_of_maps(lambda pixels: run(pixels).last_hidden_state)
    patch = getattr(model.config, "patch_size", None)
    patches = (side // patch) ** 2 if isinstance(patch, int) else shape[1]
    prefix = max(0, shape[1] - patches)  # of a Swin, whose tokens are fewer than its patches, none
    return poolings_of_tokens(lambda pixels: run(pixels).last_hidden_state, prefix)


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


def _facts(name: str, options: TowerOptions) -> tuple[int, Sequence[float], Sequence[float]]:
    """Return size, mean and std: as asked for, else as the checkpoint's own image processor has them."""
    if options.size and options.mean and options.std:
        return options.size, options.mean, options.std
    processor = read_processor(name, options.trust_remote_code)
    size = (getattr(processor, "do_center_crop", False) and processor.crop_size) or processor.size
    sides = {value for key, value in dict(size).items() if key in ("height", "width", "shortest_edge") and value}
    if len(sides) != 1 and not options.size:
        raise DataError(f"{name}: its image processor makes images of {dict(size)}; pass size= (--size)")
    mean, std = (processor.image_mean, processor.image_std) if processor.do_normalize else ((0.0,) * 3, (1.0,) * 3)
    return options.size or int(sides.pop()), options.mean or tuple(mean), options.std or tuple(std)
