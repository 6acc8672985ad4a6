"""Spots that other processes prepare beside a run: the same spots, the same errors, and no process is left."""

import multiprocessing

import datasets
import numpy as np
import pytest
import torch

from stimage.core.errors import DataError
from stimage.training.data import beside
from stimage.training.data.parts import choose_parts
from stimage.training.data.preparing import prepare_root
from stimage.training.settings.reading import make_settings
from stimage.training.spots import load_spots
from tests.roots import write_slide


@pytest.fixture
def settings(tmp_path):
    """Settings of three small slides, which count as many."""
    for seed, name in enumerate("ABC"):
        write_slide(tmp_path / "root", name, "ST", side=3, seed=seed)
    return make_settings({"source": str(tmp_path / "root"), "towers.second": "set", "slides": ["A", "B", "C"]})


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of the test's own, here and in processes that are started."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def first_batch(settings):
    spots, _ = load_spots(settings, choose_parts(settings))
    batch, tasks = spots.begin(0, np.arange(len(spots))[::-1])
    for task in tasks:
        task()
    return batch


def wait_for_children():
    children = multiprocessing.active_children()
    for child in children:
        child.join()
    return len(children)


def test_what_is_prepared_beside_is_taken_as_it_is(settings, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(beside, "MUCH", 0)
    with beside.prepared_beside(settings):
        assert wait_for_children() == 1
        with monkeypatch.context() as patch:  # this process may not prepare
            patch.delattr(datasets.ArrowBasedBuilder, "_prepare_split")
            found = first_batch(settings)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "other")
    alone = first_batch(settings)
    assert found.keys() == alone.keys() and all(torch.equal(found[name], alone[name]) for name in alone)
    assert found["images"].float().std() > 10


def test_any_number_of_processes_prepares_the_same(settings, tmp_path, monkeypatch):
    parts, tables = choose_parts(settings), []
    for processes in (None, 2):
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / str(processes))
        tables.append(next(iter(prepare_root(settings, parts, processes))).with_format("arrow")[:])
    assert tables[0].equals(tables[1]) and tables[0]["slide"].unique().to_pylist() == ["A", "B", "C"]


def test_what_can_not_be_prepared_is_told_once_by_the_run(settings, cache, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(beside, "MUCH", 0)
    path = next((tmp_path / "root/ST/gene_exp").glob("B_count.csv"))
    path.write_text(path.read_text().replace(",0", ",x", 1))
    with beside.prepared_beside(settings):
        wait_for_children()
        assert capfd.readouterr() == ("", "")
        with pytest.raises(DataError, match=r"B_count\.csv: line .* 'x.*' is no count"):
            first_batch(settings)
    assert not multiprocessing.active_children()


def test_processes_end_with_a_run_that_fails(settings, cache, monkeypatch):
    monkeypatch.setattr(beside, "MUCH", 0)
    with pytest.raises(DataError, match="of the run"), beside.prepared_beside(settings):
        assert multiprocessing.active_children()
        raise DataError("of the run")
    assert not multiprocessing.active_children()


def test_few_spots_start_no_process(settings, tmp_path):
    (tmp_path / "root/ST/gene_exp/X_count.csv").symlink_to(tmp_path / "nowhere")  # of a slide that is not asked for
    with beside.prepared_beside(settings):
        assert not multiprocessing.active_children()
