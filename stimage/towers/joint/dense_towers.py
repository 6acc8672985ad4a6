"""Gene towers over one row of numbers a spot: a panel's expression, or another model's vector."""

from typing import Any

import torch
from torch import nn
from transformers import initialization as init


class Head(nn.Linear):
    """A linear layer that is initialised by Xavier's rule, whatever of the model a checkpoint has."""


class LinearTower(nn.Sequential):
    """The original's gene tower: one layer over the expression of a panel (n x genes), which is standardised first.

    ``mean`` and ``std`` (genes) are of the training spots; 0 and 1 leave the expression as it is.
    """

    inputs: tuple[str, ...] = ("expression",)
    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, config: Any):
        super().__init__(*(layers := self.layers(config)))
        self.register_buffer("mean", torch.zeros(layers[0].in_features))
        self.register_buffer("std", torch.ones(layers[0].in_features))
        self.register_load_state_dict_pre_hook(_as_before)

    @staticmethod
    def layers(config: Any) -> list[Any]:
        return [Head(len(config.genes), config.latent_dim)]

    def begin(self) -> None:
        """Set the statistics of a new tower, which change nothing, unless a checkpoint has them."""
        init.zeros_(self.mean)
        init.ones_(self.std)

    def forward(self, expression: torch.Tensor) -> torch.Tensor:
        """Embed expression (n x genes): n x latent_dim."""
        return super().forward((expression - self.mean) / self.std)


class MlpTower(LinearTower):
    """The same with a hidden layer."""

    @staticmethod
    def layers(config: Any) -> list[Any]:
        return two_layers(len(config.genes), config)


class VectorTower(LinearTower):
    """One or two layers, as ``config.vector_head`` says, over another model's vectors (n x vector_width)."""

    inputs = ("vectors",)

    @staticmethod
    def layers(config: Any) -> list[Any]:
        width = config.vector_width
        return [Head(width, config.latent_dim)] if config.vector_head == "linear" else two_layers(width, config)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Embed vectors (n x vector_width): n x latent_dim."""
        return super().forward(vectors)


def two_layers(width: int, config: Any) -> list[Any]:
    """Return a hidden layer and one into the joint space."""
    return [Head(width, config.hidden_dim), nn.GELU(), Head(config.hidden_dim, config.latent_dim)]


def _as_before(tower: Any, weights: dict[str, torch.Tensor], prefix: str, *_: Any) -> None:
    """Give weights of before inputs were standardised the statistics that change nothing."""
    for name, value in (("mean", torch.zeros_like(tower.mean)), ("std", torch.ones_like(tower.std))):
        weights.setdefault(f"{prefix}{name}", value)
