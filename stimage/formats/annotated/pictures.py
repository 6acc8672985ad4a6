"""The small images of uns["spatial"], how they relate to the full image, and the full image's size."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stimage.core.errors import DataError, shown
from stimage.formats.imported import factor
from stimage.formats.stored.image import StoredImage

FULL = "fullres"  # CELLxGENE's


@dataclass(frozen=True, eq=False)
class Entry:
    """One slide of uns["spatial"]: its scale factors as numbers, images, metadata, and all that is told of it."""

    where: str
    factors: Mapping[str, Any] = field(default_factory=dict)
    images: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)

    def scale_of(self, name: str) -> float:
        """Return pixels of an image per pixel of the full one."""
        return (
            1.0 if name == FULL else factor(self.factors, f"tissue_{name}_scalef", self.where, "pass image= (--image)")
        )

    def largest(self) -> str:
        """Return the name of the image that shows most."""
        names = [name for name in self.images if name == FULL or f"tissue_{name}_scalef" in self.factors]
        if not names:
            has = f"no scale factor of {shown(list(self.images))}" if self.images else "no image"
            raise DataError(f"{self.where} has {has}; pass the full-resolution image as image= (--image)")
        return max(names, key=self.scale_of)

    def frame(self) -> tuple[float, float, str] | None:
        """Return the full image's width and height by the image that shows most, and where it is said.

        Raises
        ------
        DataError
            If images disagree by more than their pixels allow.
        """
        sizes = []
        for name in self.images:
            shape = np.shape(self.images[name])
            if len(shape) >= 2 and (name == FULL or f"tissue_{name}_scalef" in self.factors):
                scale = self.scale_of(name)
                sizes.append((scale, shape[1] / scale, shape[0] / scale, name))
        if not sizes:
            return None
        sizes.sort(reverse=True)
        (_, width, height, best), others = sizes[0], sizes[1:]
        for scale, *size, name in others:
            if any(abs(a - b) > 2 / scale + 0.01 * b for a, b in zip(size, (width, height))):
                raise DataError(
                    f"{self.where}: by their scale factors, its images {best!r} and {name!r} are of full images of "
                    f"{width:,.0f} x {height:,.0f} and {size[0]:,.0f} x {size[1]:,.0f} pixels: one is another slide's"
                )
        return width, height, f"{self.where}, image {best!r}"


def entry_of(name: str, told: Mapping[str, Any], where: str) -> Entry:
    """Return a slide of uns["spatial"]; numbers may stand in arrays of one, as R writes them."""
    factors = {key: _one(value) for key, value in told.get("scalefactors", {}).items()}
    images = told.get("images", {})
    images = images if isinstance(images, Mapping) else {}
    metadata = told.get("metadata", {})
    return Entry(f"{where}: uns['spatial'][{name!r}]", factors, {k: v for k, v in images.items() if np.ndim(v) >= 2},
                 metadata if isinstance(metadata, Mapping) else {}, told)  # fmt: skip


def pixels_of(image: Any, where: str) -> np.ndarray | StoredImage:
    """Return uint8 RGB of an image as scanpy has it: 0 to 1 in floats, or bytes; a store's image as it is."""
    if isinstance(image, StoredImage):
        return image
    image = np.asarray(image)
    fits = image.ndim == 3 and image.shape[2] in (3, 4) and image.dtype.kind in "uf" and image.size
    if not fits or (image.dtype != np.uint8 and not (image.min() > -0.01 and image.max() < 1.01)):
        raise DataError(
            f"{where}: its image, {image.dtype} {image.shape}, is no RGB of bytes, or of 0 to 1; pass image= (--image)"
        )
    image = image[..., :3]
    return image if image.dtype == np.uint8 else (image * 255).round().clip(0, 255).astype(np.uint8)


def preview_of(image: Any, where: str) -> np.ndarray:
    """Return uint8 RGB of an image, small where it is a store's."""
    pixels = pixels_of(image, where)
    return pixels if isinstance(pixels, np.ndarray) else pixels.small()


def _one(value: Any) -> Any:
    return np.asarray(value).reshape(-1)[0].item() if np.size(value) == 1 and np.ndim(value) else value
