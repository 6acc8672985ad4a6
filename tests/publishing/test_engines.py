"""Ways to run the build: processes that are killed, Slurm, Ray. The folder is the same, byte for byte."""

import io
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.building import BUILD, files
from tests.roots import write_slide
from tests.test_scripts import SCRIPTS, run


def test_killed_at_any_moment_the_end_is_the_same(sample, published, tmp_path):
    """Kill the build 20 times, now with its workers, now without, and let it go on; start anew when it is done."""
    want, random_ = files(published), random.Random(0)
    command = [sys.executable, SCRIPTS / BUILD, sample, out := tmp_path / "out", "--workers", "2"]
    began, finished, outputs = time.monotonic(), 0, []
    assert run(BUILD, *command[2:]).returncode == 0 and not differing(out, want)
    whole = min(8, time.monotonic() - began)  # a slow machine is not to take all day
    shutil.rmtree(out)
    for k in range(20):
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=-3, start_new_session=True)
        outputs.append(child.stdout)
        time.sleep(random_.uniform(0.1, 1.1) * whole)
        if child.poll() is None:
            (os.killpg if k % 2 else os.kill)(child.pid, signal.SIGKILL)
        elif child.returncode == 0:
            wait_for_all(outputs)
            assert not differing(out, want)
            shutil.rmtree(out)
            finished += 1
        child.wait()
    done = run(BUILD, sample, out, "--workers", 2)
    assert done.returncode == 0, done.stderr
    wait_for_all(outputs)
    assert not differing(out, want) and finished < 20


def wait_for_all(outputs):
    """Wait for workers whose parent was killed: these go on with their shards, and would write while files are read."""
    while outputs:
        with outputs.pop() as output:
            output.read()


def differing(folder, want) -> dict[str, list[str]]:
    """Return which files are not as wanted, and of Parquet in which columns, or that it is in none."""
    found, told = files(folder), {}
    for name in [name for name in found.keys() | want.keys() if found.get(name) != want.get(name)]:
        told[name] = [f"{len(one[name])} bytes" if name in one else "missing" for one in (found, want)]
        if name.endswith(".parquet") and name in found and name in want:
            one, other = (pq.read_table(io.BytesIO(content[name])) for content in (found, want))
            columns = [column for column in other.column_names if not one[column].equals(other[column])]
            told[name] += columns or ["the same values"]
        elif name.endswith(".json") and name in found and name in want:
            told[name] += [content[name].decode() for content in (found, want)]
    return told


def test_a_worker_that_dies_takes_only_its_shard_with_it(tmp_path):
    root, out = tmp_path / "root", tmp_path / "out"
    for i in range(4):
        write_slide(root, f"S{i}", "ST", side=50, seed=i)
    command = [sys.executable, SCRIPTS / BUILD, root, out, "--workers", "1"]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list(out.glob(".build/tmp/*")) and child.poll() is None:  # it has begun with a shard
        time.sleep(0.005)
    processes = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
    (worker,) = [p for p in processes if "spawn_main" in Path(f"/proc/{p}/cmdline").read_text()]
    os.kill(int(worker), signal.SIGKILL)
    errors = child.communicate()[1]
    assert child.returncode == 1 and "shards failed" in errors and "its process died" in errors
    assert len(list(out.glob("data/ST/train/*"))) == 3


def test_slurm(sample, published, tmp_path):
    """Against an sbatch that runs each job of the array at once, one after the other."""
    fake = tmp_path / "bin/sbatch"
    fake.parent.mkdir()
    fake.write_text(
        "#!/bin/bash\n"
        f'echo "$@" >> {tmp_path}/calls; script="${{@: -1}}"; bash -n "$script" || exit 1\n'
        'last=$(sed -n "s/#SBATCH --array=0-//p" "$script")\n'
        'for ((i = 0; i <= ${last:-0}; i++)); do\n'
        f'  SLURM_ARRAY_TASK_ID=$i SLURM_ARRAY_TASK_COUNT=$((last + 1)) bash "$script" >> {tmp_path}/log 2>&1\n'
        'done\necho "4$last;cluster"\n'
    )  # fmt: skip
    fake.chmod(0o755)
    command = [sys.executable, SCRIPTS / BUILD, sample, tmp_path / "out", "--engine", "slurm", "--tasks", "3",
               "--workers", "2", "--sbatch=--partition=cpu", "--sbatch=--time=60"]  # fmt: skip
    environment = os.environ | {"PATH": f"{fake.parent}:{os.environ['PATH']}"}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[0].startswith("--parsable --partition=cpu --time=60 ") and "--dependency=afterany:42" in calls[1]
    script = (tmp_path / "out/.build/slurm/shards.sbatch").read_text()
    assert "#SBATCH --array=0-2\n" in script and "#SBATCH --cpus-per-task=2\n" in script
    shutil.rmtree(tmp_path / "out/.build/slurm")
    assert files(tmp_path / "out") == files(published), (tmp_path / "log").read_text()
    environment["PATH"] = "/nowhere"
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)
    assert done.returncode == 1 and "sbatch: is not on the PATH" in done.stderr


def test_ray(sample, published, tmp_path):
    pytest.importorskip("ray")
    command = [sys.executable, SCRIPTS / BUILD, sample, tmp_path / "out", "--engine", "ray", "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True)  # Ray stays for as long as its process
    assert done.returncode == 0, done.stderr
    assert files(tmp_path / "out") == files(published)
