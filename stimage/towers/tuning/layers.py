"""An encoder from bottom to top: the parts below its layers, the layers in order, and the parts above them."""

import re
from typing import Any

from torch import nn

from stimage.core.errors import DataError

CLIP_PARTS = ("vision_model", "visual_projection")


def image_encoder_of(model: nn.Module) -> nn.Module | None:
    """Return the image encoder within a model of two towers, with the names of its own library; None without one.

    CLIP's parts lie in the model itself. For CLIP, the encoder is a view: the same parts under the same names.
    """
    if (encoder := getattr(model, "image_encoder", None)) is not None or not hasattr(model, "vision_model"):
        return encoder
    return nn.ModuleDict({name: getattr(model, name) for name in CLIP_PARTS if hasattr(model, name)})


def layers_of(encoder: nn.Module) -> list[str]:
    """Return the names of an encoder's layers, the lowest first; none if it has no parts.

    From the encoder the way goes down into the part that holds most modules. The members of the first list on this way
    are the layers: a transformer's blocks, the stages of a ConvNeXt, a Swin or an EfficientNet. So are parts of one
    class that are numbered, as ResNet's ``layer1`` to ``layer4``. Parts called text… are of another tower.
    """
    above, module = "", encoder
    while True:
        parts = {name: part for name, part in module.named_children()
                 if next(part.parameters(), None) is not None and not name.startswith("text")}  # fmt: skip
        if isinstance(module, nn.ModuleList | nn.Sequential) or not parts:
            return [f"{above}{name}" for name in parts]
        largest = max(parts, key=lambda name: sum(1 for _ in parts[name].modules()))
        alike = [name for name, part in parts.items()
                 if type(part) is type(parts[largest]) and _unnumbered(name) == _unnumbered(largest)]  # fmt: skip
        if len(alike) > 1:
            return [f"{above}{name}" for name in alike]
        above, module = f"{above}{largest}.", parts[largest]


def depths_of(encoder: nn.Module) -> dict[str, int]:
    """Return how high each parameter lies, by name: 0 below the layers, k in the k-th, one more above the layers.

    Parts that an encoder registers before its first layer lie below it: embeddings, a stem, a norm ahead of the layers.
    """
    layers = layers_of(encoder)
    found, reached = {}, False
    for name, _ in encoder.named_parameters():
        inside = next((k for k, layer in enumerate(layers, 1) if name.startswith(f"{layer}.")), 0)
        reached = reached or inside > 0
        found[name] = inside or (len(layers) + 1 if reached else 0)
    return found


def freeze_lowest(encoder: nn.Module, layers: int) -> None:
    """Freeze the lowest layers of an encoder, and the parts below them.

    Raises
    ------
    DataError
        If the encoder has fewer layers.
    """
    if layers > (there := len(layers_of(encoder))):
        raise DataError(f"towers.freeze_layers: is {layers}; the image tower has fewer layers: {there}")
    for name, depth in depths_of(encoder).items():
        if layers and depth <= layers:
            encoder.get_parameter(name).requires_grad_(False)


def forget_gradients(model: nn.Module) -> None:
    """Drop the gradients of a model's image encoder, so that the optimizer leaves its weights alone, without decay."""
    if encoder := image_encoder_of(model):
        for weight in encoder.parameters():
            weight.grad = None


def recompute(model: Any) -> None:
    """Let a model of two towers compute activations again in the backward pass, which needs less memory.

    Raises
    ------
    DataError
        If the image encoder's code can't do so.
    """
    encoder = image_encoder_of(model)
    try:
        if (of_timm := getattr(encoder, "set_grad_checkpointing", None)) is not None:
            of_timm(True)
        else:
            model.gradient_checkpointing_enable()
    except (AssertionError, ValueError):
        raise DataError("run.gradient_checkpointing: is true, but the image tower's code can't do so; leave it out, "
                        "and pass a small loss.chunk to save memory") from None  # fmt: skip


def freeze_parts(encoder: nn.Module, prefixes: tuple[str, ...]) -> None:
    """Freeze the parameters whose names begin with one of the prefixes.

    Raises
    ------
    DataError
        If no name begins so; the error lists the names.
    """
    parameters = dict(encoder.named_parameters())
    for prefix in prefixes:
        found = [parameter for name, parameter in parameters.items() if name.startswith(prefix)]
        if not found:
            layers = layers_of(encoder)
            parts = dict.fromkeys(layer_or_part(name, layers) for name in parameters)
            raise DataError(f"towers.freeze: no weight's name begins with {prefix!r}; there are {', '.join(parts)}")
        for parameter in found:
            parameter.requires_grad_(False)


def layer_or_part(name: str, layers: list[str]) -> str:
    """Return the layer that a parameter is in, else the module or what it is called itself."""
    return next((layer for layer in layers if name.startswith(f"{layer}.")), name.rpartition(".")[0] or name)


def _unnumbered(name: str) -> str:
    return re.sub(r"\d+", "", name)
