"""A run goes on with the contents that it began with, wherever these lie, and with no others."""

import json
import shutil

import pytest

from tests.training.finetuning import HELD_OUT, finetune

TRAINED = "Human_Breast_Sample3_Visium_A1"


@pytest.fixture
def copied(folder, tuned, tmp_path):
    """A copy of the root, of the panel, and of the run on them."""
    shutil.copytree(folder / "root", tmp_path / "elsewhere/root")
    shutil.copy(folder / "panel.json", tmp_path / "elsewhere/panel.json")
    shutil.copytree(folder / "clip", tmp_path / "elsewhere/clip")
    shutil.copytree(tuned, tmp_path / "run")
    return tmp_path


def again(folder, copied, *overrides):
    moved = copied / "elsewhere"
    return finetune(folder, copied / "run", f"panel={moved}/panel.json", f"towers.image={moved}/clip", *overrides,
                    data=moved / "root")  # fmt: skip


def test_a_moved_root_goes_on(folder, copied):
    done = again(folder, copied, "epochs=3")
    assert done.returncode == 0 and "going on after step" in done.stdout, done.stderr
    contents = json.loads((copied / "run/contents.json").read_text())
    assert contents["parts"] == {"train": [TRAINED], "validation": HELD_OUT, "test": []}
    assert contents["slides"].keys() == {TRAINED, *HELD_OUT}
    assert contents["slides"][TRAINED].keys() == {"coord", "counts", "image"}
    assert json.loads((copied / "run/model/contents.json").read_text()) == contents
    assert json.loads((copied / "run/results.json").read_text())["contents"] == contents


def reverse_panel(moved):
    panel = json.loads((moved / "panel.json").read_text())
    (moved / "panel.json").write_text(json.dumps(panel | {"genes": panel["genes"][::-1]}))


def change(name):
    def changed(moved):
        path = next(moved.rglob(name))
        data = bytearray(path.read_bytes())
        data[-20] ^= 1  # the size stays
        path.write_bytes(data)

    return changed


@pytest.mark.parametrize(
    ("spoil", "overrides", "message"),
    [(reverse_panel, [], "data.panel holds something else than it did"),
     (change(f"{TRAINED}_count.csv"), [], f"slide {TRAINED} has other counts than it had"),
     (change(f"{HELD_OUT[0]}_coord.csv"), [], f"slide {HELD_OUT[0]} has other coord than it had"),
     (change(f"{TRAINED}.png"), [], f"slide {TRAINED} has other image than it had"),
     (change("model.safetensors"), [], "the checkpoint towers.image has other weights than it had"),
     (lambda moved: (moved / "root/splits.csv").write_text(f"slide,split\n{TRAINED},test\n{HELD_OUT[0]},train\n"),
      ["validation_slides=null"], "has a run with data.validation_slides"),
     (lambda moved: (moved.parent / "run/contents.json").write_text("{"), [], "contents.json: is damaged"),
     (lambda moved: (moved.parent / "run/contents.json").write_text('{"version": "x"}'), [], "contents.json: is damag"),
     (lambda moved: (moved.parent / "run/contents.json").write_text(
         '{"version": 9, "parts": {}, "files": {}, "slides": {}, "checkpoint": null}'), [], "by another version")],
)  # fmt: skip
def test_other_contents_are_refused_by_name(folder, copied, spoil, overrides, message):
    spoil(copied / "elsewhere")
    before = (copied / "run/contents.json").read_bytes()
    done = again(folder, copied, *overrides)
    assert done.returncode == 1 and message in done.stderr and "pass another out= (--out)" in done.stderr
    assert "Traceback" not in done.stderr and (copied / "run/contents.json").read_bytes() == before


def test_a_run_from_before_there_were_notes_goes_on(folder, copied):
    (copied / "run/contents.json").unlink()
    done = again(folder, copied)
    assert done.returncode == 1 and "has a run with data.source" in done.stderr  # nothing says that it is the same
    done = finetune(folder, copied / "run")
    assert done.returncode == 0, done.stderr
    assert (copied / "run/contents.json").exists()
