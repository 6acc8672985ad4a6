"""Bins on the page that can be zoomed, where the slide's lattice is turned in its image; and labels that have marks."""

import numpy as np
import pytest
from PIL import Image

from stimage.figures.colours import LOOKS
from tests.collection.test_page import CHROMIUM, OFFLINE, pytestmark  # noqa: F401
from tests.collection.test_zoom import ink, on_page, open_slide, rgb
from tests.roots import write_csv, write_slide
from tests.test_scripts import run

TURN, SIDE, BINS = 0.3, 40.0, 10  # radians; pixels of a bin, and bins a side
LABELS = [f"L{k}" for k in range(1, 13)]  # from the ninth on, looks have marks


def places() -> dict[str, np.ndarray]:
    """Return bin → its centre."""
    along = np.array([[np.cos(TURN), np.sin(TURN)], [-np.sin(TURN), np.cos(TURN)]])
    return {
        f"{i}x{j}": 400 + SIDE * (np.array([i, j]) - (BINS - 1) / 2) @ along for i in range(BINS) for j in range(BINS)
    }


def label_of(name: str) -> int:
    return (int(name[0]) * 5 + int(name[-1])) % len(LABELS)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bins")
    root, bins = folder / "root", places()
    write_slide(root, "Oak", "VisiumHD", side=BINS)
    Image.new("RGB", (800, 800), (230, 220, 235)).save(root / "VisiumHD/image/Oak.png")
    rows = [[name, y, x, SIDE / 2] for name, (x, y) in bins.items()]
    write_csv(root / "VisiumHD/coord/Oak_coord.csv", [["", "yaxis", "xaxis", "r"], *rows])
    write_csv(root / "VisiumHD/gene_exp/Oak_count.csv", [["", "A"], *([name, k] for k, name in enumerate(bins, 1))])
    write_csv(root / "annotation/Oak_anno.csv", [["", "V2"], *([name, LABELS[label_of(name)]] for name in bins)])
    done = run("data_collection/check_spots.py", root, "--um-per-px", "0.2", "--out", folder / "out")
    assert "images that can be zoomed: 1 slide" in done.stdout, done.stdout + done.stderr
    return folder / "out"


@pytest.fixture
def page(out):
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as control:
        browser = control.chromium.launch(executable_path=CHROMIUM, args=OFFLINE)
        page = browser.new_page(viewport={"width": 1366, "height": 900})
        page.goto((out / "report.html").as_uri())
        open_slide(page, "Oak")
        page.fill("#opacity", "100")
        page.select_option("#layer", label="annotation")
        yield page
        browser.close()


def test_each_pixel_has_the_colour_of_the_turned_bin_it_lies_in(page):
    back = np.array([[np.cos(TURN), -np.sin(TURN)], [np.sin(TURN), np.cos(TURN)]])
    rng, bins = np.random.default_rng(0), places()
    for name in rng.choice(list(bins), 12, replace=False):
        look = LOOKS[label_of(name)]
        for own in ((0.85, 0.85), (-0.85, 0.85), (0.85, -0.85), (0, 0)):
            x, y = bins[name] + SIDE / 2 * np.array(own) @ back.T
            if look.marked and own == (0, 0):
                assert ink(page, x, y)[3] == 0  # a hole is the mark
            else:
                assert ink(page, x, y) == (*rgb(look.colour), 255)
    marked = page.locator("#legend .key:has(.marked)").all_inner_texts()
    assert [text.split()[0] for text in marked] == LABELS[8:]


def test_a_click_near_a_corner_tells_the_turned_bin(page):
    back = np.array([[np.cos(TURN), -np.sin(TURN)], [np.sin(TURN), np.cos(TURN)]])
    for own in ((0.9, 0.9), (-0.9, 0.9)):
        x, y = places()["4x5"] + SIDE / 2 * np.array(own) @ back.T
        page.mouse.click(*on_page(page, x, y))
        assert page.inner_text("#spot").startswith("4x5 · ")


@pytest.mark.parametrize("turn", ["null", "0", str(TURN)])
def test_shapes_that_overlap_are_one_without_holes(page, turn):
    """As cells lie closer than their discs are wide, and spots of a wrong radius."""
    seen = page.evaluate("""turn => {
        const pen = Object.assign(document.createElement("canvas"), { width: 100, height: 100 }).getContext("2d");
        const frame = { width: 100, height: 100, s: 1, left: 0, top: 0, ratio: 1 };
        const looks = { codes: [0, 0, 1], palette: [[255, 0, 0], [0, 0, 255]], marks: [false, true] };
        Painting.places(pen, frame, { n: 3, x: [30, 50, 80], y: [50, 50, 20], r: 15 }, looks, turn, 1);
        return [[30, 50], [40, 50], [80, 20], [80, 10]].map(([x, y]) => [...pen.getImageData(x, y, 1, 1).data]);
    }""", None if turn == "null" else float(turn))  # fmt: skip
    red, blue, none = [255, 0, 0, 255], [0, 0, 255, 255], [0, 0, 0, 0]
    assert seen == [red, red, none, blue]
