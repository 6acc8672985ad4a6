"""Pictures of cells: outlines where the cells are, in the colours of their classes, with a scale bar and a legend."""

import numpy as np
import pytest
from PIL import Image

import stimage
from stimage.core.errors import DataError
from stimage.figures.colours import label_looks
from tests.nuclei import CLASSES, UM, Nuclei, cellvit, write, write_root
from tests.test_scripts import run

NUCLEI = Nuclei(pitch=34)


@pytest.fixture
def root(tmp_path):
    return write_root(tmp_path / "root", NUCLEI)


def add(root, points=False, um=UM):
    file = write(root / "cells.geojson", cellvit(NUCLEI, points))
    stimage.import_cells(stimage.open_root(root, um_per_px=um), "Slide_A", file)


def near(picture, x, y, colour, reach) -> int:
    """Return how many pixels around a place have a colour."""
    part = picture[max(int(y) - reach, 0) : int(y) + reach + 1, max(int(x) - reach, 0) : int(x) + reach + 1]
    return int((part == [*bytes.fromhex(colour[1:])]).all(-1).sum())


@pytest.mark.parametrize("points", [False, True])
def test_each_cell_has_the_colour_of_its_class_alone(root, tmp_path, points):
    add(root, points)
    done = run("data_process/show_cells.py", root, "--slide", "Slide_A", "--um", 100, "--at", 300, 250,
               "--out", tmp_path / "out")  # fmt: skip
    paths = [tmp_path / "out" / name for name in ("Slide_A_cells_near.png", "Slide_A_cells.png")]
    assert done.returncode == 0 and done.stdout.split() == [*map(str, paths)], done.stderr
    close, whole = (np.asarray(Image.open(path)) for path in paths)
    looks = label_looks(NUCLEI.classes)
    times = whole.shape[1] / NUCLEI.size[0]
    assert times == 4 and close.shape[1] == 800  # 200 pixels, four times as large
    for picture, scale, left, top in ((whole, 4, 0, 0), (close, 4, 200, 150)):
        for (x, y), name in zip(NUCLEI.xy, NUCLEI.classes):
            place = scale * (x - left), scale * (y - top)
            if min(place) > 40 and place[0] < picture.shape[1] - 40 and place[1] < scale * 200 - 40:
                found = {one: near(picture, *place, looks[one].colour, 34) for one in CLASSES}
                assert found[name] > 20 and sum(found.values()) == found[name], (x, y, found)
    for picture, high in ((whole, 2400), (close, 800)):
        footer = picture[high:]
        assert all(near(footer, 0, 0, looks[name].colour, 10_000) > 50 for name in CLASSES)
        times = max(1, picture.shape[1] // 1280)  # the footer of a large picture is as much larger
        bar = int((~(footer[20 * times, 16 * times :] == 0).all(-1)).argmax())
        assert bar in (4 / UM * np.array([10, 20, 50, 100])).tolist()  # µm


def test_without_a_place_the_most_crowded_square_is_shown_and_without_a_scale_pixels(root, tmp_path):
    path = root / "ST/coord/Slide_A_coord.csv"
    path.write_text(path.read_text().replace(",55.0", ",20.0"))  # r contradicts the pitch
    add(root, um=None)
    close, _ = stimage.show_cells(root, "Slide_A", tmp_path, um=75)
    picture = np.asarray(Image.open(close))
    assert picture.shape[1] == 600  # twice as many pixels as µm, four times as large
    assert sum(near(picture[:600], 0, 0, look.colour, 10_000) for look in label_looks(CLASSES).values()) > 500


def test_what_cannot_be_shown(root, tmp_path):
    with pytest.raises(DataError, match="slide Slide_A has no cells; add them by import_cells"):
        stimage.show_cells(root, "Slide_A", tmp_path)
    with pytest.raises(ValueError, match="um=0: pass the side of the square in µm, a number above 0"):
        stimage.show_cells(root, "Slide_A", tmp_path, um=0)
    with pytest.raises(ValueError, match="slide=3: pass a slide's name"):
        stimage.show_cells(root, 3, tmp_path)
