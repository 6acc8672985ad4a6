"""`build_shards.py --push-to-hub`, seen from the Hub and from whoever loads the data set by name."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.building import BUILD
from tests.hub.client import ask
from tests.hub.server import Hub
from tests.publishing.test_build import read
from tests.roots import write_slide
from tests.test_scripts import SCRIPTS

NAME = "tester/spots"
IMPATIENT = """
import runpy, sys, time
time.sleep = lambda seconds: None  # between the client's attempts
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def build(root: Path, out: Path, *options: str, env: dict, impatient=False) -> subprocess.CompletedProcess:
    command = [sys.executable, *(["-c", IMPATIENT] if impatient else []), SCRIPTS / BUILD, root, out, "--workers", "1"]
    return subprocess.run([*command, *options], env=env, capture_output=True, text=True)


def push(hub: Hub, root: Path, out: Path, *options: str, name=NAME, token=True, impatient=False):
    """Build and push; whatever comes of it, the token is nowhere to be seen."""
    done = build(root, out, "--push-to-hub", name, *options, env=hub.env(token), impatient=impatient)
    assert hub.token not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not [path for path in out.rglob("*") if path.is_file() and hub.token.encode() in path.read_bytes()]
    return done


def on_hub(hub: Hub, name=NAME) -> dict[str, str]:
    """Return what a data set's main branch has: hashes by path."""
    entries = json.loads(ask(hub, f"/api/datasets/{name}/tree/main?recursive=true", token=hub.token)[2])
    return {e["path"]: e.get("lfs", e)["oid"] for e in entries if e["type"] == "file"}


def lfs_paths(out: Path) -> set[str]:
    """Return the paths under which a folder's LFS objects are uploaded."""
    parquet = [path for path in out.rglob("*.parquet") if ".build" not in path.parts]
    return {f"/lfs/{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in parquet}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Five slides of two technologies."""
    root = tmp_path_factory.mktemp("push") / "root"
    for i in range(4):
        write_slide(root, f"Slide_{i}", "ST", seed=i)
    write_slide(root, "Slide_V", "Visium", side=4, seed=9)
    return root


@pytest.fixture(scope="module")
def built(root) -> Path:
    """Their folder of shards, to be copied."""
    done = build(root, root.parent / "built", env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    return root.parent / "built"


def test_a_pushed_folder_loads_by_name_and_is_private(hub, root, tmp_path):
    out = tmp_path / "out"
    options = ("--split-by", "slide", "--split-seed", "15", "--split-fractions", "0.5", "0.25", "0.25")
    done = push(hub, root, out, *options, name="spots")  # of the user whose token it is
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"uploaded: {hub.url}/datasets/{NAME}"
    assert f'load_dataset("{NAME}"' in (out / "README.md").read_text()

    configs = {"ST": ["train", "validation", "test"], "all": ["train"]}
    here = read(out, configs, tmp_path)
    assert {row["slide"] for row in here} >= {f"Slide_{i}" for i in range(4)}
    assert read(NAME, configs, tmp_path, hub.env()) == here

    shard = next(path for path in on_hub(hub) if path.startswith("data/"))
    for path in (f"/api/datasets/{NAME}", f"/datasets/{NAME}/resolve/main/{shard}"):
        assert ask(hub, path)[0] == 401
        assert ask(hub, path, token=hub.token)[0] == 200


def test_public_only_if_asked_for(hub, root, built, tmp_path):
    assert push(hub, root, shutil.copytree(built, tmp_path / "out"), "--public").returncode == 0
    assert ask(hub, f"/api/datasets/{NAME}")[0] == 200

    before = len(hub.log)
    done = push(hub, root, tmp_path / "other")
    assert done.returncode == 1 and f"error: {NAME}: is public already; pass public=True (--public)" in done.stderr
    own = b'{"type": "dataset", "name": "own", "private": true}'
    assert ask(hub, "/api/repos/create", "POST", token=hub.token, body=own)[0] == 200
    done = push(hub, root, tmp_path / "other", "--public", name="tester/own")
    assert done.returncode == 1 and "error: tester/own: is private already" in done.stderr
    assert not (tmp_path / "other/data").exists()  # it ended before the work
    assert not [r for r in hub.log[before:] if r.method == "PUT" or "commit" in r.path]


@pytest.mark.parametrize("fault", ["403", "cut"])
def test_an_interrupted_push_goes_on_where_it_was(hub, root, built, tmp_path, fault):
    out = shutil.copytree(built, tmp_path / "out")
    hub.fail_put(3, fault, forever=True)
    done = push(hub, root, out, impatient=True)
    assert done.returncode == 1
    error = next(line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert error.startswith(f"error: {NAME}: the Hub said: Error while uploading '")
    assert error.endswith("; run the same command again to go on")
    assert (fault in error) == (fault != "cut")
    first = hub.requests("PUT", "/lfs/")
    there = {r.path for r in first if r.status == 200}
    assert len(there) == 2 and there < lfs_paths(out)
    assert on_hub(hub) == {}  # no half data set

    hub.mend()
    assert push(hub, root, out).returncode == 0
    second = hub.requests("PUT", "/lfs/")[len(first) :]
    assert sorted(r.path for r in second) == sorted(lfs_paths(out) - there)
    complete = on_hub(hub)
    assert {f"/lfs/{sha}" for path, sha in complete.items() if path.endswith(".parquet")} == lfs_paths(out)

    assert push(hub, root, out).returncode == 0  # nothing is new
    assert len(hub.requests("PUT")) == len(first) + len(second)
    assert len(hub.requests("POST", "/commit/")) == 1
    assert on_hub(hub) == complete


def test_the_data_set_follows_the_folder(hub, root, tmp_path):
    assert push(hub, root, tmp_path / "out", "--tech", "ST").returncode == 0
    old = on_hub(hub)
    puts = len(hub.requests("PUT"))
    (tmp_path / "out/.README.md.node.1").write_text("left by a killed process")
    assert push(hub, root, tmp_path / "out").returncode == 0  # with the Visium slide
    new = on_hub(hub)
    added = "data/Visium/train/Slide_V-00000-of-00001.parquet"
    assert set(new) == {*old, added} and len(hub.requests("PUT")) == puts + 4  # and three tables
    shards = [path for path in old if path.startswith("data/")]
    assert len(shards) == 4 and all(new[path] == old[path] for path in shards)

    assert push(hub, root, tmp_path / "other", "--slides", "Slide_0", "Slide_V").returncode == 0  # another folder
    local = {str(path.relative_to(tmp_path / "other")) for path in (tmp_path / "other").rglob("*") if path.is_file()}
    assert set(on_hub(hub)) == {path for path in local if not path.startswith(".")}
    assert len(on_hub(hub)) == 2 + 5


def test_a_push_that_cannot_be_ends_before_the_work(hub, root, tmp_path):
    def error(env, name=NAME):
        done = build(root, tmp_path / "out", "--push-to-hub", name, env=env)
        assert done.returncode == 1 and "Traceback" not in done.stderr and hub.token not in done.stderr
        assert not (tmp_path / "out/data").exists()
        return done.stderr.strip().splitlines()[-1]

    log_in = "; log in with a token that may write there: run 'hf auth login', or set HF_TOKEN"
    refused = error(hub.env(token=False))
    assert refused.startswith(f"error: {NAME}: the Hub said: ") and refused.endswith(log_in)
    wrong = error({**hub.env(), "HF_TOKEN": "hf_wrong"})
    assert "Invalid credentials" in wrong and wrong.endswith(log_in) and "hf_wrong" not in wrong
    foreign = error(hub.env(), "other/spots")
    assert "other/spots: the Hub said: 403" in foreign and foreign.endswith(log_in)
    nobody = error({**hub.env(), "HF_ENDPOINT": "http://127.0.0.1:9"})
    assert nobody.startswith(f"error: {NAME}: ") and nobody.endswith("refused; run the same command again to go on")
    assert "Repo id must" in error(hub.env(), "a/b/c")
    assert not hub.requests("PUT")
