"""A slide that is added again and again, while others add it, read it or kill who adds it: it is whole at all times."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import stimage
from stimage.core.errors import DataError
from stimage.slides.catalog import Filters, read_catalog
from stimage.slides.images.patches import Patch
from stimage.slides.spots import open_spots, read_batches
from tests.building import ended
from tests.reliability.sources import make_source
from tests.reliability.told import Told, in_root, in_source
from tests.reliability.world import CASES

ROUNDS = max(3, CASES // 200)
ADDING = """
import sys, stimage
root, times, *sources = sys.argv[1:]
for k in range(int(times)):
    stimage.add_slide(sources[k % len(sources)] + "/outs", root, "Mine")
    print(k, flush=True)
"""
pytestmark = pytest.mark.slow


@pytest.fixture
def two(tmp_path) -> tuple[list[Path], list[Told]]:
    """Return the folders of two slides, and what these tell; the first is in the root as "Mine", and as "Other"."""
    folders = [tmp_path / "one", tmp_path / "other"]
    told = [in_source(make_source("CellBender", folder, seed), folder) for seed, folder in enumerate(folders)]
    for name in ("Mine", "Other"):
        stimage.add_slide(folders[0] / "outs", tmp_path / "root", name)
    return folders, told


def adding(root: Path, times: int, *folders: Path) -> subprocess.Popen:
    """Begin to add these slides in turn under one name; a line comes after each."""
    command = [sys.executable, "-W", "ignore", "-c", ADDING, root, times, *folders]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def whole(root: Path, told: list[Told]) -> int:
    """Return which of the slides "Mine" is; "Other" is the first, whatever happens."""
    assert in_root(root, "Visium", "Other") == told[0]
    return told.index(in_root(root, "Visium", "Mine"))


def loaded(root: Path) -> dict[str, tuple]:
    """Return of each spot of "Mine", as it is loaded, its place and how many counts it has."""
    (slide,) = read_catalog(str(root)).select(Filters(slides="Mine"))
    spots = open_spots(slide)
    blocks = list(read_batches(spots, Patch()))
    totals = [total for block in blocks for total in block.rows.totals().tolist()]
    assert all(patch.size for block in blocks for patch in block.patches)
    names = [one.removeprefix("Mine_") for one in spots.ids.to_pylist()]
    return dict(zip(names, zip(spots.x.tolist(), spots.y.tolist(), totals)))


def expected(told: Told) -> dict[str, tuple]:
    return {spot: (*xy, sum(told.counts[spot].values())) for spot, xy in told.places.items()}


def test_two_add_the_same_slide_at_once(two, tmp_path):
    """The last one's is there, whole; none fails."""
    folders, told = two
    runs = [adding(tmp_path / "root", ROUNDS, *order) for order in (folders, folders[::-1])]
    assert [ended(run) for run in runs] == [([], 0)] * 2
    assert whole(tmp_path / "root", told) in (0, 1)
    assert {path.name for path in (tmp_path / "root").iterdir()} >= {".lock", "Visium", "meta"}
    assert not list((tmp_path / "root").glob(".begun*")) and not (tmp_path / "root/.ready").exists()


def test_a_slide_is_loaded_while_it_is_added(two, tmp_path):
    """It comes as one slide or as the other, never as parts of both; or an error of ours says that it changed."""
    folders, told = two
    run, seen, refused = adding(tmp_path / "root", 4 * ROUNDS, *folders), [], []
    right = [{spot: pytest.approx(values, abs=1e-3) for spot, values in expected(one).items()} for one in told]
    while run.poll() is None:
        try:
            found = loaded(tmp_path / "root")
        except DataError as error:
            refused.append(str(error))
        else:
            seen.append([found.keys() == one.keys() and found == one for one in right])
    assert run.wait() == 0 and seen and all(sum(one) == 1 for one in seen), refused
    assert all(str(tmp_path / "root") in message for message in refused), refused


def test_who_adds_is_killed_at_any_moment(two, tmp_path):
    """The root has the one or the other, is read at once, and takes the next slide."""
    folders, told = two
    rng = random.Random(0)
    for _ in range(ROUNDS):
        run = adding(tmp_path / "root", 1000, *folders)
        for _ in range(rng.randint(1, 3)):
            run.stdout.readline()
        time.sleep(rng.random() / 5)  # somewhere within the next
        run.send_signal(signal.SIGKILL)
        run.communicate()
        assert read_catalog(str(tmp_path / "root")).select(Filters())
        whole(tmp_path / "root", told)
    stimage.add_slide(folders[0] / "outs", tmp_path / "root", "Mine")
    assert whole(tmp_path / "root", told) == 0 and not list((tmp_path / "root").glob(".begun*"))
