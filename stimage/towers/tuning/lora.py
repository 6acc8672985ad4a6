"""LoRA by peft: small matrices are trained beside an encoder's own weights, which stay (Hu et al., ICLR 2022)."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import nn

from stimage.core.errors import DataError, one_line
from stimage.core.extras import needs
from stimage.towers.tuning.layers import layers_of

ADAPTER = "default"  # as peft calls the only one


def add_lora(encoder: nn.Module, rank: int, alpha: float, targets: Sequence[str] = ()) -> None:
    """Put LoRA's matrices into an encoder, and freeze its own weights; its vectors are the same at first.

    Parameters
    ----------
    rank, alpha
        Width of the matrices, and scale of their output, which is multiplied by ``alpha / rank``.
    targets
        Ends of the names of linear layers and convolutions. Without any, each linear layer within the encoder's layers
        gets matrices.

    Raises
    ------
    DataError
        If the encoder has no such target, or peft can't adapt it and merge it again; or if the matrices would be wider
        than every layer.
    """
    peft = needs("peft")
    names = _targets(encoder, targets)
    layers = [part for name, part in _adaptable(encoder) if name in names]
    widest = max(min(part.weight.flatten(1).shape) for part in layers)
    if rank > widest:
        raise DataError(f"towers.lora_rank: is {rank}, but no layer beside which LoRA's matrices would lie is wider "
                        f"than {widest}; make it less")  # fmt: skip
    encoder.requires_grad_(False)
    config = peft.LoraConfig(r=rank, lora_alpha=alpha, target_modules=names, lora_dropout=0.0)
    try:
        peft.inject_adapter_in_model(config, encoder, ADAPTER)
    except (ValueError, NotImplementedError) as error:
        raise DataError(f"towers.lora_targets: peft can't adapt them ({one_line(error)})") from None


def merged(weights: Mapping[str, torch.Tensor], scaling: float) -> dict[str, torch.Tensor]:
    """Return the weights of a model without LoRA: the matrices' product, times ``scaling``, is added to its own."""
    own, end = {}, f".lora_A.{ADAPTER}.weight"
    stems = {name.removesuffix(end) for name in weights if name.endswith(end)}
    for name, value in weights.items():
        if name.partition(".lora_")[0] in stems:
            continue
        stem, _, last = name.partition(".base_layer.")
        if stem in stems and last == "weight":
            down, up = (weights[f"{stem}.lora_{side}.{ADAPTER}.weight"].flatten(1) for side in "AB")
            value = value + scaling * (up @ down).reshape(value.shape)
        own[f"{stem}.{last}" if stem in stems else name] = value
    return own


def _targets(encoder: nn.Module, ends: Sequence[str]) -> list[str]:
    there = dict(_adaptable(encoder))
    if not ends:
        layers = tuple(f"{layer}." for layer in layers_of(encoder))
        found = [name for name, part in there.items() if isinstance(part, nn.Linear) and name.startswith(layers)]
        if not found:
            raise DataError(f"towers.lora_targets: the image tower's layers have no linear layer; name convolutions of "
                            f"it: {_some(there)}")  # fmt: skip
        return found
    for end in ends:
        if not any(_ends(name, end) for name in there):
            raise DataError(f"towers.lora_targets: no layer's name ends with {end!r}; there are {_some(there)}")
    found = [name for name in there if any(_ends(name, end) for end in ends)]
    if grouped := [name for name in found if getattr(there[name], "groups", 1) > 1]:
        raise DataError(f"towers.lora_targets: {grouped[0]} is a convolution of {there[grouped[0]].groups} groups, "
                        "whose LoRA can't be merged; name others")  # fmt: skip
    return found


def _adaptable(encoder: nn.Module) -> Iterator[tuple[str, nn.Linear | nn.Conv2d]]:
    """Yield linear layers and convolutions, but those in torch's own attention, which calls them in its own way."""
    own = tuple(f"{name}." for name, part in encoder.named_modules() if isinstance(part, nn.MultiheadAttention))
    for name, part in encoder.named_modules():
        if isinstance(part, nn.Linear | nn.Conv2d) and not (own and name.startswith(own)):
            yield name, part


def _ends(name: str, end: str) -> bool:
    return name == end or name.endswith(f".{end}")


def _some(names: Mapping[str, nn.Linear | nn.Conv2d]) -> str:
    return ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in names))
