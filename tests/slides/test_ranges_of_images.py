"""Ranges of boxes, one after the other, are cut from one pass over the image, with the pixels of a pass each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stimage.slides.images import reader
from stimage.slides.images.readers.vips_image import VipsImage

SIDE, HEIGHT = 40, 400


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """A file, and its pixels, each of which is known by its value."""
    pixels = np.arange(HEIGHT * SIDE * 3).reshape(HEIGHT, SIDE, 3).astype(np.uint16) % 251
    path = tmp_path_factory.mktemp("ranges") / "image.png"
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return str(path), pixels.astype(np.uint8)


def boxes_at(tops, side=6):
    return np.array([[x, top, x + side, top + side] for top in tops for x in (0, SIDE - side)])


def check(path, pixels, boxes):
    for patch, (x0, y0, x1, y1) in zip(reader.read_patches(path, boxes), boxes, strict=True):
        assert np.array_equal(patch, pixels[y0:y1, x0:x1])


@given(st.lists(st.lists(st.integers(0, HEIGHT - 9), min_size=1, max_size=6), min_size=1, max_size=5),
       st.sampled_from([6, 9]))  # fmt: skip
def test_any_ranges_have_their_pixels(image, ranges, side):
    for tops in ranges:
        check(*image, boxes_at(tops, side))


@pytest.fixture
def opened(monkeypatch):
    """How often an image was decoded from its top."""
    times, open_level = [], VipsImage._opened
    monkeypatch.setattr(VipsImage, "_opened", lambda self, level: times.append(level) or open_level(self, level))
    reader._paused.clear()
    return times


def test_ranges_go_on_where_the_last_one_ended(image, opened):
    tops = range(0, HEIGHT - 9, 3)
    for begin in range(0, len(tops), 10):
        check(*image, boxes_at(tops[begin : begin + 10]))
    assert len(opened) == 1


def test_a_range_further_up_begins_anew(image, opened):
    check(*image, boxes_at([200, 210]))
    check(*image, boxes_at([20, 30]))
    check(*image, boxes_at([10, 300]))
    assert len(opened) == 3


def test_an_image_that_changed_is_read_anew(tmp_path, opened):
    path = tmp_path / "image.png"
    for value in (10, 200):
        pixels = np.full((HEIGHT, SIDE, 3), value, np.uint8)
        Image.fromarray(pixels).resize((SIDE, HEIGHT)).save(path, compress_level=value // 100)
        check(str(path), pixels, boxes_at([30 + value // 10]))
    assert len(opened) == 2


def test_another_process_opens_the_image_itself(image, opened, monkeypatch):
    check(*image, boxes_at([30]))
    monkeypatch.setattr(reader.os, "getpid", lambda: 0)
    check(*image, boxes_at([50]))
    assert len(opened) == 2


def test_an_image_that_is_held_whole_is_let_go(tmp_path, opened):
    pixels = np.full((HEIGHT, SIDE, 3), 9, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.jpg", progressive=True, quality=100)
    list(reader.read_patches(str(tmp_path / "image.jpg"), boxes_at([30])))
    assert not reader._paused and len(opened) == 1
