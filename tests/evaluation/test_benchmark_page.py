"""The page of a benchmark: what it says, that it needs nothing else, and how it fits a laptop and a phone."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stimage.evaluation.results import write_scores
from stimage.jobs.benchmarks.naming import short_names
from stimage.jobs.benchmarks.page.charts import chart_of, ticks_of
from stimage.jobs.benchmarks.page.writing import NEEDED, write_page
from stimage.scores.intervals import mean_interval

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ENCODERS = ["uni2-h", "untrained:uni2-h", "<b>bold</b>"]


@pytest.fixture(scope="module")
def page_file(tmp_path_factory) -> Path:
    """A page of two tasks, of eight units and of two, three encoders and a baseline."""
    out, rows = tmp_path_factory.mktemp("page"), []
    for task, units in (("expression", 8), ("labels", 2)):
        for unit in range(units):
            for k, name in enumerate([*ENCODERS, "gene mean"]):
                value = 0.4 - k / 10 + unit / 100
                interval = {"value": value, "low": value - 0.05, "high": value + 0.05, "groups": 7,
                            "without": {str(group): value + group / 1000 for group in range(7)}}  # fmt: skip
                found = {"pooled": {"pearson": value, "intervals": {"pearson": interval}}}
                place = write_scores(out / task / str(unit) / str(k), "expression/fixed", 1, {"a": 1},
                                     {"sha256": "x", "model": f"{name}@1234", "dimensions": 8, "seen": "unknown"}, [0],
                                     ["numpy"], 1.0, {}, found)  # fmt: skip
                ends = (value - 0.05, value + 0.05, 7) if task == "expression" else (None, None, 3)
                share = value / 0.8 if task == "expression" else None
                rows.append(
                    (task, f"u{unit}", f"u{unit}", name, "pooled.pearson", value, *ends, share, str(place.parent))
                )
    return write_page(pd.DataFrame(rows, columns=list(NEEDED)), ENCODERS, out, "tasks on ROOT")


def test_the_page_says_what_can_be_told(page_file):
    text = page_file.read_text()
    assert "8 groups of units" in text and "too few groups to tell (2; 6 are needed)" in text
    assert "54% of the ceiling" in text and "untrained uni2-h" in text and "expression/fixed 1" in text
    assert "&lt;b&gt;bold&lt;/b&gt;" in text and "<b>" not in text
    assert not re.search(r"(src|href)=\"(?!#)", text) and "http" not in text
    means = [float(x) for x in re.findall(r"<strong>([\d.]+)</strong>", text)]
    assert means[:4] == sorted(means[:4], reverse=True) and means[0] == pytest.approx(0.435)


def test_differences_are_to_the_first_that_has_a_figure_and_what_was_seen_is_of_all_units(tmp_path):
    rows, none = [], {"trained": [], "validation": [], "panel": []}
    for task, names in (("labels", "abc"), ("retrieval", "bc")):
        for unit, seen in (("brain", none), ("skin", none | {"trained": ["S1", "S2"]})):
            for name in "abc":
                value = {"b": 0.1, "c": 0.3}.get(name, 0.7)
                interval = {"value": value, "low": None, "high": None, "groups": 2, "without": {"x": value, "y": value}}
                place = write_scores(tmp_path / task / unit / name, task, 1, {"unit": unit}, {"seen": seen}, [], [], 1,
                                     {}, {"r": value, "intervals": {"r": interval}}).parent  # fmt: skip
                found = (value, None, None, 2, None, str(place)) if name in names else (*[None] * 5, "")
                rows.append((task, unit, unit, name, "r", *found))
    text = write_page(pd.DataFrame(rows, columns=list(NEEDED)), list("abc"), tmp_path, "both").read_text()
    labels, retrieval = (re.search(rf'id="task-{k}".*?</section>', text, re.DOTALL)[0] for k in (1, 2))
    assert "Above a, over units" in labels and "-0.600" in labels and "-0.400" in labels
    assert "Above b, over units" in retrieval and "+0.200" in retrieval and "Above a" not in retrieval
    assert text.count("2 trained on") == 3
    assert re.search(r"<td>labels 1</td><td><code>\w{12}, \w{12}</code>", text)  # of both units


def test_places_in_a_chart_are_of_its_axis():
    values = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    interval = mean_interval(values, list("abcdef"))
    few = mean_interval(values[:2], list("ab"))
    chart = chart_of([{"mean": 0.35, "interval": interval, "values": values.tolist()},
                      {"mean": 0.15, "interval": few, "values": [0.15]}])  # fmt: skip
    ends = {words: place for place, words in chart["ticks"]}
    assert ends["0"] == 0 and max(ends.values()) == 100
    bar, alone = chart["bars"]
    low, top = (float(words) for words in (min(ends, key=ends.get), max(ends, key=ends.get)))
    assert bar["mean"] == pytest.approx(100 * (0.35 - low) / (top - low), abs=0.01)
    assert bar["width"] == pytest.approx(100 * (interval["high"] - interval["low"]) / (top - low), abs=0.02)
    assert alone["low"] is None and alone["units"] == []


@pytest.mark.parametrize(("low", "high", "ticks"), [
    (0, 0.43, [0, 0.1, 0.2, 0.3, 0.4, 0.5]),
    (-0.03, 0.2, [-0.05, 0, 0.05, 0.1, 0.15, 0.2]),
    (0, 0, [0, 1e-9]),
])  # fmt: skip
def test_ticks_are_round_and_hold_all_values(low, high, ticks):
    found = ticks_of(low, high)
    assert found[0] <= low and found[-1] >= high and len(found) < 12
    assert found == pytest.approx(ticks) or high == 0


def test_paths_are_called_by_what_tells_them_apart(tmp_path):
    for name in ("a/model", "b/model", "c/other"):
        (tmp_path / name).mkdir(parents=True)
    a, b, other = (str(tmp_path / name) for name in ("a/model", "b/model", "c/other"))
    found = short_names([a, b, other, f"untrained:{a}", "openai/clip"])
    assert list(found.values()) == ["a/model", "b/model", "other", "untrained a/model", "openai/clip"]


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH")
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_screen(page_file, width):
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as control:
        browser = control.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.goto(page_file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == width
        names, bars = page.locator(".row .name"), page.locator(".row:not(.axis) .track")
        assert bars.count() > 10 and names.first.inner_text() == "uni2-h"
        assert page.evaluate("Math.min(...[...document.querySelectorAll('.track')].map(t => t.clientWidth))") > 200
        browser.close()
