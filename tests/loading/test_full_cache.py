"""A full cache is to blame where the spots of a published folder are prepared in it, and not the folder."""

import errno
import os
from unittest.mock import Mock

import datasets
import pytest
from datasets.arrow_writer import ArrowWriter

import stimage
import stimage_1k4m
from stimage.core.errors import OutputError
from stimage.training.data.parts import choose_parts
from stimage.training.settings.reading import make_settings
from stimage.training.spots import load_spots
from tests.roots import write_slide


def test_the_cache_is_named(tmp_path, monkeypatch):
    cache, folder = tmp_path / "cache", tmp_path / "published"
    write_slide(tmp_path / "root", "S0", "ST", side=3)
    stimage.publish(tmp_path / "root", folder)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(cache))
    settings = make_settings({"source": str(folder), "towers.second": "set"})
    parts, full = choose_parts(settings), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with monkeypatch.context() as disk:
        disk.setattr(ArrowWriter, "write_table", Mock(side_effect=full))
        for load in (lambda: stimage_1k4m.load("ST", folder, streaming=False), lambda: load_spots(settings, parts)):
            with pytest.raises(OutputError, match=f"^{cache}: cannot be written .No space .* set HF_DATASETS_CACHE to"):
                load()
    assert len(load_spots(settings, parts)[0]) == 9
