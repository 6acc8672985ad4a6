"""Jobs that are struck at each of their writes: the files are whole or absent, and a rerun gives the same bytes."""

import json
import subprocess
import sys

import pytest

from tests.reliability.oracle import TALLY
from tests.reliability.strikes import HOWS, Case, Job, try_case
from tests.reliability.struck_models import ALL as JOBS
from tests.reliability.world import CASES

SEED, FEW = 0, 5


@pytest.mark.slow
@pytest.mark.parametrize("name", JOBS)
def test_struck_at_any_write(tmp_path, name):
    """In a program of its own, which has no threads when it forks."""
    program = [sys.executable, "-W", "ignore", "-m", "tests.reliability.strikes", name, tmp_path / "cases", SEED]
    done = subprocess.run([*map(str, program), str(max(FEW, CASES // 12))], capture_output=True, text=True)
    assert not done.returncode, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for one in found:
        TALLY[name, "its writes", one["how"], "own error" if one["outcome"] == "own error" else "right result"] += 1
    assert not [one for one in found if one["wrong"]] and len(found) >= FEW


def half(folder) -> None:
    """Write a file in two steps, as no job of this project may."""
    for text in ("ha", "lf"):
        with (folder / "file").open("a") as file:
            file.write(text)


def never_again(folder) -> None:
    """Fail wherever it was begun before, with an error that is not this project's."""
    (folder / "mark").mkdir()
    (folder / "file").write_text("half")


@pytest.mark.parametrize("how", HOWS[:4])
@pytest.mark.parametrize("run", [half, never_again])
def test_what_writes_otherwise_is_found(tmp_path, run, how):
    """The injector itself: it finds a job that leaves half a file, raises a foreign error, or cannot go on."""
    (tmp_path / "before").mkdir()
    job = Job(lambda folder: None, run, ("file",))
    found = try_case(Case(how, 1), job, tmp_path / "before", tmp_path / "case", {"file": b"half"})
    assert found.wrong
