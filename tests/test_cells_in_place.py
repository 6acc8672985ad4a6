"""Cells that lie where the image has none are refused with what would make them fit, and it does; odd classes, too."""

import re

import numpy as np
import pytest
from PIL import Image

import stimage
from stimage.cells.cells import read_cells
from stimage.core.errors import DataError
from tests.nuclei import CLASSES, UM, Nuclei, cellvit, hovernet, qupath, write, write_root
from tests.test_scripts import run

NUCLEI = Nuclei()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_root(tmp_path_factory.mktemp("nuclei"), NUCLEI)


@pytest.fixture
def opened(root):
    return stimage.open_root(root, um_per_px=UM)


def moved(told: object, move) -> object:
    """Return GeoJSON with each pair of numbers moved."""
    if isinstance(told, dict):
        return {key: moved(one, move) if key != "color" else one for key, one in told.items()}
    if isinstance(told, list):
        pair = len(told) == 2 and all(isinstance(one, float) for one in told)
        return [float(one) for one in move(*told)] if pair else [moved(one, move) for one in told]
    return told


WRONG = {
    "µm": (lambda x, y: (UM * x, UM * y), "they fit, for they are in µm if you pass factor=2 (--factor 2)"),
    "of a level": (lambda x, y: (x / 4, y / 4), "they fit if you pass factor=4 (--factor 4)"),
    "finer": (lambda x, y: (8 * x, 8 * y), "they fit if you pass factor=0.125 (--factor 0.125)"),
    "swapped": (lambda x, y: (y, x), "they fit if you pass swap=True (--swap)"),
    "both": (lambda x, y: (2 * y, 2 * x), "they fit if you pass factor=0.5 (--factor 0.5) and swap=True (--swap)"),
}


@pytest.mark.parametrize("points", [False, True])
@pytest.mark.parametrize("wrong", WRONG)
def test_the_factor_that_would_fit_does(wrong, points, root, opened, tmp_path):
    right = stimage.import_cells(opened, "Slide_A", write(tmp_path / "right", cellvit(NUCLEI, points)))
    move, remedy = WRONG[wrong]
    file = write(tmp_path / "file", moved(cellvit(NUCLEI, points), move))
    with pytest.raises(DataError, match=re.escape(f"; {remedy}; if they are right as they are, pass unchecked=True")):
        stimage.import_cells(opened, "Slide_A", file)
    words = [word for words in re.findall(r"\((--[^)]+)\)", remedy) for word in words.split()]
    command = ["data_process/import_cells.py", root, file, "--slide", "Slide_A", "--um-per-px", UM]
    done = run(*command, *words)
    assert done.returncode == 0, done.stderr
    again = read_cells(str(root), opened.slides[0])
    assert np.allclose(again.xy, right.xy, atol=0.01) and again.table["class"].equals(right.table["class"])
    assert np.allclose(*(one.table["area"].to_numpy() for one in (again, right)), rtol=0.01, equal_nan=True)
    as_they_are = stimage.import_cells(opened, "Slide_A", file, unchecked=True)
    assert not np.allclose(as_they_are.xy, right.xy, atol=1)


@pytest.mark.parametrize(
    ("move", "given", "remedy"),
    [
        (lambda x, y: (x / 4, y / 4), {"factor": 2}, "factor=4 (--factor 4)"),
        (lambda x, y: (x / 4, y / 4), {"factor": 4, "swap": True}, "factor=4 (--factor 4)"),
        (lambda x, y: (y / 4, x / 4), {"factor": 4}, "factor=4 (--factor 4) and swap=True (--swap)"),
        (lambda x, y: (x, y), {"factor": 2}, "neither factor= (--factor) nor swap= (--swap)"),
    ],
)
def test_the_remedy_counts_in_what_was_passed(move, given, remedy, opened, tmp_path):
    file = write(tmp_path / "file", moved(cellvit(NUCLEI), move))
    with pytest.raises(DataError, match=re.escape(f"if you pass {remedy}; if they are right")):
        stimage.import_cells(opened, "Slide_A", file, **given)


def test_unchecked_labels_of_a_part_are_not_of_the_whole_slide(opened, tmp_path):
    np.save(tmp_path / "part.npy", NUCLEI.labels()[:, :400])
    cells = stimage.import_cells(opened, "Slide_A", tmp_path / "part.npy", unchecked=True)
    assert cells.region == (0, 0, 400, 600)


def test_another_slides_cells_are_refused(opened, tmp_path):
    rng = np.random.default_rng(5)
    other = Nuclei(seed=3)
    other.xy = rng.uniform((10, 10), (590, 590), other.xy.shape)  # on the tissue, but anywhere
    with pytest.raises(DataError, match=r"only \d+% of the cells are darker in the middle than around, as if they lay "
                       "anywhere; no factor makes them fit, nor x and y swapped: are they another"):  # fmt: skip
        stimage.import_cells(opened, "Slide_A", write(tmp_path / "file", cellvit(other)))
    other.xy = rng.uniform((10, 10), (790, 590), other.xy.shape)
    with pytest.raises(DataError, match=r"of the cells lie on background, which is \d+% of the image; no factor"):
        stimage.import_cells(opened, "Slide_A", write(tmp_path / "file", cellvit(other)))
    other.xy = rng.uniform((10, 10), (1500, 590), other.xy.shape)
    with pytest.raises(DataError, match=r"\d+ of \d+ cells lie outside the image of 800 x 600 pixels; no factor"):
        stimage.import_cells(opened, "Slide_A", write(tmp_path / "file", cellvit(other)))


def test_a_label_image_of_a_smaller_level_names_its_factor(opened, tmp_path):
    np.save(tmp_path / "half.npy", NUCLEI.labels()[::2, ::2])
    with pytest.raises(DataError, match=r"400 x 300 pixels, and .* 800 x 600; pass factor=2 \(--factor 2\)$"):
        stimage.import_cells(opened, "Slide_A", tmp_path / "half.npy")
    cells = stimage.import_cells(opened, "Slide_A", tmp_path / "half.npy", factor=2)
    assert cells.table["area"].to_numpy().mean() == pytest.approx(np.pi * (NUCLEI.radius * UM) ** 2, rel=0.05)
    assert cells.region == (0, 0, *NUCLEI.size)


def test_where_nothing_can_be_seen_cells_are_taken(tmp_path):
    """An image that is all tissue, and too coarse for nuclei: only the frame is looked at."""
    root = write_root(tmp_path / "root", NUCLEI)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (60, 80, 3), np.uint8)).save(root / "ST/image/Slide_A.png")
    path = root / "ST/coord/Slide_A_coord.csv"
    path.write_text("\n".join([path.read_text().splitlines()[0], *(
        f"Slide_A_{i}x1,{10 + 20 * (i // 4)},{10 + 20 * (i % 4)},5" for i in range(12))]) + "\n")  # fmt: skip
    small = moved(qupath(NUCLEI), lambda x, y: (x / 10, y / 10))
    assert len(stimage.import_cells(root, "Slide_A", write(tmp_path / "file", small))) == len(NUCLEI)
    with pytest.raises(DataError, match="cells lie outside the image of 80 x 60 pixels"):
        stimage.import_cells(root, "Slide_A", write(tmp_path / "file", qupath(NUCLEI)))


def test_a_class_that_no_map_has_is_named_with_how_to_map_it(opened, tmp_path):
    told = qupath(NUCLEI)
    told["features"][1]["properties"]["classification"] = {"names": ["Tumour", "Ki67"]}  # as QuPath 0.5 has it
    told["features"][2]["properties"]["classification"] = "connec "
    file = write(tmp_path / "file", told)
    with pytest.raises(DataError, match=r"the classes Tumour: Ki67 \(1 cells\) are in no map; pass as classes= \(--cl"):
        stimage.import_cells(opened, "Slide_A", file)
    own = {name: name for name in CLASSES} | {"tumour: ki67": "Cancer", "Connec": ""}
    table = "source,class\n" + "".join(f"{name},{to}\n" for name, to in own.items())
    (tmp_path / "map.csv").write_text(table)
    for classes in (own, tmp_path / "map.csv"):
        named = stimage.import_cells(opened, "Slide_A", file, classes=classes).table["class"].to_pylist()
        assert named == ["Cancer", None, *NUCLEI.classes[2:]]
    kept = stimage.import_cells(opened, "Slide_A", file, classes="keep").table["class"].to_pylist()
    assert kept == ["Tumour: Ki67", "connec ", *NUCLEI.classes[2:]]
    (tmp_path / "map.csv").write_text("from,to\na,b\n")
    with pytest.raises(DataError, match=r"map\.csv: has no column 'source'"):
        stimage.import_cells(opened, "Slide_A", file, classes=tmp_path / "map.csv")
    with pytest.raises(ValueError, match=r"\(--classes\): tumour is neither a file nor one of pannuke, consep"):
        stimage.import_cells(opened, "Slide_A", file, classes="tumour")
    with pytest.raises(ValueError, match="classes=3: pass a map's name, a CSV, or a dict"):
        stimage.import_cells(opened, "Slide_A", file, classes=3)


def test_numbers_need_a_training_set(opened, tmp_path):
    told = hovernet(NUCLEI)
    told["nuc"]["1"]["type"] = None
    told["nuc"]["2"]["type"] = 0
    file = write(tmp_path / "file", told)
    with pytest.raises(DataError, match=r"the classes 0, 1, 2, 3, 4, 5 .* numbers, and their meaning depends"):
        stimage.import_cells(opened, "Slide_A", file)
    named = stimage.import_cells(opened, "Slide_A", file, classes="pannuke").table["class"].to_pylist()
    assert named == [None, None, *NUCLEI.classes[2:]]
    with pytest.raises(DataError, match=r"the classes 5 .* are in no map"):
        stimage.import_cells(opened, "Slide_A", file, classes="consep")
