"""Image encoders of transformers: the CLIP and SigLIP families, what `finetune` made, and other vision models."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from stimage.core.errors import DataError
from stimage.towers.families.encoder import Encoder, vectors_by
from stimage.towers.joint.image_encoders import poolings_of
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
    library = "clip" if kind in CLIP else "transformers"
    untrained = {"pooler"} if any(key.startswith("pooler.") for key in missing) else set()
    poolings = [one for one in poolings_of(model, library, side) if one not in untrained]
    return Encoder(model, vectors_by(model, library, poolings), side, mean, std)


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
