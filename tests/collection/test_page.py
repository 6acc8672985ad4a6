"""The report as a curator uses it, in headless Chromium and from disk: sort, filter, open, mark, save."""

import csv
import shutil
from pathlib import Path

import pytest

from tests.roots import write_slide
from tests.test_scripts import run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OFFLINE = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
           "--disable-component-update", "--disable-sync"]  # fmt: skip
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH")


@pytest.fixture(scope="module")
def page_file(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    for k, name in enumerate(["Aspen", "Birch", "Cedar<b>", "Doum"]):
        write_slide(folder / "root", name, "Visium" if k == 3 else "ST", side=7, seed=k, meta={"tissue": "wood"})
    (folder / "root/ST/image/Birch.png").unlink()
    assert run("data_collection/check_spots.py", folder / "root", "--out", folder / "out").returncode == 1
    return folder / "out/report.html"


@pytest.fixture
def page(page_file):
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as control:
        browser = control.chromium.launch(executable_path=CHROMIUM, args=OFFLINE)
        page = browser.new_page()
        errors, asked = [], []
        page.on("pageerror", lambda error: errors.append(error))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(page_file.as_uri())
        yield page
        browser.close()
        assert not errors and all(url.startswith(("file:", "blob:")) for url in asked)


def names(page) -> list[str]:
    return [text.splitlines()[0] for text in page.locator("#rows .slide").all_inner_texts()]


def test_sort_and_filter(page):
    assert names(page)[0] == "Birch" and len(names(page)) == 4  # the worst first
    page.click("th button[data-key=slide]")
    assert names(page) == ["Aspen", "Birch", "Cedar<b>", "Doum"]
    page.click("th button[data-key=slide]")
    assert names(page) == ["Doum", "Cedar<b>", "Birch", "Aspen"]
    page.select_option("#tech", "Visium")
    assert names(page) == ["Doum"]
    page.select_option("#tech", "")
    page.select_option("#check", "files")
    assert names(page) == ["Birch"]
    page.select_option("#check", "")
    page.fill("#search", "cedar")
    assert names(page) == ["Cedar<b>"]
    page.fill("#search", "no such")
    assert names(page) == [] and page.locator("#none").is_visible()


def test_pictures_are_loaded_as_they_are_seen(page):
    images = page.locator("#rows img")
    assert images.count() == 3 and {image.get_attribute("loading") for image in images.all()} == {"lazy"}
    assert {image.get_attribute("src").split("/")[0] for image in images.all()} == {"thumbnails"}
    page.wait_for_function("[...document.querySelectorAll('#rows img')].every(i => i.complete && i.naturalWidth > 50)")


def test_mark_comment_and_save(page, tmp_path):
    page.click("#rows tr:has-text('Birch')")
    assert page.locator("#detail").is_visible() and "the image is missing" in page.inner_text("#findings")
    page.click("button[data-mark=reject]")
    page.fill("#comment", 'no "image", lost')
    page.click("#next")
    assert not page.inner_text("#name").startswith("Birch")
    page.click("button[data-mark=accept]")
    accepted = page.inner_text("#name").split(" · ")[0]
    page.keyboard.press("Escape")
    for _ in range(50):  # marks are kept; a busy browser stores them a moment later
        page.reload()
        if "2 marked" in page.inner_text("#summary"):
            break
        page.wait_for_timeout(100)
    assert "2 marked" in page.inner_text("#summary")
    with page.expect_download() as download:
        page.click("#export")
    download.value.save_as(tmp_path / "marks.csv")
    rows = {row["slide"]: row for row in csv.DictReader((tmp_path / "marks.csv").open(newline=""))}
    assert len(rows) == 4 and rows[accepted]["mark"] == "accept"
    assert (rows["Birch"]["mark"], rows["Birch"]["comment"]) == ("reject", 'no "image", lost')
    page.select_option("#mark", "reject")
    assert names(page) == ["Birch"]


def test_keys_open_and_close(page):
    page.locator("#rows tr").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#detail").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#detail").is_hidden()


@pytest.mark.parametrize("width", [1366, 390])
def test_nothing_is_wider_than_the_window(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
