"""Image encoders of timm: of its own names, of the Hub, or of a folder."""

from collections.abc import Mapping
from typing import Any

from stimage.core.errors import DataError
from stimage.core.extras import needs
from stimage.towers.families.encoder import Encoder, vectors_by
from stimage.towers.joint.image_encoders import layer_named, poolings_of
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
    given = {key: _layer(key, value) for key, value in options.model_args.items()}
    size = options.size
    with told(name, "can't be loaded by timm"):
        model = _create(timm, name.removeprefix("timm:"), given)
        config = timm.data.resolve_model_data_config(model)
        height, width = (size, size) if size else config["input_size"][-2:]
        if (height, width) != tuple(config["input_size"][-2:]) and hasattr(model, "set_input_size"):
            model.set_input_size(img_size=height)
    if height != width:
        raise DataError(f"{name}: takes images of {height} x {width}; pass size= (--size)")
    poolings = vectors_by(model, "timm", poolings_of(model, "timm", height))
    return Encoder(model, poolings, height, tuple(config["mean"]), tuple(config["std"]))


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


def _layer(key: str, value: object) -> Any:
    try:
        return layer_named(key, value)
    except ValueError as error:
        raise DataError(f"model_args= (--model-args): {error}") from None
