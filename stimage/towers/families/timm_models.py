"""Image encoders of timm: of its own names, of the Hub, or of a folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download

from stimage.core.errors import DataError
from stimage.core.extras import needs
from stimage.towers.families.encoder import Encoder, vectors_by
from stimage.towers.joint.image_encoders import layer_named
from stimage.towers.options import TowerOptions
from stimage.towers.reading import told

PREFIXES = ("timm:", "hf-hub:", "hf_hub:", "local-dir:")
SAID = ("tag", "license", "num_classes", "fixed_input_size", "interpolation", "crop_mode", "first_conv", "classifier",
        "pool_size")  # what of a checkpoint's configuration makes the model again, beside its images  # fmt: skip


def timm_encoder(name: str, options: TowerOptions, pretrained: bool = True) -> Encoder:
    """Make an encoder of a name of timm; its own pooled output is the default, where it has one.

    Raises
    ------
    DataError
        If timm can't load the model, or the model takes no square images of three colours.
    """
    timm = needs("timm")
    with told(name, "can't be loaded by timm", repository=_repository(timm, name)):
        model, given = _create(timm, name.removeprefix("timm:"), options.model_args, pretrained)
        config = timm.data.resolve_model_data_config(model)
        channels, *own = config["input_size"]
        height, width = (options.size, options.size) if options.size else own
        if [height, width] != own and hasattr(model, "set_input_size"):
            model.set_input_size(img_size=height)
            given["img_size"] = height
    if height != width:
        raise DataError(f"{name}: takes images of {height} x {width}; pass size= (--size)")
    if channels != 3:
        raise DataError(f"{name}: takes images of {channels} channels; pass an encoder of RGB images")
    poolings = vectors_by(name, model, "timm", height)
    return Encoder(model, poolings, height, tuple(config["mean"]), tuple(config["std"]), _said(model, given, height))


def _create(timm: Any, name: str, asked: Mapping[str, Any], pretrained: bool) -> tuple[Any, dict[str, Any]]:
    """Return a model, and the arguments beyond its own configuration that made it, as JSON has them."""
    given = dict(asked) if asked.get("features_only") else {"num_classes": 0, **asked}
    made = {key: _layer(key, value) for key, value in given.items()}
    try:
        return timm.create_model(name, pretrained=pretrained, **made), _known(name) | given
    except RuntimeError as error:
        if "ls1.gamma" not in str(error) or "init_values" in given:
            raise
    # UNI's weights scale layers, which its configuration does not say; the value is the checkpoint's
    return timm.create_model(name, pretrained=pretrained, init_values=1.0, **made), {
        **_known(name), "init_values": 1.0, **given,
    }  # fmt: skip


def _repository(timm: Any, name: str) -> str | None:
    """Return where the Hub has the weights of one of timm's own names; None of other names."""
    own = name.removeprefix("timm:")
    config = timm.get_pretrained_cfg(own) if own != name else None
    return config and config.hf_hub_id


def _known(name: str) -> dict[str, Any]:
    """Return the model's arguments that a configuration on the Hub, or of a folder, says."""
    prefix, _, where = name.rpartition(":")
    if not prefix:
        return {}
    repository, _, revision = where.partition("@")
    path = f"{where}/config.json" if prefix == "local-dir" else hf_hub_download(
        repository, "config.json", revision=revision or None)  # fmt: skip
    return json.loads(Path(path).read_text(encoding="utf-8")).get("model_args") or {}


def _said(model: Any, given: Mapping[str, Any], size: int) -> dict[str, Any]:
    """Return what makes the model again, in the form of timm's config.json on the Hub."""
    own = {key: model.pretrained_cfg[key] for key in SAID if model.pretrained_cfg.get(key) is not None}
    config = {
        "architecture": model.pretrained_cfg["architecture"],
        "num_classes": 0,
        "pretrained_cfg": {**own, "num_classes": 0, "input_size": [3, size, size]},
        "model_args": dict(given),
    }
    return {"library": "timm", "config": config}


def _layer(key: str, value: object) -> Any:
    try:
        return layer_named(key, value)
    except ValueError as error:
        raise DataError(f"model_args= (--model-args): {error}") from None
