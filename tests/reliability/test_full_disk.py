"""Scripts that write to a disk which has room for a few kilobytes: they say so, and leave nothing that looks whole."""

import multiprocessing
import os
import re
import shutil
import subprocess
from concurrent.futures import ProcessPoolExecutor
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reliability.faults import Fault
from tests.reliability.oracle import judge
from tests.reliability.scripts import call, in_this_process  # noqa: F401
from tests.reliability.world import make_root, some

SIZE, PAGE = 1 << 20, 4096


@cache
def another_process() -> ProcessPoolExecutor:
    """HDF5 crashes at the end of a process that could not close a file, if it ends as usual."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


def apart(*arguments) -> str:
    """Run a script in another process."""
    return another_process().submit(call, *arguments).result()


RUNS = {
    "build_shards": lambda root, out: call("data_process/build_shards.py", root, out),
    "check_spots": lambda root, out: call("data_collection/check_spots.py", root, "--out", out, "--slides", "Slide_A"),
    "select_genes": lambda root, out: call(
        "data_process/select_genes.py", root, "--method", "overlap-hvg", "--n", 2, "--out", out / "panel.json"
    ),
    "export_slides": lambda root, out: apart(
        "data_process/export_slides.py", root, "--out", out, "--slides", "Slide_A"
    ),
}
pytestmark = [
    pytest.mark.usefixtures("in_this_process"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system"),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_root(tmp_path_factory.mktemp("faults") / "root")


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A file system of 1 MB."""
    folder = tmp_path_factory.mktemp("disk")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def made(out) -> dict[str, bytes]:
    """Return the files that look whole, but for notes of how the work stands."""
    paths = (path for path in sorted(out.rglob("*")) if path.is_file())
    parts = {path: path.relative_to(out).parts for path in paths}
    seen = {"/".join(names): path.read_bytes() for path, names in parts.items() if not any(n[0] == "." for n in names)}
    return {name: re.sub(rb'"seconds": [\d.]+', b"", data) for name, data in seen.items()}  # no two are the same


@pytest.fixture(scope="module")
def what_there_is(root, tmp_path_factory):
    """What each script makes where there is room."""
    found = {}
    for script, run in RUNS.items():
        run(root, out := tmp_path_factory.mktemp("whole") / "out")
        found[script] = made(out)
    return lambda: found  # hypothesis would print all of it


@given(script=st.sampled_from(sorted(RUNS)), pages=st.integers(0, 60))
@some(15, 0.1)
def test_a_full_disk(root, disk, what_there_is, script, pages):
    out, ballast = disk / "out", disk / "ballast"
    for path in (out, ballast):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    ballast.write_bytes(bytes(SIZE - PAGE * pages - PAGE * 4))
    whole = what_there_is()
    fault = Fault("output", "disk full", pages)

    def check(_):
        assert made(out) == whole[script]

    if not judge(script, fault, [str(disk)], lambda: RUNS[script](root, out), check):
        assert made(out).items() <= whole[script].items(), made(out).keys()
        ballast.unlink()
        RUNS[script](root, out)
        check(None)
