"""The small images of uns["spatial"], how they relate to the full image, and the full image's size."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stimage.core.errors import DataError, shown
from stimage.formats.imported import factor, frame_of
from stimage.formats.stored.image import StoredImage

FULL = "fullres"  # CELLxGENE's


@dataclass(frozen=True, eq=False)
class Entry:
    """One slide of uns["spatial"]: its scale factors as numbers, images, metadata, and all that is told of it.

    ``odd`` are names of what are no pictures among its images.
    """

    where: str
    factors: Mapping[str, Any] = field(default_factory=dict)
    images: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    odd: tuple[str, ...] = ()
    told: Mapping[str, Any] = field(default_factory=dict)

    def scale_of(self, name: str) -> float:
        """Return pixels of an image per pixel of the full one."""
        return (
            1.0 if name == FULL else factor(self.factors, f"tissue_{name}_scalef", self.where, "correct or remove it")
        )

    def largest(self) -> str:
        """Return the name of the image that shows most."""
        names = [name for name in self.images if name == FULL or f"tissue_{name}_scalef" in self.factors]
        if not names:
            has = f"no scale factor of {shown(list(self.images))}" if self.images else "no image"
            raise DataError(f"{self.where} has {has}; pass the full-resolution image as image= (--image)")
        return max(names, key=self.scale_of)

    def picture(self) -> np.ndarray | StoredImage:
        """Return the image that shows most, as uint8 RGB; of an entry whose images cannot be told, none is taken."""
        if self.odd:
            raise DataError(f"{self.where}: its image {self.odd[0]!r} is no array of pixels; pass image= (--image)")
        return pixels_of(self.images[self.largest()], self.where)

    def frame(self) -> tuple[float, float, str] | None:
        """Return the full image's width and height by the image that shows most, and where it is said.

        Raises
        ------
        DataError
            If images disagree by more than their pixels allow.
        """
        sizes = {
            name: (*np.shape(image)[1::-1], self.scale_of(name))
            for name, image in self.images.items()
            if name == FULL or f"tissue_{name}_scalef" in self.factors
        }
        if not sizes:
            return None
        name, width, height = frame_of(sizes, self.where)
        return width, height, f"{self.where}, image {name!r}"


def entry_of(name: str, told: Mapping[str, Any], where: str) -> Entry:
    """Return a slide of uns["spatial"]; numbers may stand in arrays of one, as R writes them."""
    factors = {key: _one(value) for key, value in told.get("scalefactors", {}).items()}
    images = told.get("images", {})
    images = images if isinstance(images, Mapping) else {}
    metadata = told.get("metadata", {})
    pictures = {key: value for key, value in images.items() if np.ndim(value) >= 2}
    metadata = metadata if isinstance(metadata, Mapping) else {}
    odd = tuple(key for key in images if key not in pictures)
    return Entry(f"{where}: uns['spatial'][{name!r}]", factors, pictures, metadata, odd, told)


def pixels_of(image: Any, where: str) -> np.ndarray | StoredImage:
    """Return uint8 RGB of an image as scanpy has it: 0 to 1 in floats, or bytes; a store's image as it is."""
    if isinstance(image, StoredImage):
        return image
    image = np.asarray(image)
    if not _is_rgb(image):
        raise DataError(
            f"{where}: its image, {image.dtype} {image.shape}, is no RGB of bytes, or of 0 to 1; pass image= (--image)"
        )
    image = image[..., :3]
    return image if image.dtype == np.uint8 else (image * 255).round().clip(0, 255).astype(np.uint8)


def _is_rgb(image: np.ndarray) -> bool:
    if image.ndim != 3 or image.shape[2] not in (3, 4) or image.dtype.kind not in "uf" or not image.size:
        return False
    return image.dtype == np.uint8 or bool(image.min() > -0.01 and image.max() < 1.01)


def preview_of(image: Any, where: str) -> np.ndarray | None:
    """Return uint8 RGB of an image, small where it is a store's; None where it is no RGB, as the user has a file."""
    if not isinstance(image, StoredImage) and not _is_rgb(np.asarray(image)):
        return None
    pixels = pixels_of(image, where)
    return pixels if isinstance(pixels, np.ndarray) else pixels.small()


def _one(value: Any) -> Any:
    return np.asarray(value).reshape(-1)[0].item() if np.size(value) == 1 and np.ndim(value) else value
