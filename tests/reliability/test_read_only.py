"""Read-only roots and caches: what only reads works, and what writes says where, and how to write elsewhere."""

import os
import subprocess

import datasets
import pytest

import stimage_1k4m
from stimage.core.errors import DataError
from tests.nuclei import UM, Nuclei, cellvit, write, write_root
from tests.reliability.scripts import call, in_this_process  # noqa: F401

SIZE = 16 << 20
pytestmark = [
    pytest.mark.usefixtures("in_this_process"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system"),
]
READ = {
    "count_cells": ("data_process/count_cells.py",),
    "show_cells": ("data_process/show_cells.py", "--slide", "Slide_A"),
    "export_pyramid": ("data_process/export_pyramid.py", "--um-per-px", UM),
    "export_slides": ("data_process/export_slides.py", "--cells"),
}
WRITE = {
    "import_cells": ("data_process/import_cells.py", "{cells}", "--slide", "Slide_A", "--um-per-px", UM),
    "detect_cells": ("data_process/detect_cells.py", "--um-per-px", UM),
    "convert_counts": ("data_process/convert_counts.py",),
    "number_genes": ("data_process/number_genes.py",),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder that can't be written, with a root that has cells, and their file."""
    folder = tmp_path_factory.mktemp("disk")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("a file system cannot be mounted here")
    nuclei = Nuclei()
    root, cells = write_root(folder / "root", nuclei), write(folder / "cells.json", cellvit(nuclei))
    call("data_process/import_cells.py", root, cells, "--slide", "Slide_A", "--um-per-px", UM)
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)  # whose files may be mapped still


@pytest.mark.parametrize("job", READ)
def test_a_root_is_read(folder, tmp_path, job):
    script, *options = READ[job]
    call(script, folder / "root", *options, "--out", tmp_path / "out")
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    with pytest.raises(DataError, match=f"{folder}/out.*Read-only file system"):
        call(script, folder / "root", *options, "--out", folder / "out")


@pytest.mark.parametrize("job", WRITE)
def test_a_root_is_not_written(folder, job):
    script, *options = WRITE[job]
    options = [str(one).format(cells=folder / "cells.json") for one in options]
    with pytest.raises(DataError, match=f"{folder}/root.*Read-only file system"):
        call(script, folder / "root", *options)


def test_a_cache_is_told_with_its_variable(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(folder / "cache"))
    with pytest.raises(DataError, match=f"{folder}/cache.*Read-only file system.*set HF_DATASETS_CACHE") as told:
        list(stimage_1k4m.load("ST", folder / "root", cells=True))
    assert "mend" not in str(told.value)  # for the slides are right
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path))
    assert list(stimage_1k4m.load("ST", folder / "root", cells=True))
