"""Streaming slide by slide: the same examples as the builder's, and a root is listed once for all slides."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from inspect import signature
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from datasets.distributed import split_dataset_by_node

from stimage.core import storage
from stimage.core.errors import DataError
from stimage.evaluation.embedding import SlideBatches
from stimage.loading.batches import spot_loader
from stimage.loading.sources import VERIFIED, open_source
from stimage.slides.catalog import Filters
from tests.building import BUILD
from tests.faults import serving
from tests.roots import write_slide
from tests.test_scripts import run

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


def test_a_published_slide_has_its_own_shards_whatever_its_name(tmp_path):
    """datasets takes names of files for patterns: S* was all slides that begin with S, A[1] was A1."""
    names = ["S*", "SX", "A[1]", "A1", "Q?", "QQ"]
    for k, name in enumerate(names):
        write_slide(tmp_path / "root", name, "ST", side=2, seed=k)
    assert run(BUILD, tmp_path / "root", tmp_path / "out").returncode == 0
    (tmp_path / "out").rename(tmp_path / "at[0]")
    with serving(tmp_path) as server:
        for location in (str(tmp_path / "at[0]"), f"{server.url}/at%5B0%5D"):
            source = open_source(location)
            for name in names:
                (slide,) = source.slides(filters=Filters(slides=name))
                assert {e["slide"] for e in source.spots(slide, ["slide"])} == {name}


@pytest.mark.skipif("strategy" not in signature(split_dataset_by_node).parameters, reason="batches need datasets 5.1")
def test_two_readers_at_once_name_their_own_files(tmp_path):
    """datasets names a file in its log, which has no reader's name; of a checksum that differs, it names none."""
    parts = []
    for k, damage in enumerate(("page", "end")):
        write_slide(tmp_path / f"{k}/root", "S", "ST", side=8, seed=k)
        assert run(BUILD, tmp_path / f"{k}/root", tmp_path / f"{k}/out").returncode == 0
        (shard,) = (tmp_path / f"{k}/out").glob("data/*/*/*.parquet")
        data = bytearray(shard.read_bytes())
        column = pq.read_metadata(shard).row_group(0).column(0)
        at = column.data_page_offset + column.total_compressed_size // 2
        data[at] ^= 1
        shard.write_bytes(bytes(data if damage == "page" else data[:-100]))
        parts.append(shard)

    encoder = SimpleNamespace(image_size=8, genes=None, columns=["image"])

    def message(k: int) -> str:
        source = open_source(str(tmp_path / f"{k}/out"))
        (_, error), *_ = SlideBatches(source, source.slides(), 4, encoder)
        return str(error)

    def message_of_batches(k: int) -> str:
        files = [str(parts[k])]
        spots = load_dataset("parquet", data_files=files, split="train", streaming=True, **VERIFIED)
        with pytest.raises(DataError) as error:
            list(spot_loader(spots.shuffle(seed=0), 4, workers=0))
        return str(error.value)

    assert str(parts[0]) in message_of_batches(0)
    with ThreadPoolExecutor(2) as pool:
        for k, told in zip([0, 1] * 4, pool.map(message, [0, 1] * 4)):
            assert str(parts[k]) in told and str(parts[1 - k]) not in told
