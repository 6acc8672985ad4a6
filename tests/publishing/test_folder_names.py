"""Folders with odd names: what load_dataset takes for a pattern is refused as OUT; all else is written and loads."""

import datasets
import pytest

import stimage
from tests.roots import write_slide

PATTERNS = ("a [2]", "a*", "a?", "[v", "v]", "a::b", "$HOME")
ODD = "My data, {v2} #1 100% & 'more' ~ é"


@pytest.fixture
def root(tmp_path):
    write_slide(tmp_path / "root", "A", "ST", side=2)
    return tmp_path / "root"


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_is_refused_before_anything_is_written(root, tmp_path, name):
    for out in (tmp_path / name, tmp_path / name / "inside"):
        with pytest.raises(ValueError, match=r"load_dataset reads '.+' in a folder's name as a pattern.*another name"):
            stimage.publish(root, out)
    assert not (tmp_path / name).exists()


def test_other_names_load(root, tmp_path):
    published = stimage.publish(root, tmp_path / ODD / "shards")
    for streaming in (True, False):
        spots = datasets.load_dataset(str(published.folder), split="train", streaming=streaming)
        assert len(list(spots)) == 4
    assert stimage.open_root(published.folder).slides[0].name == "A"


@pytest.mark.parametrize("name", [*PATTERNS, ODD])
def test_roots_of_any_name_load(root, tmp_path, name):
    """So do the slides that are added to them, and what is prepared of them."""
    moved = root.rename(tmp_path / name)
    slide = stimage.add_slide(stimage.read_slide(moved, "A"), moved, f"Pat 3, [rep 1] {name.replace('/', '')}")
    for streaming in (True, False):
        spots = datasets.load_dataset("stimage_1k4m", "ST", data_dir=str(moved), split="train", streaming=streaming,
                                      cache_dir=str(tmp_path / f"cache {name}"))  # fmt: skip
        assert {spot["slide"] for spot in spots} == {"A", slide.name}
