"""Spots shared between shards, ranks and workers: each comes once."""

import pickle

import pytest
from datasets.distributed import split_dataset_by_node

import stimage_1k4m
from tests.test_builder import ids, stream


def test_huge_slides_are_cut_in_ranges(many, monkeypatch):
    want = ids(stream(many))
    monkeypatch.setattr(stimage_1k4m, "SPOTS_PER_SHARD", 10)
    dataset = stream(many)
    assert dataset.num_shards > 15 and ids(dataset) == want
    if not hasattr(dataset, "reshard"):
        pytest.skip("datasets cuts shards no finer before version 4")
    monkeypatch.setattr(stimage_1k4m, "SPOTS_PER_FINE_SHARD", 3)
    finer = dataset.reshard()
    assert finer.num_shards > 40 and ids(finer) == want


@pytest.mark.parametrize("world", [2, 3, 6, 8])
def test_ranks_share_the_spots(many, world):
    parts = [ids(split_dataset_by_node(stream(many), rank, world)) for rank in range(world)]
    assert sorted(spot for part in parts for spot in part) == sorted(ids(stream(many)))


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_workers_share_the_spots(many, workers):
    loaders = pytest.importorskip("torch.utils.data")
    dataset = stream(many)
    want = ids(dataset)  # the parent has read before its workers are forked
    loader = loaders.DataLoader(dataset, num_workers=workers, batch_size=None)
    assert sorted(e["spot_id"] for e in loader) == sorted(want)


def test_pickles(many):
    dataset = stream(many)
    assert ids(pickle.loads(pickle.dumps(dataset))) == ids(dataset)
