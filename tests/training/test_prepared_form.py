"""The form in which patches are prepared for training: not compressed, and the same pixels as any lossless one."""

import numpy as np
import pytest
import torch

import stimage_1k4m
from stimage.training.data.parts import choose_parts
from stimage.training.settings.reading import make_settings
from stimage.training.spots import load_spots
from tests.roots import write_slide


def batch_of(root, size):
    settings = make_settings({"source": str(root), "augment": True, "towers.second": "set", "slides": ["A", "B"]})
    spots, _ = load_spots(settings, choose_parts(settings), size)
    batch, tasks = spots.begin(3, np.random.default_rng(0).permutation(len(spots)))
    for task in tasks:
        task()
    return batch, bytes(spots.table[0:1]["image"][0]["bytes"].as_py())[:2]


@pytest.mark.parametrize("size", [None, 23])
def test_batches_are_those_of_compressed_patches(tmp_path, monkeypatch, size):
    for seed, name in enumerate("AB"):
        write_slide(tmp_path, name, "ST", side=4, seed=seed)
    ours, form = batch_of(tmp_path, size)
    assert form == b"P6"
    load = stimage_1k4m.load
    monkeypatch.setattr(stimage_1k4m, "load", lambda *a, **options: load(*a, **options | {"image_format": "png"}))
    other, form = batch_of(tmp_path, size)
    assert form == b"\x89P"
    assert ours.keys() == other.keys() and all(torch.equal(ours[name], other[name]) for name in ours)
    assert ours["images"].float().std() > 10  # noise, which a wrong place would show
