"""The subjects of pictures: positions of spots, and parts of a slide's image."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

WIDER = 1.25  # times the area of the part: an image so much larger is shown, too


@dataclass(frozen=True, eq=False)
class SpotShapes:
    """n spots on a slide: centres (n x 2: x, y downwards) and radii (n), in pixels of the slide's image.

    ``square`` spots are bins of side 2 r. ``um_per_px`` is None where the scale is unknown. ``tissue`` says which
    pixels are tissue (bool, h x w) in the image made ``tissue_step`` times smaller; None draws no outline.
    """

    xy: np.ndarray
    r: np.ndarray
    square: bool = False
    um_per_px: float | None = None
    tissue: np.ndarray | None = field(default=None, repr=False)
    tissue_step: float = 1.0

    def __len__(self) -> int:
        return len(self.r)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of all spots."""
        low, high = (self.xy - self.r[:, None]).min(0), (self.xy + self.r[:, None]).max(0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])


@dataclass(frozen=True, eq=False)
class View:
    """A part of a slide's image: its pixels (uint8 RGB), its upper left corner, and image pixels per pixel."""

    pixels: np.ndarray
    left: float
    top: float
    step: float


@dataclass(frozen=True, eq=False)
class SlideImage:
    """The part of a slide's image around its spots, and the whole image, small; None where the part is the whole."""

    view: View
    whole: View | None = None

    @property
    def beside(self) -> View | None:
        """The whole image, if so much of it lies outside the part that it should be shown, too."""
        if self.whole is None:
            return None
        part, every = (one.pixels.shape[0] * one.pixels.shape[1] * one.step**2 for one in (self.view, self.whole))
        return self.whole if every >= WIDER * part else None


@dataclass(frozen=True, eq=False)
class LabelledSlide:
    """A slide's image, its n spots and their labels."""

    name: str
    image: SlideImage
    shapes: SpotShapes
    labels: Sequence[str | None]
