"""Image encoders of transformers: the CLIP and SigLIP families, what `finetune` made, and other vision models."""

from collections.abc import Sequence
from math import isqrt
from typing import Any

from torch import nn

from stimage.core.errors import DataError
from stimage.towers.families.encoder import Encoder, vectors_by
from stimage.towers.options import TowerOptions
from stimage.towers.reading import read_config, read_processor, read_weights, told

CLIP = ("clip", "clip_vision_model")
JOINT = "spot_clip"  # what `finetune` made
SIGLIP = ("siglip", "siglip_vision_model", "siglip2", "siglip2_vision_model")


def transformers_encoder(name: str, options: TowerOptions, pretrained: bool = True) -> Encoder:
    """Make an encoder of a checkpoint of transformers.

    The default pooling is CLIP's projection, SigLIP's pooled output, and of others the pooled output where its weights
    are in the checkpoint, else the class token; of what `finetune` made, the one that was trained. Size, mean and std
    are those of its image processor.

    Raises
    ------
    DataError
        If there is no such checkpoint, it is no vision model, or it lacks weights, which would then be random.
    """
    import transformers

    config, trust = read_config(name), options.trust_remote_code
    if (kind := _kind(config)) == JOINT:
        return joint_encoder(name, options, pretrained)
    known = config.get("model_type") == JOINT or config.get("model_type") in transformers.CONFIG_MAPPING
    if "auto_map" in config and not trust and not known:
        raise DataError(f"{name}: comes with code of its own; read it, then pass trust_remote_code=True "
                        "(--trust-remote-code)")  # fmt: skip
    model, missing = _model(name, kind, config, options, pretrained)
    side, mean, std = _facts(name, options)
    library = "clip" if kind in CLIP else "transformers"
    untrained = {"pooler"} if any(key.startswith("pooler.") for key in missing) else set()
    poolings = vectors_by(name, model, library, side)
    own = (config.get("image_encoder") or {}).get("pooling")
    names = sorted(poolings.keys() - untrained, key=lambda one: (one != own, list(poolings).index(one)))
    return Encoder(model, {one: poolings[one] for one in names}, side, mean, std, _said(model, library, options))


def joint_encoder(name: str, options: TowerOptions, pretrained: bool) -> Encoder:
    """Make the image encoder of a joint model, of whatever library; the pooling that was trained is the default.

    Raises
    ------
    DataError
        If the model has none, lacks weights, or is to have other arguments.
    """
    from stimage.towers.joint.modeling_spot_clip import SpotClipConfig, SpotClipModel

    config = SpotClipConfig.from_pretrained(name)
    said: Any = config.image_encoder
    if said is None:
        raise DataError(f"{name}: has no image encoder, as it was trained on vectors; pass the encoder of these")
    if options.model_args:
        raise DataError(f"{name}: was trained as it is; leave out model_args= (--model-args)")
    encoder = _load(SpotClipModel, name)[0] if pretrained else SpotClipModel(config)
    side, mean, std = _facts(name, options)
    model: Any = encoder.image_encoder
    poolings = vectors_by(name, model, said["library"], side)
    first = {said["pooling"]: poolings[said["pooling"]]}
    return Encoder(model, first | poolings, side, mean, std, said)


def _model(
    name: str, kind: str, config: dict[str, Any], options: TowerOptions, pretrained: bool
) -> tuple[Any, set[str]]:
    """Make the model of a checkpoint as its kind asks for; return it with the weights of its pooler that it lacks."""
    import transformers

    given = dict(options.model_args)
    if kind in CLIP:
        vision = transformers.CLIPVisionConfig.from_pretrained(name)
        if config.get("model_type") == "clip":  # CLIPModel goes by the outer one
            vision.projection_dim = config.get("projection_dim", vision.projection_dim)
        cls: Any = transformers.CLIPVisionModelWithProjection
        return _load(cls, name, config=vision, **given) if pretrained else (_random(name, cls, vision, given), set())
    if kind in SIGLIP:
        cls = transformers.Siglip2VisionModel if "2" in kind else transformers.SiglipVisionModel
        return _load(cls, name, **given) if pretrained else (_random(name, cls, cls.config_class, given), set())
    trust = options.trust_remote_code
    cls = transformers.AutoModel
    if pretrained:
        model, missing = _load(cls, name, trust_remote_code=trust, **given)
    else:
        model = _random(name, cls, transformers.AutoConfig, given, trust_remote_code=trust)
        missing = _lacking(model, cls, name, trust_remote_code=trust, **given)
    if model.main_input_name != "pixel_values" or hasattr(model, "get_image_features"):
        raise DataError(f"{name}: is no vision model that is known here, but {kind!r}; pass CLIP, SigLIP, DINOv2 or "
                        "another image encoder, or timm:NAME")  # fmt: skip
    return model, missing


def _random(name: str, cls: Any, config: Any, given: dict[str, Any], **trust: bool) -> Any:
    """Make a model of a configuration, or of that of a class that the checkpoint has; its weights are random."""
    with told(name, f"can't be made as {cls.__name__}"):
        if isinstance(config, type):
            config = config.from_pretrained(name, **trust)  # type: ignore[attr-defined]
        return cls.from_config(config, **trust, **given) if hasattr(cls, "from_config") else cls(config, **given)


def _lacking(model: Any, cls: Any, name: str, **options: object) -> set[str]:
    """Return the weights of its pooler that a checkpoint lacks, so that an untrained model is pooled as the trained."""
    if getattr(model, "pooler", None) is None:
        return set()
    try:
        return _load(cls, name, **options)[1]
    except DataError:  # a configuration alone, or weights that the trained model can't be made of either
        return set()


def _said(model: Any, library: str, options: TowerOptions) -> dict[str, Any] | None:
    """Return what makes the model again; None if its code comes with the checkpoint."""
    if library == "clip":
        return {"library": library}
    if not type(model).__module__.startswith("transformers.models."):
        return None
    given = {key: value for key, value in options.model_args.items() if not hasattr(model.config, key)}
    return {"library": library, "config": model.config.to_diff_dict(), "model_args": given}


def _kind(config: dict) -> str:
    """Return what kind of vision tower a checkpoint has; ours may be CLIP's within."""
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
    if most := getattr(processor, "max_num_patches", None):  # of SigLIP 2: a square of as many
        size = {"height": isqrt(most) * processor.patch_size}
    sides = {value for key, value in dict(size).items() if key in ("height", "width", "shortest_edge") and value}
    if len(sides) != 1 and not options.size:
        raise DataError(f"{name}: its image processor makes images of {dict(size)}; pass size= (--size)")
    mean, std = (processor.image_mean, processor.image_std) if processor.do_normalize else ((0.0,) * 3, (1.0,) * 3)
    return options.size or int(sides.pop()), options.mean or tuple(mean), options.std or tuple(std)
