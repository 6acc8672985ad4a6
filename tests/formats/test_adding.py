"""A slide is added whole or not at all: what is bad is refused before, and a kill leaves the root before or after."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stimage.core.errors import DataError
from stimage.core.files import listed
from stimage.core.together import READY, not_in_place
from stimage.formats.adding import write_slide
from stimage.genes.vocabulary import load_vocabulary, write_vocabulary
from stimage.slides.catalog import Filters, read_catalog
from stimage.slides.meta_file import MetaRow
from stimage.slides.spots import open_spots
from tests.faults import serving
from tests.formats.killed import imported


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file() and p.name != ".lock"
    }


@pytest.fixture
def root(tmp_path) -> Path:
    """A root with the slide Mine, another one, and a vocabulary."""
    write_slide(imported(1), tmp_path / "root", MetaRow("Mine", "human"))
    write_slide(imported(2), tmp_path / "root", MetaRow("Other", "mouse"))
    write_vocabulary(tmp_path / "root/genes.parquet", ["KRT8", "ERBB2", "NEW1", "NEW2"])
    return tmp_path / "root"


@pytest.mark.slow
def test_a_kill_at_any_write_leaves_the_root_before_or_after(root, tmp_path):
    """As readers see it who come next; and adding it again leaves nothing of what was killed."""
    before = contents(root)
    script = Path(__file__).with_name("killed.py")
    run = subprocess.run(
        [sys.executable, script, "add", root, tmp_path / "killed"], capture_output=True, text=True, check=True
    )
    assert not run.stderr
    roots = sorted((tmp_path / "killed").iterdir(), key=lambda path: int(path.name))
    after = contents(roots.pop())
    assert len(roots) > 20 and before.keys() == after.keys() and before != after
    whole = []
    for one in roots:
        assert [slide.name for slide in read_catalog(str(one)).select(Filters())] == ["Mine", "Other"]
        seen = {name: text for name, text in contents(one).items() if not name.startswith(".")}
        assert seen in (before, after)
        whole.append(seen == after)
        write_slide(imported(), one, MetaRow("Mine"))
        assert contents(one) == after
    assert whole == sorted(whole) and 0 < sum(whole) < len(whole)


@pytest.mark.parametrize("name", ["Mine", "New"])
def test_a_root_that_cannot_be_written_is_read(root, monkeypatch, caplog, name):
    """Where an adding was cut off: as it was before, but that a slide of which only some files are new is left out."""
    before = spots_of(root)
    with pytest.raises(DataError, match="cut off"), monkeypatch.context() as cut:
        cut.setattr(Path, "replace", read_only(Path.replace))
        write_slide(imported(7), root, MetaRow(name))
    files = [path.relative_to(root / READY) for path in listed(root / READY, "**/*") if path.is_file()]
    assert [path.parent.name for path in files] == ["coord", "gene_exp", "image", "annotation", "", "meta"]
    monkeypatch.setattr(Path, "replace", read_only(Path.replace))
    assert spots_of(root) == before and "it is read as it is" in caplog.text
    for file in files[:3]:  # one more came to its place before the kill
        os.replace(root / READY / file, root / file)
        caplog.clear()
        whole = file == files[2] and name == "Mine"
        assert spots_of(root).keys() == {"Mine", "Other"} - (set() if whole or name == "New" else {"Mine"})
        assert whole or f"slide {name} is left out: its adding was cut off half-way" in caplog.text
    with serving(root) as server:
        assert "Other" in {slide.name for slide in read_catalog(server.url).slides}


def spots_of(root: Path) -> dict[str, list[str]]:
    return {slide.name: open_spots(slide).ids.to_pylist() for slide in read_catalog(str(root)).select()}


def read_only(replace):
    """Return what moves files on a disk from which ``.ready`` can only be read."""

    def refuse(path: Path, target: Path) -> Path:
        if READY in path.parts:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return replace(path, target)

    return refuse


@pytest.mark.slow
def test_three_at_once_are_three_slides(root):
    script = (
        "import sys; from pathlib import Path; from stimage.formats.adding import write_slide\n"
        "from stimage.slides.meta_file import MetaRow; from tests.formats.killed import imported\n"
        "write_slide(imported(int(sys.argv[2])), Path(sys.argv[1]), MetaRow('Slide_' + sys.argv[2]))"
    )
    runs = [subprocess.Popen([sys.executable, "-c", script, root, str(k)]) for k in (3, 4, 5)]
    assert [run.wait() for run in runs] == [0, 0, 0]
    slides = read_catalog(str(root)).select(Filters())
    assert [slide.name for slide in slides] == ["Mine", "Other", "Slide_3", "Slide_4", "Slide_5"]
    assert [len(open_spots(slide)) for slide in slides] == [9] * 5
    names = load_vocabulary(str(root / "genes.parquet")).names
    assert names[:4] == ("KRT8", "ERBB2", "NEW1", "NEW2") and set(names[4:]) == {"NEW3", "NEW4", "NEW5"}
    assert {path.name for path in root.rglob(".*")} == {".lock"}


X = np.arange(9.0)
BAD = {
    "1 of 9 spots have no place, such as '7A4-1'": {"x": np.where(X == 4, np.nan, 20.0)},
    "has spot 'A' 2 times": {"barcodes": ["A", "A", *"BCDEFGH"]},
    "a spot's radius is nan pixels": {"r": float("nan")},
    "has 0 spots": {"barcodes": [], "x": X[:0], "y": X[:0]},
    "places for 3 spots": {"barcodes": [*"ABC"]},
    "does not show all spots: it is 90 x 90 pixels": {"x": np.where(X == 4, 500, 20.0)},
    "is not the image that the positions are of": {"x": X + 500},
    "cut.png: is damaged or cut off": {"image": Path("cut.png")},
    "lost.png: cannot be read": {"image": Path("lost.png")},
}


@pytest.mark.parametrize("message", BAD)
def test_what_is_bad_leaves_the_good_slide(root, tmp_path, monkeypatch, message):
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8)
    Image.fromarray(noise).save("whole.png")
    Path("cut.png").write_bytes(Path("whole.png").read_bytes()[:-9000])
    before = contents(root)
    with pytest.raises((DataError, ValueError), match=message):
        write_slide(imported(**BAD[message]), root, MetaRow("Mine"))
    assert contents(root) == before


def test_an_image_of_its_own_root(root):
    """Its pixels stay when the slide is added again with its image in the root."""
    image = root / "ST/image/Mine.png"
    before = image.read_bytes()
    write_slide(imported(image=image), root, MetaRow("Mine"))
    assert image.read_bytes() == before


def test_what_another_process_is_placing_is_no_unfinished_adding(root, monkeypatch):
    """Its files go while they are listed; a reader takes the root as it is at that moment."""
    place = root / ".ready/ST/coord/New_coord.csv"
    place.parent.mkdir(parents=True)
    place.touch()
    monkeypatch.setattr("stimage.core.together.finish_placing", lambda root: None)  # the other one has ended meanwhile
    assert [slide.name for slide in read_catalog(str(root)).select(Filters())] == ["Mine", "Other"]
    assert not_in_place(root) == set()


def test_another_form_of_counts_on_a_root_that_cannot_be_written(root, monkeypatch):
    """Cut off before the new counts are there, while the old ones are still beside them, and at each step between."""
    write_slide(imported(7), root, MetaRow("Mine"), "csv")
    before = spots_of(root)
    with pytest.raises(DataError, match="cut off"), monkeypatch.context() as cut:
        cut.setattr(Path, "replace", read_only(Path.replace))
        write_slide(imported(7), root, MetaRow("Mine"))
    monkeypatch.setattr(Path, "replace", read_only(Path.replace))
    monkeypatch.setattr(Path, "unlink", lambda path, **_: read_only(None)(root / READY / path.name, path))
    forms = lambda: {slide.name: Path(slide.counts).suffix for slide in read_catalog(str(root)).select()}  # noqa: E731
    assert spots_of(root) == before and forms()["Mine"] == ".csv"
    for file in [path for path in listed(root / READY, "**/*") if path.is_file()]:
        os.replace(file, root / file.relative_to(root / READY))
        assert "Other" in spots_of(root) and forms().get("Mine") in (None, ".h5")
    assert spots_of(root) == before and forms()["Mine"] == ".h5"
    assert (root / "ST/gene_exp/Mine_count.csv").exists()
    monkeypatch.undo()
    assert spots_of(root) == before and not (root / "ST/gene_exp/Mine_count.csv").exists()
