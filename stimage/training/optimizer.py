"""The optimizer and its schedule: parameter groups, weight decay, warm-up and cosine."""

import math

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from stimage.core.errors import DataError
from stimage.towers.two_towers import SCALARS
from stimage.training.settings.groups import OptimiserSettings

LAYERS = "vision_model.encoder.layers."
HEADS = ("image_head.", "gene_tower.")
FROZEN_BELOW = ("vision_model.embeddings.", "vision_model.pre_layrnorm.")


def freeze(towers: nn.Module, layers: int) -> None:
    """Keep the lowest layers of the vision tower, and the embeddings below them, as they are.

    Raises
    ------
    DataError
        If the tower has fewer layers.
    """
    if layers:
        names = {name.removeprefix("model.") for name, _ in towers.named_parameters()}
        if not any(name.startswith(f"{LAYERS}{layers - 1}.") for name in names):
            raise DataError(f"towers.freeze_layers: is {layers}; the image tower has fewer layers")
        below = FROZEN_BELOW + tuple(f"{LAYERS}{i}." for i in range(layers))
        for name, parameter in towers.named_parameters():
            if name.removeprefix("model.").startswith(below):
                parameter.requires_grad_(False)


def make_optimizer(towers: nn.Module, settings: OptimiserSettings) -> torch.optim.Optimizer:
    """Return the optimizer: AdamW without decay on biases, norms and the logit scale; or the original's Adam."""
    if settings.kind == "adam":
        parameters = [p for p in towers.parameters() if p.requires_grad]
        betas = (settings.betas[0], settings.betas[1])
        return torch.optim.Adam(parameters, settings.lr, betas, settings.eps, weight_decay=settings.weight_decay)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in towers.named_parameters():
        if parameter.requires_grad:
            key = (_rate(name.removeprefix("model."), settings), settings.weight_decay if parameter.ndim > 1 else 0.0)
            groups.setdefault(key, []).append(parameter)
    return torch.optim.AdamW(
        [{"params": parameters, "lr": lr, "weight_decay": decay} for (lr, decay), parameters in groups.items()],
        betas=(settings.betas[0], settings.betas[1]),
        eps=settings.eps,
    )


def make_schedule(optimizer: torch.optim.Optimizer, settings: OptimiserSettings, steps: int) -> LambdaLR:
    """Return the schedule over so many steps: a linear warm-up, then a cosine to 0, or a constant."""
    warmup = math.ceil(settings.warmup * steps)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        if not settings.cosine:
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

    return LambdaLR(optimizer, factor)


def realign(schedule: LambdaLR) -> None:
    """Give the next step the learning rates that the schedule has for it, which may differ from a checkpoint's."""
    for group, lr, factor in zip(schedule.optimizer.param_groups, schedule.base_lrs, schedule.lr_lambdas):
        group["lr"] = lr * factor(schedule.last_epoch)


def _rate(name: str, settings: OptimiserSettings) -> float:
    if name in SCALARS:
        return settings.logit_scale_lr
    return settings.head_lr if name.startswith(HEADS) else settings.lr
