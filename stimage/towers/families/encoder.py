"""What a family makes of a name: an encoder with its ways of pooling."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from stimage.core.errors import DataError, one_line
from stimage.towers.joint.image_encoders import image_vectors, poolings_of

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
    said
        What `build_encoder` makes it of again; None if its code is of another package, or comes with the checkpoint.
    """

    model: nn.Module
    poolings: dict[str, Vectors]
    size: int
    mean: Sequence[float]
    std: Sequence[float]
    said: Mapping[str, Any] | None = None


def vectors_by(name: str, model: nn.Module, library: str, size: int) -> dict[str, Vectors]:
    """Return what each pooling of a library's model gives.

    Raises
    ------
    DataError
        If the model can't take RGB images of this size.
    """
    try:
        poolings = poolings_of(model, library, size)
    except (RuntimeError, ValueError, AssertionError) as error:
        raise DataError(f"{name}: can't take RGB images of {size} x {size} pixels ({one_line(error)}); pass another "
                        "encoder, or another size= (--size)") from None  # fmt: skip
    return {pooling: partial(image_vectors, model, library, pooling) for pooling in poolings}
