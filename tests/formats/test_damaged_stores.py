"""SpatialData stores that were cut, or are of something else: refused by an error of ours, and the root stays."""

import os
import shutil
import sys
from pathlib import Path

import pytest

import stimage
from stimage.formats.imported import ImportOptions
from stimage.formats.recognise import read_source
from tests.formats.annotated import refusal, slide
from tests.formats.stores import visium
from tests.test_scripts import run

pytestmark = pytest.mark.usefixtures("old_strings")


def chunks(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".json")


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("tables/table/X/data", "tables/table/X/data: lacks 1 of 1 chunks; copy or write the store again"),
        ("tables/table/obs/_index", "tables/table/obs/_index: lacks"),
        ("images/lib_full_image/s0", "images/lib_full_image: lacks 1 of 4 chunks, so that 36 spots lie on nothing"),
        ("shapes/lib", "slide.zarr: cannot be read as a SpatialData store"),
    ],
)
def test_a_store_that_was_cut(tmp_path, part, said):
    """A chunk that is missing reads as 0 by Zarr."""
    visium().write(tmp_path / "slide.zarr")
    stimage.add_slide(tmp_path / "slide.zarr", tmp_path / "root", "Mine")
    before = {path: path.read_bytes() for path in (tmp_path / "root").rglob("*") if path.is_file()}
    (chunk, *_) = chunks(tmp_path / "slide.zarr" / part)
    content = chunk.read_bytes()
    for cut in (None, content[: len(content) // 2]):
        chunk.unlink(missing_ok=True)
        if cut is not None:
            chunk.write_bytes(cut)
        told = refusal(stimage.add_slide, tmp_path / "slide.zarr", tmp_path / "root", "Mine")
        assert said in told if cut is None else "cannot be read" in told
        assert before == {path: path.read_bytes() for path in (tmp_path / "root").rglob("*") if path.is_file()}


def test_black_parts_are_told(tmp_path):
    """Zarr writes no chunk that is black, as scanners leave what they did not scan: it is left out, and counted."""
    visium().write(tmp_path / "slide.zarr")
    (tmp_path / "slide.zarr/images/lib_full_image/s0/c/0/1/1").unlink()
    found = read_source(tmp_path / "slide.zarr", ImportOptions())
    assert found.left_out["chunks of the image that the store lacks, which are black"] == 1


def test_names_that_are_no_text(tmp_path):
    data = visium()
    data["table"].obs_names = [f"{name}\x12" for name in data["table"].obs_names]
    data.write(tmp_path / "slide.zarr")
    assert "-1\\x12', which is no text; get it again" in refusal(
        stimage.add_slide, tmp_path / "slide.zarr", tmp_path / "root", "Mine"
    )


PARTS = ["zarr.json", "tables/table/zarr.json", "images/lib_full_image/s0/zarr.json", "images/lib_full_image",
         "shapes/lib", "tables/table/obs", "shapes/lib/zarr.json"]  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
def test_a_store_without_a_part(tmp_path, part):
    visium().write(tmp_path / "slide.zarr")
    path = tmp_path / "slide.zarr" / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert "slide.zarr" in refusal(read_source, tmp_path / "slide.zarr", ImportOptions())


def test_other_stores(tmp_path):
    slide().write_zarr(tmp_path / "data.zarr")
    assert "data.zarr: is an AnnData in Zarr; write it as .h5ad" in refusal(
        read_source, tmp_path / "data.zarr", ImportOptions()
    )
    visium().write(tmp_path / "slide.zarr")
    assert "is an image alone (OME-Zarr)" in refusal(
        read_source, tmp_path / "slide.zarr/images/lib_full_image", ImportOptions()
    )
    (tmp_path / "packed.zarr.zip").write_bytes(b"PK")
    assert "is a packed store; unpack it first" in refusal(read_source, tmp_path / "packed.zarr.zip", ImportOptions())
    (tmp_path / "empty.zarr").mkdir()
    assert "is no Zarr store: it has none of zarr.json" in refusal(
        read_source, tmp_path / "empty.zarr", ImportOptions()
    )


def test_without_spatialdata(tmp_path, monkeypatch):
    visium().write(tmp_path / "slide.zarr")
    monkeypatch.setitem(sys.modules, "spatialdata", None)
    told = run("data_collection/add_slide.py", tmp_path / "slide.zarr", "--out", tmp_path / "root", "--slide", "Mine")
    assert told.stderr.endswith('[spatialdata]"\n') and "spatialdata is not installed; pip install" in told.stderr
    assert told.returncode == 1 and not (tmp_path / "root").exists()


@pytest.mark.parametrize("part", ["zarr.json", "tables/table/X/data/c/0", "images/lib_full_image/s1/zarr.json"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("nothing")], ids=["pipe", "link"])
def test_what_is_no_file(tmp_path, part, make):
    """Zarr would wait for a pipe; of a link to nothing it would read 0."""
    visium().write(tmp_path / "slide.zarr")
    (path := tmp_path / "slide.zarr" / part).unlink()
    make(path)
    told = refusal(stimage.add_slide, tmp_path / "slide.zarr", tmp_path / "root", "Mine")
    assert f"{path}: is no file that can be read; copy or write the store again" in told
    assert not (tmp_path / "root").exists()
