"""Rings around spots of any size are drawn."""

import numpy as np
import pytest

from stimage.figures.colours import OTHER
from stimage.figures.rings import draw_rings


@pytest.mark.parametrize("square", [False, True])
def test_rings_of_any_radius(square):
    pixels = np.full((60, 60, 3), 200, np.uint8)
    for radius in np.arange(0.5, 20, 0.5):
        drawn = draw_rings(pixels, np.array([[30.0, 30.0]]), np.array([radius]), [OTHER], square)
        assert (drawn != 200).any(), radius
