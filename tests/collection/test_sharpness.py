"""An image that was enlarged or is out of focus is told; a sharp one, also as JPEG, pale or full of noise, is not."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy.ndimage import gaussian_filter

from stimage.collection.checks.evidence import _sample_patches
from stimage.collection.checks.geometry import check_sharpness
from stimage.slides.catalog import read_catalog
from stimage.slides.coordinates import read_coordinates
from stimage.slides.images.reader import image_info

WAYS = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR, "Lanczos": Image.Resampling.LANCZOS}
SIDE = 600


def tissue(contrast: float = 1.0, noise: float = 2.0) -> Image.Image:
    """Draw nuclei of all sizes on a pink ground, with the noise of a camera."""
    rng = np.random.default_rng(0)
    layers = [gaussian_filter(rng.normal(0, 1, (SIDE, SIDE)), size) for size in (1, 2, 4, 8, 16)]
    shade = contrast * sum(20 * layer / layer.std() for layer in layers)
    pixels = np.array([200, 130, 170]) + shade[..., None] + rng.normal(0, noise, (SIDE, SIDE, 1))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def jpeg(picture: Image.Image, quality: int) -> Image.Image:
    picture.save(file := io.BytesIO(), "JPEG", quality=quality)
    return Image.open(file)


def enlarged(picture: Image.Image, times: int, way: str) -> Image.Image:
    return picture.resize((times * picture.width, times * picture.height), WAYS[way])


def judged(picture: Image.Image) -> str:
    """Judge patches of 128 pixels from all over a picture."""
    pixels = np.asarray(picture)
    at = np.linspace(0, min(pixels.shape[:2]) - 128, 4).astype(int)
    result = check_sharpness([pixels[y : y + 128, x : x + 128] for y in at for x in at])
    return f"{result.status}: {result.message}"


@pytest.mark.parametrize("made", [{}, {"contrast": 0.15}, {"contrast": 0.02, "noise": 5.0}], ids=["", "pale", "noise"])
def test_made_images(made):
    sharp = tissue(**made)
    for right in (sharp, jpeg(sharp, 75), jpeg(sharp, 40)):
        assert judged(right).startswith("pass")
    for way in WAYS if not made else ("nearest", "Lanczos"):
        assert judged(enlarged(sharp, 5, way)).startswith("warn"), way
    assert "each pixel is there 3 times in a row" in judged(enlarged(sharp, 3, "nearest"))
    assert not judged(sharp.filter(ImageFilter.GaussianBlur(3))).startswith("pass")


def test_of_tissue_less_is_told(tmp_path):
    """Where it is not noise alone: 3 times, also as JPEG."""
    sharp = tissue()
    for times, way in ((3, "bilinear"), (3, "Lanczos")):
        assert judged(enlarged(sharp, times, way)).startswith("warn"), (times, way)
    for way in ("bilinear", "Lanczos"):
        assert judged(jpeg(enlarged(sharp, 5, way), 80)).startswith("warn"), way
    assert judged(jpeg(enlarged(sharp, 3, "nearest"), 90)).startswith("warn")
    assert "nothing" not in judged(sharp) and judged(Image.new("RGB", (SIDE, SIDE), (240, 240, 240))).startswith("skip")


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("STIMAGE_REAL"), reason="STIMAGE_REAL names no folder of real slides")
@pytest.mark.parametrize("root", ["real", "real_visium"])
def test_real_slides(root):
    """The patches that the check looks at, and these enlarged 5 times."""
    folder = Path(os.environ["STIMAGE_REAL"]) / root
    for slide in read_catalog(str(folder)).slides:
        patches = _sample_patches(slide.image, image_info(slide.image), read_coordinates(slide.coord))
        assert check_sharpness(patches).status == "pass", slide.name
        for way in ("bilinear", "Lanczos"):
            large = [np.asarray(enlarged(Image.fromarray(one[:128, :128]), 5, way)) for one in patches[::4]]
            assert check_sharpness(large).status == "warn", (slide.name, way)
