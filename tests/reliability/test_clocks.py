"""Files whose times tell nothing: an edit that keeps size and time, and clocks that are years off."""

import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

import stimage
import stimage_1k4m
from tests.reliability.oracle import TALLY
from tests.reliability.world import FILES, make_root

EDITED = ("annotation", "coord", "counts", "counts, .h5", "counts, .h5ad", "PNG", "TIFF, raw")
WHEN = {"1970": 1, "2100": 4_102_444_800}


@pytest.fixture
def root(tmp_path) -> Path:
    return make_root(tmp_path / "root")


def spots_of(root: Path, **options) -> list[dict]:
    return [dict(spot, image=spot["image"].tobytes()) for spot in stimage_1k4m.load("ST", root, **options)]


def edit(path: Path) -> None:
    """Change what a file holds; it stays as long as it was, and keeps its time."""
    stat, data = path.stat(), path.read_bytes()
    if path.suffix == ".csv":
        text = data.replace(b"stroma", b"muscle").replace(b",20.0,5.0", b",21.0,5.0")
        path.write_bytes(text if text != data else data.replace(b",1,", b",7,"))
    elif path.suffix in (".h5", ".h5ad"):
        with h5py.File(path, "r+") as file:
            values = file["X/data" if path.suffix == ".h5ad" else "matrix/data"]
            values[:] = np.full(len(values), 9)
    else:
        pixels = 255 - np.array(Image.open(path))
        Image.fromarray(pixels // 32 * 32 if path.suffix == ".png" else pixels).save(path)
    path.write_bytes(path.read_bytes().ljust(stat.st_size, b"\0"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.read_bytes() != data and path.stat().st_size == stat.st_size


@pytest.mark.parametrize("kind", EDITED)
def test_an_edit_that_keeps_size_and_time(root, tmp_path, kind):
    """The process that has read a file reads it again, as another process would that has not."""
    before = spots_of(root)
    edit(root / FILES[kind])
    shutil.copytree(root, tmp_path / "copy", copy_function=shutil.copyfile)  # whose files have other times
    after = spots_of(root)
    assert after == spots_of(tmp_path / "copy") and after != before
    TALLY["load", kind, "clock: edit of the same time", "right result"] += 1


@pytest.mark.parametrize("when", WHEN)
def test_files_of_a_clock_that_is_years_off(root, tmp_path, when):
    """A time that is another is a change, be it before or after; what was prepared and built follows it."""
    want, out = spots_of(root, streaming=False), tmp_path / "out"
    stimage.publish(root, out)
    for path in root.rglob("*"):
        os.utime(path, (WHEN[when],) * 2)
    assert spots_of(root, streaming=False) == spots_of(root) == want
    for kind in ("coord", "counts", "TIFF, raw"):
        edit(root / FILES[kind])
        os.utime(root / FILES[kind], (WHEN[when] - 1,) * 2)  # older than what was made of it
        again = spots_of(root)
        assert again != want and spots_of(root, streaming=False) == again
        stimage.publish(root, out)
        built = spots_of(out)
        assert [spot["image"] for spot in built] == [spot["image"] for spot in again]
        assert [spot["counts"] for spot in built] == [spot["counts"] for spot in again]
        want = again
        TALLY["load, publish", kind, "clock: years off", "right result"] += 1
