"""Embedding that is killed, at any moment, ends in the same files when it is run again."""

import multiprocessing
import os
import random
import signal
import time

import pytest
import torch

from tests.evaluation.towers import make_tower
from tests.reliability.scripts import call
from tests.reliability.world import CASES, make_root


def embed(root, tower, out, quiet: bool = True):
    torch.set_num_threads(1)
    if quiet:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    call("evaluation/embed_spots.py", root, "--model", tower, "--out", out, "--workers", 0, "--batch-size", 2)


def start(*arguments):
    context = multiprocessing.get_context("forkserver")  # a fork of this process would lack its threads
    context.set_forkserver_preload(["stimage.evaluation.embedding", "tests.reliability.scripts"])
    child = context.Process(target=embed, args=arguments)
    child.start()
    return child


def files(out) -> dict[str, bytes]:
    found = [path for path in sorted(out.rglob("*")) if path.is_file() and path.name[0] != "."]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


@pytest.mark.parametrize("seed", range(1 + CASES // 1000))
def test_killed_at_any_moment(tmp_path, seed):
    root, tower, rng = make_root(tmp_path / "root"), make_tower("clip", tmp_path / "clip"), random.Random(seed)
    began = time.monotonic()
    child = start(root, tower, tmp_path / "whole")
    child.join()
    assert child.exitcode == 0
    took, want, killed = time.monotonic() - began, files(tmp_path / "whole"), 0
    out = tmp_path / "out"
    for _ in range(8):
        child = start(root, tower, out)
        time.sleep(rng.uniform(0, 0.7) * took)
        child.kill()
        child.join()
        killed += child.exitcode == -signal.SIGKILL
        if out.exists():
            assert files(out).items() <= want.items()  # what has its name is whole
            if len(tables := sorted(out.glob("*.parquet"))) > 1:
                rng.choice(tables).unlink()  # so that there is something left to do
    child = start(root, tower, out)
    child.join()
    assert child.exitcode == 0 and files(out) == want and killed > 0
