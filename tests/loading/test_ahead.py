"""Batches made ahead: each spot once, nothing overwritten, no thread left, and the same batches after a stop."""

import gc
import json
import threading
from inspect import signature

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset, load_dataset
from datasets.distributed import split_dataset_by_node
from hypothesis import given, settings
from hypothesis import strategies as st

import stimage_1k4m
from stimage.core.errors import DataError
from stimage.examples.image_formats import encoder
from stimage.loading.ahead import AheadLoader, Batches, Memory
from stimage.loading.batches import spot_loader
from tests.roots import write_slide

if "strategy" not in signature(split_dataset_by_node).parameters:
    pytest.skip("batches need datasets 5.1", allow_module_level=True)

SIDE = 8
ENCODE = {name: encoder(name) for name in ("png", "jpeg")}


def spots_of(n: int, form: str = "png") -> Dataset:
    """Make spots: the image and counts of spot i are all i."""
    images = [ENCODE[form](np.full((SIDE, SIDE, 3), i, np.uint8)) for i in range(n)]
    rows = [
        {"spot_id": f"S_{i}", "slide": f"S{i % 3}", "annotation": None, "image": {"bytes": images[i], "path": None},
         "gene_ids": [*range(i % 4)], "counts": [float(i)] * (i % 4)}
        for i in range(n)
    ]  # fmt: skip
    return Dataset.from_list(rows, features=FEATURES)


@pytest.fixture(scope="module", autouse=True)
def features(tmp_path_factory):
    global FEATURES
    root = tmp_path_factory.mktemp("features")
    write_slide(root, "S", "ST", side=2)
    wanted = ("spot_id", "slide", "annotation", "image", "gene_ids", "counts")
    FEATURES = stimage_1k4m.load("ST", root, columns=list(wanted)).features


def hold(batches) -> list[str]:
    """Return the spots, after a look at what each batch says of them."""
    spots = []
    for batch in batches:
        numbers = [int(spot.split("_")[1]) for spot in batch.spot_ids]
        for k, i in enumerate(numbers):
            part = slice(batch.offsets[k], batch.offsets[k + 1])
            assert (batch.images[k] == i).all() and batch.counts[part].tolist() == [i] * (i % 4)
            assert batch.gene_ids[part].tolist() == [*range(i % 4)]
        spots += batch.spot_ids
    return spots


def left() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("stimage")]


@given(n=st.integers(1, 60), shards=st.integers(1, 7), size=st.integers(1, 20), ranks=st.integers(1, 3),
       shuffled=st.booleans(), drop_last=st.booleans())  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_each_spot_comes_once(n, shards, size, ranks, shuffled, drop_last):
    data = spots_of(n).to_iterable_dataset(num_shards=min(shards, n))
    data = data.shuffle(seed=0, buffer_size=5) if shuffled else data
    found = []
    for rank in range(ranks):
        batches = list(spot_loader(split_dataset_by_node(data, rank, ranks), size, 0, drop_last=drop_last))
        assert {len(batch) for batch in (batches if drop_last else batches[:-1])} <= {size}
        found += hold(batches)
    assert len(found) == len(set(found)) and set(found) <= {f"S_{i}" for i in range(n)}
    assert drop_last or len(found) == n
    assert n - len(found) < size * ranks


@given(n=st.integers(1, 40), size=st.integers(1, 9), shuffled=st.booleans(), epoch=st.integers(0, 2))
@settings(max_examples=30, deadline=None)
def test_goes_on_after_any_batch(n, size, shuffled, epoch):
    data = spots_of(n).to_iterable_dataset(num_shards=min(3, n))
    data = data.shuffle(seed=0, buffer_size=5) if shuffled else data

    def loader():
        return spot_loader(data, size, 0)

    first = loader()
    first.dataset.set_epoch(epoch)
    whole, states = [], [json.dumps(first.state_dict())]
    for batch in first:
        whole.append(batch.spot_ids)
        states.append(json.dumps(first.state_dict()))
    for k, state in enumerate(states):
        other = loader()
        other.load_state_dict(json.loads(state))
        assert [batch.spot_ids for batch in other] == whole[k:]
        assert [batch.spot_ids for batch in other] == whole  # the pass after is a whole one


@pytest.mark.parametrize("workers", [2, 3])
def test_goes_on_with_processes(workers):
    data = spots_of(23).to_iterable_dataset(num_shards=4).shuffle(seed=3, buffer_size=4)
    first = spot_loader(data, 3, workers)
    whole, states = [], [first.state_dict()]
    for batch in first:
        whole.append(batch.spot_ids)
        states.append(first.state_dict())
    assert sorted(spot for spots in whole for spot in spots) == sorted(f"S_{i}" for i in range(23))
    for k in (1, 2, len(whole) // 2, len(whole) - 1):
        other = spot_loader(data, 3, workers)
        other.load_state_dict(states[k])
        assert [batch.spot_ids for batch in other] == whole[k:]


@pytest.mark.parametrize("workers", [0, 2])
def test_goes_on_in_a_stateful_loader(workers):
    loaders = pytest.importorskip("torchdata.stateful_dataloader")
    data = spots_of(23).to_iterable_dataset(num_shards=4)

    def loader():
        return loaders.StatefulDataLoader(spot_loader(data, 3, 0).dataset, batch_size=None, num_workers=workers)

    whole = [batch.spot_ids for batch in loader()]
    first, rest = loader(), loader()
    batches = iter(first)
    seen = [next(batches).spot_ids for _ in range(3)]
    rest.load_state_dict(first.state_dict())
    assert seen + [batch.spot_ids for batch in rest] == whole


def test_a_state_of_another_loader_is_refused():
    data = spots_of(9).to_iterable_dataset(num_shards=2)
    state = spot_loader(data, 3, 0).state_dict()
    with pytest.raises(ValueError, match="batch_size: was 3 where the loader stopped, but is 4; make it 3 again"):
        spot_loader(data, 4, 0).load_state_dict(state)
    with pytest.raises(ValueError, match="workers: was 1 where the loader stopped, but is 2"):
        spot_loader(data, 3, 2).load_state_dict(state)
    for other in ({"x": 1}, None, [], {}):
        with pytest.raises(ValueError, match=r"pass what state_dict\(\) of a spot_loader returned"):
            spot_loader(data, 3, 0).load_state_dict(other)


@pytest.mark.parametrize("form", ["png", "jpeg"])
def test_what_is_kept_is_not_overwritten(form):
    data = spots_of(60, form)
    assert len(hold(list(spot_loader(data, 4, 0)))) == 60
    kept, views, arrays = [], [], []
    for k, batch in enumerate(spot_loader(data, 4, 0)):  # some batches are dropped, of others a part is kept
        if k % 3 == 0:
            kept.append(batch)
        elif k % 3 == 1:
            views.append((4 * k + 1, batch.images[1, 2:4]))
        else:
            arrays.append((4 * k + 3, batch.images.numpy()[3], batch.counts.numpy()[-1:]))
    assert len(hold(kept)) == 20
    assert all((view == i).all() for i, view in views)
    assert all((image == i).all() and (counts == i).all() for i, image, counts in arrays)


def test_memory_is_used_again_when_nothing_refers_to_it():
    memory, kind = Memory(), np.dtype(np.uint8)
    first = memory.empty((100, 10), kind)
    place = first.data_ptr()
    part = first[3:]
    del first
    second = memory.empty((100, 10), kind)
    assert second.data_ptr() != place
    del part
    gc.collect()
    assert memory.empty((90, 10), kind).data_ptr() == place  # of the same power of two


def test_counts_may_be_changed_in_place():
    for batch in spot_loader(spots_of(20), 4, 0):
        batch.counts.log1p_()
        batch.images.zero_()
    assert len(hold(spot_loader(spots_of(20), 4, 0))) == 20


def test_no_thread_is_left():
    data, before = spots_of(40), left()
    for _ in spot_loader(data, 4, 0):
        assert len(left()) > len(before)
        break
    assert left() == before
    batches = iter(spot_loader(data, 4, 0))
    next(batches)
    del batches
    assert left() == before
    assert len(list(spot_loader(data, 4, 0))) == 10
    assert left() == before


@pytest.mark.parametrize("at", [0, 7, 29])
def test_an_error_of_a_thread_names_the_spot(at):
    rows, before = list(spots_of(30).with_format("arrow")[:].to_pylist()), left()
    rows[at]["image"]["bytes"] = rows[at]["image"]["bytes"][:40]
    data = Dataset.from_list(rows, features=FEATURES)
    batches = iter(spot_loader(data, 4, 0))
    for _ in range(at // 4):
        next(batches)
    with pytest.raises(DataError, match=f"spot S_{at}: its image is damaged"):
        next(batches)
    assert left() == before


def test_images_alone_and_counts_alone():
    data = spots_of(9)
    (batch,) = spot_loader(data.remove_columns(["gene_ids", "counts"]), 9, 0)
    assert batch.images.shape == (9, SIDE, SIDE, 3) and batch.counts is batch.gene_ids is batch.offsets is None
    (batch,) = spot_loader(data.remove_columns("image"), 9, 0)
    assert batch.images.shape == (9, 0, 0, 3) and batch.counts.sum() == sum(i * (i % 4) for i in range(9))


def test_processes_are_for_a_streamed_root(tmp_path):
    write_slide(tmp_path / "root", "S", "ST", side=3)
    streamed, prepared = (stimage_1k4m.load("ST", tmp_path / "root", streaming=s) for s in (True, False))
    assert spot_loader(streamed, 4).num_workers > 0 == spot_loader(prepared, 4).num_workers
    pa.parquet.write_table(spots_of(3).data.table, tmp_path / "a.parquet")
    shards = load_dataset("parquet", data_files=str(tmp_path / "a.parquet"), split="train", streaming=True)
    assert spot_loader(shards, 4).num_workers == 0


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_is_the_same_from_a_process(workers):
    """torch would put "Caught DataError in DataLoader worker process 0" and a traceback before the message."""
    with pytest.raises(DataError) as told:
        list(AheadLoader(Broken(), workers))
    assert str(told.value) == "a.csv: line 2 has no r" and type(told.value) is DataError


class Broken(Batches):
    """One batch, and an error."""

    def begin(self, memory, worker, workers):
        yield 1, []
        raise DataError("a.csv: line 2 has no r")
