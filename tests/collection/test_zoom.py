"""The image of a slide on the page of the check, in headless Chromium: zoom, move, layers, and what a click tells."""

import shutil
from pathlib import Path

import matplotlib
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from stimage.cells.cells import SCHEMA, Cells, write_cells
from stimage.figures.colours import OKABE_ITO
from tests.collection.test_page import CHROMIUM, OFFLINE, pytestmark  # noqa: F401
from tests.roots import write_csv, write_slide
from tests.test_scripts import run

WIDE, HIGH, PITCH, R, SIDE = 1200, 800, 60, 20.0, 8  # pixels; spots a side
LABELS = ["stroma", "tumour", ""]
GENES = ["ERBB2", "CD3E", "MT-CO1"]
CELLS = [(90.0, 90.0, "neoplastic"), (150.0, 90.0, "connective"), (90.0, 150.0, None)]  # between spots


def places() -> dict[str, tuple[float, float, int]]:
    """Return spot → x, y and which it is."""
    ids = [f"{i}x{j}" for i in range(SIDE) for j in range(SIDE)]
    return {spot: (PITCH * (1.0 + k % SIDE), PITCH * (1.0 + k // SIDE), k) for k, spot in enumerate(ids)}


def write_root(root: Path) -> None:
    """Write a slide whose image is red on the left and blue on the right, with labels and cells, and one without."""
    for name in ("Ash", "Elm"):
        write_slide(root, name, "ST", side=SIDE)
        pixels = np.zeros((HIGH, WIDE, 3), np.uint8)
        pixels[:, : WIDE // 2, 0], pixels[:, WIDE // 2 :, 2] = 200, 200
        Image.fromarray(pixels).save(root / f"ST/image/{name}.png")
        spots = [[spot, y, x, R] for spot, (x, y, _) in places().items()]
        write_csv(root / f"ST/coord/{name}_coord.csv", [["", "yaxis", "xaxis", "r"], *spots])
        rows = [[spot, k, 0 if k % 2 else 5, 1000 * k] for spot, (*_, k) in reversed(places().items())]
        write_csv(root / f"ST/gene_exp/{name}_count.csv", [["", *GENES], *rows])
    labels = [[spot, LABELS[k % 3]] for spot, (*_, k) in places().items()]
    write_csv(root / "annotation/Ash_anno.csv", [["", "V2"], *labels])
    columns = {"id": list("abc"), **{name: [one[k] for one in CELLS] for k, name in enumerate(("x", "y", "class"))}}
    table = pa.table(columns | {"area": [None] * 3, "polygon": [None] * 3}, SCHEMA)
    write_cells(Cells(table, "Ash", (WIDE, HIGH), (0.0, 0.0, 600.0, 600.0), None, "a test"), root / "cells/Ash.parquet")


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("zoom")
    write_root(folder / "root")
    done = run("data_collection/check_spots.py", folder / "root", "--out", folder / "out", "--zoom", "600")
    assert "images that can be zoomed: 2 slides" in done.stdout, done.stderr
    return folder / "out"


@pytest.fixture
def page(out):
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as control:
        browser = control.chromium.launch(executable_path=CHROMIUM, args=OFFLINE)
        page = browser.new_page(viewport={"width": 1366, "height": 900})
        wrong, asked = [], []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: "readback" in message.text or wrong.append(message.text))  # of `ink` itself
        page.on("request", lambda request: asked.append(request.url))
        page.goto((out / "report.html").as_uri())
        open_slide(page, "Ash")
        yield page
        browser.close()
        assert not wrong and all(url.startswith(("file:", "blob:")) for url in asked)


def open_slide(page, name: str) -> None:
    page.click(f"#rows tr:has-text('{name}')")
    page.wait_for_selector("#viewer:not([hidden])")


def settle(page) -> dict:
    """Wait until all is painted, and return where the view is."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.evaluate("Zoom.view")


def on_page(page, x: float, y: float) -> tuple[float, float]:
    """Return where on the page a pixel of the image is."""
    view, box = settle(page), page.locator("#stage").bounding_box()
    return (box["x"] + box["width"] / 2 + (x - view["x"]) * view["scale"],
            box["y"] + box["height"] / 2 + (y - view["y"]) * view["scale"])  # fmt: skip


def ink(page, x: float, y: float) -> tuple[int, ...]:
    """Return the colour (RGBA) that lies on a pixel of the image."""
    box, (left, top) = page.locator("#stage").bounding_box(), on_page(page, x, y)
    script = "([x, y]) => [...document.getElementById('marks-on-it').getContext('2d').getImageData(x, y, 1, 1).data]"
    return tuple(page.evaluate(script, [left - box["x"], top - box["y"]]))


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def alike(found, wanted, by: float = 3) -> bool:
    return bool(np.abs(np.subtract(found[:3], wanted[:3])).max() <= by)


def test_zoom_by_wheel_buttons_and_keys(page):
    first, (x, y) = settle(page), on_page(page, 60, 60)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -240)
    page.wait_for_function(f"Zoom.view.scale > {1.9 * first['scale']}")
    assert on_page(page, 60, 60) == pytest.approx((x, y), abs=1)  # what is under the pointer stays there
    page.focus("#stage")
    page.keyboard.press("-")
    assert settle(page)["scale"] == pytest.approx(first["scale"])
    page.click("#closer")
    assert settle(page)["scale"] == pytest.approx(2 * first["scale"])
    page.click("#whole")
    view, box = settle(page), page.locator("#stage").bounding_box()
    assert (view["x"], view["y"]) == (WIDE / 2, HIGH / 2)
    assert view["scale"] == pytest.approx(min(box["width"] / WIDE, box["height"] / HIGH))


def test_move_by_dragging_and_keys(page):
    (x, y), before = on_page(page, 300, 300), settle(page)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 50, y - 30, steps=3)
    page.mouse.up()
    assert on_page(page, 300, 300) == pytest.approx((x + 50, y - 30), abs=1)
    assert page.inner_text("#spot") == "Click a spot for its name."  # what is dragged is not clicked
    page.focus("#stage")
    page.keyboard.press("ArrowRight")
    assert settle(page)["x"] == pytest.approx(before["x"] + (80 - 50) / before["scale"])


def test_tiles_lie_where_the_image_is(page, tmp_path):
    page.select_option("#layer", "")
    page.click("#whole")
    for closer in (0, 1, 2):
        if closer:
            page.click("#closer")
        at = {side: on_page(page, WIDE / 2 + 15 * side, HIGH / 2) for side in (-1, 1)}
        wanted = {-1: (200, 0, 0), 1: (0, 0, 200)}
        for _ in range(100):  # tiles come when they come
            settle(page)
            page.screenshot(path=tmp_path / "shot.png")
            shot = Image.open(tmp_path / "shot.png").convert("RGB")
            found = {side: shot.getpixel(tuple(map(round, place))) for side, place in at.items()}
            if all(alike(found[side], wanted[side], 30) for side in at):
                break
            page.wait_for_timeout(50)
        assert all(alike(found[side], wanted[side], 30) for side in at), found


def test_a_click_on_a_spot_tells_its_name_and_counts(page):
    x, y, k = places()["2x5"]
    page.mouse.click(*on_page(page, x + 0.7 * R, y))
    said = page.inner_text("#spot")
    assert said.split(" · ")[0] == "2x5" and LABELS[k % 3] in said
    for words in (f"ERBB2, count {k}", "CD3E, count 0", f"total count {k + 1000 * k:,}"):
        assert words in said
    assert "MT-CO1" not in said  # mitochondrial genes are not among those chosen
    page.mouse.click(*on_page(page, x + PITCH / 2, y + PITCH / 2))
    assert page.inner_text("#spot") == "Click a spot for its name."


def test_layers_of_spots(page):
    options = page.locator("#layer option").all_inner_texts()
    assert options[:4] == ["no spots", "outlines of spots", "annotation", "total count"]
    assert sorted(options[4:]) == ["CD3E, count", "ERBB2, count"]
    page.fill("#opacity", "100")
    page.select_option("#layer", label="annotation")
    for spot, colour in (("0x0", OKABE_ITO[0]), ("0x1", OKABE_ITO[1]), ("0x2", "#DDDDDD")):
        x, y, _ = places()[spot]
        assert ink(page, x, y) == (*rgb(colour), 255)
    legend = page.inner_text("#legend")
    assert "stroma 22" in legend and "tumour 21" in legend and "no label 21" in legend
    page.select_option("#layer", label="CD3E, count")
    ends = [np.array(matplotlib.colormaps["viridis"](end)[:3]) * 255 for end in (0.0, 1.0)]
    for spot, end in (("0x1", 0), ("0x2", 1)):
        x, y, _ = places()[spot]
        assert alike(ink(page, x, y), ends[end])
    page.select_option("#layer", label="outlines of spots")
    x, y, _ = places()["3x3"]
    assert ink(page, x, y)[3] == 0 and ink(page, x + R, y)[3] > 0
    page.select_option("#layer", label="no spots")
    assert ink(page, x, y)[3] == 0 and ink(page, x + R, y)[3] == 0


def test_cells_are_switched_on(page):
    assert ink(page, *CELLS[0][:2])[3] == 0
    page.check("#cells")
    for (x, y, _), colour in zip(CELLS, (OKABE_ITO[1], OKABE_ITO[0], "#DDDDDD")):  # by name: connective is the first
        assert ink(page, x, y) == (*rgb(colour), 255)
    assert "neoplastic 1" in page.inner_text("#legend") and "unclassed 1" in page.inner_text("#legend")
    page.click("#next")
    page.wait_for_function("document.getElementById('name').textContent.startsWith('Elm')")
    page.wait_for_selector("#viewer:not([hidden])")
    assert page.locator("#cells-label").is_hidden()
    assert "annotation" not in page.locator("#layer option").all_inner_texts()


@pytest.mark.parametrize("why", ["no layers", "an old browser"])
def test_a_page_that_cannot_zoom_shows_the_picture(out, tmp_path, why):
    playwright = pytest.importorskip("playwright.sync_api")
    gone = ("layers", "tiles") if why == "no layers" else ()
    shutil.copytree(out, tmp_path / "out", ignore=shutil.ignore_patterns(*gone))
    with playwright.sync_playwright() as control:
        browser = control.chromium.launch(executable_path=CHROMIUM, args=OFFLINE)
        page = browser.new_page()
        if why == "an old browser":
            page.add_init_script("delete window.DecompressionStream")
        page.goto((tmp_path / "out/report.html").as_uri())
        page.click("#rows tr:has-text('Ash')")
        page.wait_for_function("document.getElementById('large').naturalWidth > 50")
        assert page.locator("#large").is_visible() and page.locator("#viewer").is_hidden()
        browser.close()


@pytest.mark.parametrize("width", [1366, 390])
def test_the_image_is_no_wider_than_the_window(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    box = page.locator("#stage").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    assert page.evaluate("document.getElementById('detail').scrollWidth") <= width
