"""Streaming slide by slide: the same examples as the builder's, and a root is listed once for all slides."""

from collections import Counter

from datasets import load_dataset

from stimage.modeling.sources import open_source
from stimage.slides import storage
from tests.roots import write_slide

COLUMNS = ["spot_id", "slide", "annotation", "image"]


def test_a_root_is_listed_once_whatever_the_number_of_slides(tmp_path, monkeypatch):
    for k in range(5):
        write_slide(tmp_path, f"S{k}", "ST", side=3 + k, seed=k)
    whole = load_dataset("stimage_1k4m", "ST", data_dir=str(tmp_path), split="train", streaming=True)
    want = [{name: e[name] for name in COLUMNS} for e in whole]
    listed, list_local = Counter(), storage._list_local

    def counting(folder: str) -> dict:
        listed[folder] += 1
        return list_local(folder)

    monkeypatch.setattr(storage, "_list_local", counting)
    source = open_source(str(tmp_path), patch="original", on_mismatch="error")
    got = [example for slide in source.slides(("ST",)) for example in source.spots(slide, COLUMNS)]
    assert got == want and list(got[0]) == COLUMNS
    assert listed and max(listed.values()) == 1
