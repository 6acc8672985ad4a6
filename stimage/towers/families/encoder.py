"""What a family makes of a name: an encoder with its ways of pooling."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

Vectors = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Encoder:
    """An image encoder, and what its images must be.

    Attributes
    ----------
    model
        The module whose weights are meant, and which is saved.
    poolings
        Way of pooling → what turns normalised images (n x 3 x size x size) into vectors (n x width); the default first.
    size
        Pixels along a side.
    mean, std
        Of each channel, of values from 0 to 1.
    """

    model: nn.Module
    poolings: dict[str, Vectors]
    size: int
    mean: Sequence[float]
    std: Sequence[float]


def poolings_of_tokens(tokens: Vectors, prefix: int) -> dict[str, Vectors]:
    """Return the poolings of a transformer's tokens (n x tokens x width), ``prefix`` of which stand for no patch.

    The first of the prefix is the class token; others are registers, which no pooling takes.
    """

    def mean(pixels: torch.Tensor) -> torch.Tensor:
        return tokens(pixels)[:, prefix:].mean(1)

    def cls_and_mean(pixels: torch.Tensor) -> torch.Tensor:
        found = tokens(pixels)
        return torch.cat([found[:, 0], found[:, prefix:].mean(1)], 1)

    if not prefix:
        return {"mean": mean}
    return {"cls": lambda pixels: tokens(pixels)[:, 0], "mean": mean, "cls+mean": cls_and_mean}


def poolings_of_maps(maps: Vectors) -> dict[str, Vectors]:
    """Return the pooling of a convolutional network's maps (n x width x height x width): the mean over places."""
    return {"mean": lambda pixels: maps(pixels).mean((2, 3))}
