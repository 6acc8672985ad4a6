"""Spots of any size and number are drawn, in colours that can be read off."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from stimage.figures.colours import LOOKS, OTHER
from stimage.figures.maps import label_maps
from stimage.figures.rings import TINT, draw_rings, tinted
from stimage.figures.scale import count_colours
from stimage.figures.shapes import SlideImage, SpotShapes, View


@pytest.mark.parametrize("square", [False, True])
def test_rings_of_any_radius(square):
    pixels = np.full((60, 60, 3), 200, np.uint8)
    for radius in np.arange(0.5, 20, 0.5):
        drawn = draw_rings(pixels, np.array([[30.0, 30.0]]), np.array([radius]), [OTHER], square)
        assert (drawn != 200).any(), radius


def bins(side: int, size: float) -> SpotShapes:
    y, x = np.divmod(np.arange(side**2), side)
    return SpotShapes(np.stack([(x + 0.5) * size, (y + 0.5) * size], 1), np.full(side**2, size / 2), square=True)


@pytest.mark.parametrize(("side", "size"), [(10, 60.0), (40, 15.3), (300, 2.0), (700, 0.8)])
def test_bins_of_any_number_tint_the_image_alike(side, size):
    where, ground = bins(side, size), np.full((620, 620, 3), 200, np.uint8)
    left = where.xy[:, 0] < side * size / 2
    tones = np.where(left[:, None], (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
    drawn = draw_rings(ground, where.xy, where.r, tones, square=True)
    end = int(side * size) - 1
    for at, tone in ((slice(0, end // 2 - 3), (255, 0, 0)), (slice(end // 2 + 4, end), (0, 0, 255))):
        assert np.abs(drawn[:end, at] - (200 + TINT * (np.array(tone) - 200))).max() <= 1
    assert (drawn[int(side * size) + 1 :] == 200).all()


def test_a_bar_has_the_colours_that_bins_have_on_the_tissue():
    where, ground, values = bins(10, 60.0), np.full((620, 620, 3), (200, 150, 210), np.uint8), np.arange(100.0)
    colours = count_colours(values)
    drawn = draw_rings(ground, where.xy, where.r, colours.to_rgba(values), square=True)
    shown = tinted(colours, View(ground, 0, 0, 1.0), where).to_rgba(values)[:, :3] * 255
    x, y = where.xy.astype(int).T
    assert np.abs(drawn[y, x] - shown).max() <= 2
    assert tinted(colours, View(ground, 0, 0, 1.0), replace(where, square=False)) is colours  # rings are opaque


@pytest.mark.parametrize("on_image", [False, True])
@pytest.mark.parametrize("side", [20, 400])
def test_labels_of_bins_are_seen_in_the_picture(side, on_image):
    where = bins(side, 800 / side)
    labels = ["a" if x < 400 else "b" for x in where.xy[:, 0]]
    image = SlideImage(View(np.full((800, 800, 3), 255, np.uint8), 0, 0, 1.0)) if on_image else None
    figure = label_maps("", where, {"": labels}, image)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    axes, picture = figure.axes[0], np.asarray(canvas.buffer_rgba())[::-1, :, :3]
    for x, look in ((200, LOOKS[0]), (600, LOOKS[1])):
        column, row = axes.transData.transform((x, 400)).round().astype(int)
        tint = TINT if on_image else 1
        seen = picture[row - 20 : row + 20, column - 20 : column + 20].reshape(-1, 3)
        assert np.abs(seen - 255 * (1 - tint + tint * np.array(to_rgb(look.colour)))).max() <= 2


def test_a_mark_is_a_hole_in_the_bin():
    ground = np.full((40, 40, 3), 200, np.uint8)
    drawn = draw_rings(ground, np.array([[20.0, 20.0]]), np.array([12.0]), [LOOKS[9]], True)
    assert (drawn[16:24, 16:24] == 200).all() and (drawn[9:13, 9:31] != 200).any(-1).all()
