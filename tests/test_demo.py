"""`demo.py` as a user runs it: killed and run again, interrupted, on a root of one slide; and its report."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from stimage.demo.choice import SLIDES, choose_slides
from stimage.demo.report import change
from stimage.demo.steps import Step, Steps, run_forked
from stimage.sample import make_sample
from tests.roots import write_slide
from tests.test_scripts import SCRIPTS

LABELLED = {"summary", "retrieval", "probe", "scores", "prediction", "projection"}  # sections, where slides allow them
SECTIONS = {"data", "checks", "genes", "training", "steps"} | LABELLED


class Page(HTMLParser):
    """What a page links to, shows, and has as sections."""

    def __init__(self, path: Path):
        super().__init__()
        self.sections, self.links, self.images = set(), set(), set()
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "section":
            self.sections.add(values["id"])
        self.links |= {values["href"]} if values.get("href", "#")[0] != "#" else set()
        self.images |= {values["src"]} if "src" in values else set()


def start(root: Path, out: Path, *options: str) -> subprocess.Popen:
    command = [sys.executable, str(SCRIPTS / "demo.py"), str(root), "--out", str(out), *options]
    command += ["--override", "epochs=1", "workers=1"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def stop_at(demo: subprocess.Popen, words: str, number: int) -> str:
    """Send a signal to a demo when it has said some words; return all that it says."""
    said = ""
    for line in demo.stdout:
        said += line
        if words in line:
            demo.send_signal(number)
            return said + demo.communicate()[0]
    raise AssertionError(f"never said {words!r}:\n{said}")


def check_page(out: Path) -> Page:
    page = Page(out / "report.html")
    assert page.images and all(image.startswith("data:image/") for image in page.images)
    assert [link for link in page.links if not (out / unquote(urlsplit(link).path)).exists()] == []
    return page


def test_a_killed_demo_goes_on(tmp_path):
    make_sample(tmp_path / "root", genes=300, slides_per_study=2, st_side=4, visium_side=10, hd_side=4)
    slides = ("--slides", "Human_Breast_Sample3_Visium_A1", "Human_Breast_Sample3_Visium_B1")
    out = tmp_path / "out"
    demo = start(tmp_path / "root", out, *slides)
    stop_at(demo, "== 4 of ", signal.SIGKILL)
    assert demo.returncode == -signal.SIGKILL
    before = {name: entry["seconds"] for name, entry in json.loads((out / "demo.json").read_text()).items()}
    finished = {name: seconds for name, seconds in before.items() if seconds is not None}
    assert len(finished) == 3 and not (out / "report.html").exists()

    demo = start(tmp_path / "root", out, *slides)
    said = demo.communicate()[0]
    assert demo.returncode == 0, said
    assert said.count("is there already") == 3 and "left out" not in said
    after = {name: entry["seconds"] for name, entry in json.loads((out / "demo.json").read_text()).items()}
    assert finished.items() <= after.items() and None not in after.values()
    page = check_page(out)
    assert page.sections == SECTIONS and "held out" in page.text
    assert (
        json.loads((out / "panel.json").read_text())["slides"]
        == json.loads((out / "tuned/results.json").read_text())["slides"]["train"]
    )  # the genes are those of the slides that were trained on


def test_one_slide_without_annotation_and_interrupted(tmp_path):
    root, out = tmp_path / "a <b>root</b>", tmp_path / "out"
    write_slide(root, "Slide_#A", "ST", side=8)
    demo = start(root, out)
    said = stop_at(demo, "== 2 of ", signal.SIGINT)
    assert demo.returncode == 130 and "the same command goes on" in said and "Traceback" not in said
    demo = start(root, out)
    said = demo.communicate()[0]
    assert demo.returncode == 0, said
    assert "left out: one slide can't be predicted" in said and "left out: the annotation" in said
    page = check_page(out)
    assert page.sections == SECTIONS - LABELLED
    assert "can&#39;t be predicted from others" in page.text and "<b>root" not in page.text


def test_a_score_that_got_worse_is_called_so():
    assert change(0.3, 0.35) == "better" == change(2.0, 1.5, sign=-1)
    assert change(0.35, 0.3) == "worse" == change(1.5, 2.0, sign=-1)
    assert change(0.3, 0.3049) == change(250.0, 251.0) == change(None, 0.3) == ""
    style = (Path(__file__).parents[1] / "stimage/demo/page/report.css").read_text()
    better, worse = (re.search(rf"td\.{how} {{(.*?)}}", style)[1] for how in ("better", "worse"))
    assert "font-weight: 600" in better and "font-weight" not in worse


def test_what_is_left_out_leaves_nothing_of_before(tmp_path, monkeypatch):
    (tmp_path / "script.py").write_text("import sys; open(sys.argv[1], 'w').close()")
    made = tmp_path / "out/made"
    step = Step("make", (str(tmp_path / "script.py"), str(made)), made)
    Steps(tmp_path / "out").run(step, "1 of 1")
    assert made.exists()
    monkeypatch.chdir(tmp_path / "out")
    Steps(Path()).run(replace(step, left_out="it can't"), "1 of 1")
    assert not made.exists()


def test_an_interruption_while_a_step_begins_is_not_lost(tmp_path, monkeypatch):
    (tmp_path / "script.py").write_text(f"import time; time.sleep(60); open({str(tmp_path / 'slept')!r}, 'w')")
    fork = os.fork

    def interrupted():
        signal.raise_signal(signal.SIGINT)
        return fork()

    monkeypatch.setattr(os, "fork", interrupted)
    before = signal.getsignal(signal.SIGINT)  # of a shell's background it is ignored
    with pytest.raises(KeyboardInterrupt):
        run_forked((str(tmp_path / "script.py"),))
    assert not (tmp_path / "slept").exists() and signal.getsignal(signal.SIGINT) is before


def test_what_is_taken_of_a_root(tmp_path):
    for k in range(SLIDES + 2):
        write_slide(tmp_path, f"Mouse_{k}", "Visium", side=3, seed=k, meta={"species": "mouse", "pmid": f"{k // 2}"})
    write_slide(tmp_path, "Human", "Visium", side=3, meta={"species": "human"})
    choice = choose_slides(tmp_path)
    assert len(choice.slides) == SLIDES and {slide.species for slide in choice.slides} == {"mouse"}
    studies = [{slide.pmid for slide in side} for side in (choice.train, choice.held_out)]
    assert choice.by == "study" and all(studies) and not studies[0] & studies[1]
    assert "name others with --slides" in choice.notes[0]
    assert choose_slides(tmp_path, ["Human"]).held_out == []


@pytest.mark.parametrize("words", [["--slides", "A"], ["no such root"]])
def test_bad_arguments_end_in_one_line(words, tmp_path):
    done = subprocess.run([sys.executable, SCRIPTS / "demo.py", *words, "--out", tmp_path / "out"],
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode in (1, 2) and "error: " in done.stderr and "Traceback" not in done.stderr
