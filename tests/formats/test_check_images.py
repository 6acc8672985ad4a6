"""A PNG a slide, to check by eye: where the squares are, what is cropped, and what a later call draws anew."""

import numpy as np
import pytest
from PIL import Image

import stimage
from stimage.core.errors import DataError
from tests.roots import write_csv, write_slide
from tests.test_scripts import run

SCRIPT = "data_collection/check_images.py"
GREY = (100, 100, 100)


@pytest.fixture
def root(tmp_path):
    """Two slides on plain grey, of 3 x 3 and 4 x 4 spots of r 5, 20 pixels apart."""
    for name, tech, side in (("Slide_A", "ST", 3), ("Slide_B", "Visium", 4)):
        write_slide(tmp_path / "root", name, tech, side=side)
        Image.new("RGB", (300, 200), GREY).save(tmp_path / f"root/{tech}/image/{name}.png")
    return tmp_path / "root"


def squares(centres, r, left, top, shape) -> np.ndarray:
    """Draw the edges of squares one by one."""
    drawn = np.zeros(shape, bool)
    for x, y in centres:
        x0, x1, y0, y1 = x - r - left, x + r - left, y - r - top, y + r - top
        for k in range(2 * r + 1):
            for x_, y_ in ((x0 + k, y0), (x0 + k, y1), (x0, y0 + k), (x1, y0 + k)):
                if 0 <= x_ < shape[1] and 0 <= y_ < shape[0]:
                    drawn[y_, x_] = True
    return drawn


def test_squares_of_2r_cropped_to_the_spots(root, tmp_path):
    done = run(SCRIPT, root, "--out", tmp_path / "out", "--workers", "1")
    assert done.returncode == 0 and "2 pictures" in done.stdout, done.stderr
    for name, side in (("Slide_A", 3), ("Slide_B", 4)):
        picture = np.asarray(Image.open(tmp_path / f"out/{name}.png"))
        across = [20 + 20 * k for k in range(side)]
        assert picture.shape == (20 * side, 20 * side, 3)  # from 20 - 2r to the last centre + 2r
        drawn = squares([(x, y) for x in across for y in across], 5, 10, 10, picture.shape[:2])
        assert (picture[drawn] == (50, 178, 50)).all() and (picture[~drawn] == GREY).all()


def test_radii_that_differ_and_spots_over_the_edge(root, tmp_path):
    write_csv(root / "ST/coord/Slide_A_coord.csv", [["", "yaxis", "xaxis", "r"], ["Slide_A_1", 2, 3, 5],
                                                    ["Slide_A_2", 60, 50, 12]])  # fmt: skip
    path = stimage.check_images(stimage.open_root(root, "ST"), tmp_path / "out")["Slide_A"]
    picture = np.asarray(Image.open(path))
    assert picture.shape == (84, 74, 3)
    drawn = squares([(3, 2)], 5, 0, 0, (84, 74)) | squares([(50, 60)], 12, 0, 0, (84, 74))
    assert (picture[drawn] == (50, 178, 50)).all() and (picture[~drawn] == GREY).all()


def test_a_large_slide_is_made_smaller(tmp_path):
    write_slide(tmp_path / "root", "Slide_A", "ST")
    Image.new("RGB", (6000, 3000), GREY).save(tmp_path / "root/ST/image/Slide_A.png")
    write_csv(tmp_path / "root/ST/coord/Slide_A_coord.csv", [["", "yaxis", "xaxis", "r"], ["Slide_A_1", 900, 600, 300],
                                                             ["Slide_A_2", 1500, 5000, 300]])  # fmt: skip
    picture = np.asarray(Image.open(stimage.check_images(tmp_path / "root", tmp_path / "out")["Slide_A"]))
    assert picture.shape == (600, 1866, 3)  # a third of 5,600 x 1,800
    assert (picture[100, 100:301] == (50, 178, 50)).all() and (picture[200, 200] == GREY).all()


def test_what_is_there_is_kept_and_a_changed_slide_drawn_anew(root, tmp_path):
    pictures = stimage.check_images(root, tmp_path / "out")
    stamps = {name: path.stat().st_mtime_ns for name, path in pictures.items()}
    pictures["Slide_B"].write_bytes(pictures["Slide_B"].read_bytes()[:30])  # as no writer here leaves it
    stimage.check_images(root, tmp_path / "out")
    assert pictures["Slide_A"].stat().st_mtime_ns == stamps["Slide_A"]
    assert Image.open(pictures["Slide_B"]).size == (80, 80)
    Image.new("RGB", (300, 200), (0, 0, 0)).save(root / "ST/image/Slide_A.png")
    stimage.check_images(root, tmp_path / "out")
    assert tuple(np.asarray(Image.open(pictures["Slide_A"]))[0, 0]) == (0, 0, 0)
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_other_slides_are_drawn_where_one_is_damaged(root, tmp_path):
    (root / "ST/coord/Slide_A_coord.csv").write_text(",yaxis,xaxis,r\nSlide_A_1,a,2,3\n")
    for path in root.glob("*/gene_exp/*"):
        path.write_text("is not read")
    with pytest.raises(DataError, match=r"Slide_A_coord\.csv"):
        stimage.check_images(root, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["Slide_B.png"]


def test_processes(root, tmp_path):
    assert list(stimage.check_images(root, tmp_path / "out", workers=2)) == ["Slide_A", "Slide_B"]


def test_a_real_slide(shared, tmp_path):
    root = stimage.open_root(shared / "real", slides="Human_Breast_Andersson_10142021_ST_C2")
    picture = np.asarray(Image.open(*stimage.check_images(root, tmp_path).values()))
    lime = (picture[..., 1] > picture[..., 0].astype(int) + 30) & (picture[..., 1] > picture[..., 2].astype(int) + 30)
    assert 0.01 < lime.mean() < 0.2 and 900 < max(picture.shape) <= 2000
