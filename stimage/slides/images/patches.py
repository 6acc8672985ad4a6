"""Patches, the images of single spots: the original's square of 2r, or a square of a physical size."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from numbers import Integral, Real

import numpy as np
from PIL import Image

from stimage.core.errors import DataError
from stimage.slides.images.levels import fitting_level
from stimage.slides.images.reader import MAX_IMAGE_PIXELS, open_image, read_patches
from stimage.slides.scale.scale import Scale

BOTH = "µm and output pixels by patch= (--patch-um, --patch-px)"
LEEWAY = 1.02  # by which a physical patch may up-sample: the scale is an estimate
SUPPORT = 2  # pixels that Pillow's bicubic filter reaches to either side, of output and image the coarser


def square_boxes(x: np.ndarray, y: np.ndarray, half: np.ndarray | float) -> np.ndarray:
    """Return the edges x0, y0, x1, y1 of squares around centres, in whole pixels rounded half to even (n, 4).

    Pillow's ``crop`` makes the same of the edges (x - r, y - r, x + r, y + r).
    """
    return np.rint(np.stack([x - half, y - half, x + half, y + half], 1)).astype(np.int64)


def covers_none(x: np.ndarray, y: np.ndarray, half: np.ndarray | float) -> np.ndarray:
    """Return whether each square (see `square_boxes`) is too small to have a pixel, wherever it lies."""
    boxes = square_boxes(x, y, half)
    return (boxes[:, :2] == boxes[:, 2:]).any(1)


def filled_boxes(path: str, x: np.ndarray, y: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Return the `square_boxes` of spots; `DataError` if a spot covers no pixel of the image at ``path``."""
    if len(empty := np.flatnonzero(covers_none(x, y, r))):
        k = empty[0]
        raise DataError(
            f"{path}: the spot at x={x[k]:g}, y={y[k]:g} covers no pixel (r={r[k]:g}): the image is too small "
            "for its coordinates"
        )
    return square_boxes(x, y, r)


def lies_outside(centre: np.ndarray, half: np.ndarray | float, size: int) -> np.ndarray:
    """Return whether each square (see `square_boxes`) is wholly outside an image of this size, in one direction."""
    return (np.rint(centre + half) <= 0) | (np.rint(centre - half) >= size)


@dataclass(frozen=True)
class Patch:
    """The size of a patch.

    Without ``um`` and ``px``, a patch is the square of 2r around the spot, in the image's own pixels, as the data set's
    authors cut it. With both, a patch is a square of ``um`` µm around the spot's centre, resampled to ``px`` x ``px``
    pixels (Pillow's bicubic filter, antialiased, at sub-pixel position). An image that is more than 2 % coarser than
    the patch is refused; scales are estimates, so 2 % are allowed. With ``upsample``, such an image is taken all the
    same. With ``pyramid``, patches are cut from the coarsest level of the image whose pixels are not larger than the
    patch's, instead of from level 0: this is faster, with slightly different values.
    """

    um: float | None = None
    px: int | None = None
    upsample: bool = False
    pyramid: bool = False

    def __post_init__(self) -> None:
        for name, value in (("upsample", self.upsample), ("pyramid", self.pyramid)):
            if not isinstance(value, bool):
                raise ValueError(f"{name}={value!r}: pass True or False")
            if value and self.um is None and self.px is None:
                raise ValueError(f"{name}= (--{name}) works only with a patch of a size in µm: pass its {BOTH}")
        if (self.um is None) != (self.px is None):
            raise ValueError(f"a patch of {self.um} µm and {self.px} px: pass both {BOTH}, or neither")
        if self.um is None or self.px is None:
            return
        if not (isinstance(self.um, Real) and isinstance(self.px, Integral) and 0 < self.um < np.inf and self.px > 0):
            raise ValueError(f"{self}: um must be more than 0 and px a whole number more than 0")

    @classmethod
    def parse(cls, value: "Patch | Mapping | str | None", upsample: bool = False, pyramid: bool = False) -> "Patch":
        """Return a patch from a user's value: None or "original", ``{"um": 112, "px": 224}``, or a `Patch`."""
        if isinstance(value, cls):
            return replace(value, upsample=upsample or value.upsample, pyramid=pyramid or value.pyramid)
        if value is None or value == "original":
            return cls(upsample=upsample, pyramid=pyramid)
        if isinstance(value, Mapping) and value.keys() == {"um", "px"}:
            return cls(**value, upsample=upsample, pyramid=pyramid)
        raise ValueError(f"patch={value!r}: pass 'original' or {{'um': side in µm, 'px': side in output pixels}}")

    @property
    def sides(self) -> tuple[float, int]:
        """The sides of a physical patch: µm, and output pixels."""
        if self.um is None or self.px is None:
            raise ValueError(f"{self}: is the original's, which has no size in µm")
        return self.um, self.px

    def source_px(self, source: str, scale: Scale | None) -> float:
        """Return the side of a physical patch in pixels of the slide's image.

        Raises
        ------
        DataError
            If the slide's scale is not trusted, or the image is more than 2 % coarser than the patch and ``upsample``
            is False.
        """
        (um, px), asked = self.sides, f"{source}: a patch of {self.um:g} µm in {self.px} px"
        if scale is None:
            raise ValueError(f"{asked} needs the slide's scale")
        if scale.um_per_px is None:
            raise DataError(f"{asked} needs a scale, and this slide's is {scale.reason}")
        side = um / scale.um_per_px
        if side * LEEWAY < px and not self.upsample:
            least = np.ceil(px * scale.um_per_px * 10) / 10
            raise DataError(
                f"{asked} would up-sample: at {scale.um_per_px:.3g} µm/px it is {side:.1f} px of the image; "
                f"ask for at most {int(side)} px, or at least {least:.1f} µm, or pass upsample=True "
                "(--upsample)"
            )
        return side

    def cut(
        self,
        path: str,
        x: np.ndarray,
        y: np.ndarray,
        r: np.ndarray,
        scale: Scale | None = None,
        max_pixels: int = MAX_IMAGE_PIXELS,
    ) -> Iterator[np.ndarray]:
        """Yield the patch of each spot (uint8 RGB), in the given order, which should be from top to bottom.

        ``scale`` is the scale of the slide, which a physical patch needs.

        Raises
        ------
        DataError
            As in `source_px` and `read_patches`, and if a spot covers no pixel.
        """
        if self.um is None:
            return read_patches(path, filled_boxes(path, x, y, r), max_pixels)
        side = self.source_px(path, scale)
        edges = np.stack([x - side / 2, y - side / 2, x + side / 2, y + side / 2], 1)
        image = open_image(path, max_pixels)
        at = fitting_level(image, side / self.sides[1]) if self.pyramid else 0
        across, down = image.levels[at].across, image.levels[at].down
        edges /= [across, down, across, down]
        margin = SUPPORT * max(1, side / min(across, down) / self.sides[1])
        hull = np.concatenate([np.floor(edges[:, :2] - margin), np.ceil(edges[:, 2:] + margin)], 1).astype(np.int64)
        return self._resampled(
            read_patches(image, hull, level=at), map(tuple, (edges - np.tile(hull[:, :2], 2)).tolist())
        )

    def _resampled(self, hulls: Iterable[np.ndarray], boxes: Iterable[tuple]) -> Iterator[np.ndarray]:
        px = self.sides[1]
        for hull, box in zip(hulls, boxes):
            yield np.asarray(Image.fromarray(hull).resize((px, px), Image.Resampling.BICUBIC, box))
