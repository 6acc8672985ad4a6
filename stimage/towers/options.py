"""A user's options for an image encoder, beyond its name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from stimage.core.arguments import check_whole

POOLINGS = ("projection", "pooler", "cls", "mean", "cls+mean")


@dataclass(frozen=True)
class TowerOptions:
    """A user's options for an image encoder; None takes the value of the encoder's preset or its checkpoint.

    Attributes
    ----------
    pooling
        The way to make one vector of features: one of `POOLINGS` that the encoder offers.
    size
        Side of its images in pixels.
    mean, std
        Mean and standard deviation of each channel, for values from 0 to 1.
    model_args
        Further arguments of the model, such as ``{"mlp_layer": "SwiGLUPacked"}`` for timm.
    trust_remote_code
        Whether code that comes with the checkpoint may run.
    """

    pooling: str | None = None
    size: int | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    model_args: Mapping[str, Any] = field(default_factory=dict)
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        if self.pooling is not None and self.pooling not in POOLINGS:
            raise ValueError(f"pooling={self.pooling!r}: pass one of {', '.join(POOLINGS)}")
        if not isinstance(self.model_args, Mapping):
            raise ValueError(f"model_args={self.model_args!r}: pass a dict of the model's arguments")
        if self.size is not None:
            check_whole(self.size, "size", 1)
        for name in ("mean", "std"):
            values = getattr(self, name)
            if values is None:
                continue
            if len(values) != 3 or not all(isinstance(value, int | float) and 0 <= value <= 1 for value in values):
                raise ValueError(f"{name}={values!r}: pass three numbers from 0 to 1")
            object.__setattr__(self, name, tuple(map(float, values)))
        if self.std is not None and 0 in self.std:
            raise ValueError(f"std={self.std!r}: pass three numbers above 0")

    def over(self, other: "TowerOptions") -> "TowerOptions":
        """Return these options, filled up with the other ones."""
        said = {one.name: getattr(self, one.name) or getattr(other, one.name) for one in fields(self)}
        return TowerOptions(**said | {"model_args": {**other.model_args, **self.model_args}})
