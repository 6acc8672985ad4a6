"""The trained parts of the towers, and their rates: frozen parts, parameter groups, decay, warm-up and cosine."""

import math
from functools import partial

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from stimage.core.errors import DataError
from stimage.towers.tuning.layers import (
    CLIP_PARTS,
    depths_of,
    freeze_lowest,
    freeze_parts,
    image_encoder_of,
    layers_of,
)
from stimage.towers.tuning.lora import add_lora
from stimage.towers.two_towers import SCALARS
from stimage.training.settings.groups import OptimiserSettings, TowerSettings

RESTS = "rests"  # of a group of weights: whether they rest while the heads are warmed up

HEADS = ("image_head.", "gene_tower.")


def choose_tuned(towers: nn.Module, settings: TowerSettings) -> None:
    """Freeze what of the image tower stays as it is, and put LoRA's matrices beside it, as the settings say.

    Raises
    ------
    DataError
        If there are fewer layers than are to be frozen, or no such part; if nothing is left for LoRA to learn.
    """
    model = getattr(towers, "model", towers)
    encoder = image_encoder_of(model)
    if encoder is None:
        return
    if settings.lora_rank:
        add_lora(encoder, settings.lora_rank, settings.lora_alpha, settings.lora_targets)
        for name in CLIP_PARTS:  # of a view, whose own parts may have been replaced
            if hasattr(model, name):
                setattr(model, name, getattr(encoder, name))
    freeze_lowest(encoder, settings.freeze_layers)
    freeze_parts(encoder, settings.freeze)
    if settings.lora_rank and not any(weight.requires_grad for weight in encoder.parameters()):
        raise DataError("towers.lora_rank: all layers that LoRA's matrices lie beside are frozen; make "
                        "towers.freeze_layers less, or leave out towers.freeze")  # fmt: skip


def make_optimizer(towers: nn.Module, settings: OptimiserSettings) -> torch.optim.Optimizer:
    """Return the optimizer: AdamW without decay on biases, norms and the logit scale; or the original's Adam."""
    betas = (settings.betas[0], settings.betas[1])
    if settings.kind == "adam":
        parameters = [p for p in towers.parameters() if p.requires_grad]
        return torch.optim.Adam(parameters, settings.lr, betas, settings.eps, weight_decay=settings.weight_decay)
    falls = _falls(towers, settings.layer_decay)
    groups: dict[tuple[float, float, bool], list[nn.Parameter]] = {}
    for name, parameter in towers.named_parameters():
        if parameter.requires_grad:
            rate = _rate(name.removeprefix("model."), settings) * falls.get(parameter, 1.0)
            rests = settings.heads_first > 0 and parameter in falls
            groups.setdefault((rate, settings.weight_decay if parameter.ndim > 1 else 0.0, rests), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": parameters, "lr": rate, "weight_decay": decay, RESTS: rests}
         for (rate, decay, rests), parameters in groups.items()],
        betas=betas, eps=settings.eps,
    )  # fmt: skip


def make_schedule(
    optimizer: torch.optim.Optimizer, settings: OptimiserSettings, steps: int, resting: int = 0
) -> LambdaLR:
    """Return the schedule over so many steps: a linear warm-up, then a cosine to 0, or a constant.

    That of the image tower is 0 for the steps in which it is ``resting``, and has its warm-up and cosine thereafter.
    """

    def factor(step: int, begin: int) -> float:
        warmup, step = math.ceil(settings.warmup * (steps - begin)), step - begin
        if step < 0:
            return 0.0
        if step < warmup:
            return (step + 1) / warmup
        if not settings.cosine:
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - begin - warmup)))

    begins = [resting if group.get(RESTS) else 0 for group in optimizer.param_groups]
    return LambdaLR(optimizer, [partial(factor, begin=begin) for begin in begins])


def realign(schedule: LambdaLR) -> None:
    """Give the next step the learning rates that the schedule has for it, which may differ from a checkpoint's."""
    for group, lr, factor in zip(schedule.optimizer.param_groups, schedule.base_lrs, schedule.lr_lambdas):
        group["lr"] = lr * factor(schedule.last_epoch)


def _falls(towers: nn.Module, decay: float) -> dict[nn.Parameter, float]:
    """Return how much slower each weight of the image tower learns than what is above its layers (after BEiT)."""
    encoder = image_encoder_of(getattr(towers, "model", towers))
    if encoder is None:
        return {}
    depths = depths_of(encoder)
    top = len(layers_of(encoder)) + 1
    return {encoder.get_parameter(name): decay ** (top - depth) for name, depth in depths.items()}


def _rate(name: str, settings: OptimiserSettings) -> float:
    if name in SCALARS:
        return settings.logit_scale_lr
    return settings.head_lr if name.startswith(HEADS) else settings.lr
