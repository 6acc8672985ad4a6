"""Gene towers: what a spot's genes express becomes a vector in the joint space."""

from typing import Any

import torch
from torch import nn


class Head(nn.Linear):
    """A linear layer that is initialised by Xavier's rule, whatever of the model a checkpoint has."""


class LinearTower(nn.Sequential):
    """The original's gene tower: one layer over the expression of a panel (n x genes)."""

    inputs: tuple[str, ...] = ("expression",)

    def __init__(self, config: Any):
        super().__init__(*self.layers(len(config.genes), config))

    @staticmethod
    def layers(genes: int, config: Any) -> list[nn.Module]:
        return [Head(genes, config.latent_dim)]

    def forward(self, expression: torch.Tensor) -> torch.Tensor:
        """Embed expression (n x genes): n x latent_dim."""
        return super().forward(expression)


class MlpTower(LinearTower):
    """The same with a hidden layer."""

    @staticmethod
    def layers(genes: int, config: Any) -> list[nn.Module]:
        return [Head(genes, config.hidden_dim), nn.GELU(), Head(config.hidden_dim, config.latent_dim)]


GENE_TOWERS = {"linear": LinearTower, "mlp": MlpTower}


def make_gene_tower(config: Any) -> nn.Module:
    """Return the gene tower of a `SpotClipConfig`; its ``inputs`` are the names of what its forward takes."""
    return GENE_TOWERS[config.gene_tower](config)
