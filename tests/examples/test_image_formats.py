"""Image files of patches, read back by Pillow."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from stimage.examples.image_formats import encoder

PIXELS = st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(lambda size: arrays(np.uint8, (*size, 3)))


@pytest.mark.parametrize("kind", ["png", "ppm"])
@given(PIXELS)
def test_pixels_come_back(kind, pixels):
    with Image.open(io.BytesIO(encoder(kind)(pixels))) as image:
        assert (image.format, image.mode) == (kind.upper(), "RGB")
        assert np.array_equal(np.asarray(image), pixels)


def test_jpeg_has_the_quality_asked_for():
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    small, large = (encoder("jpeg", quality)(pixels) for quality in (30, 95))
    assert len(small) < len(large) / 2
    with Image.open(io.BytesIO(large)) as image:
        assert image.format == "JPEG" and image.size == (64, 64)
