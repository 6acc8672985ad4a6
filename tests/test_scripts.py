"""The scripts as a user runs them, but in this process: importing torch and scanpy each time takes seconds."""

import contextlib
import io
import logging
import runpy
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from stimage.core.processes import in_processes

SCRIPTS = Path(__file__).parent.parent / "scripts"
USERS = ("stimage.collection.checks.running", "stimage.publishing.engines")  # of processes


@contextmanager
def no_processes() -> Iterator[None]:
    """Let this process do what jobs have others do, which take seconds to start."""
    with contextlib.ExitStack() as patches:
        for user in USERS:
            patches.enter_context(mock.patch(f"{user}.in_processes", lambda do, items, _: in_processes(do, items, 0)))
        yield


def run(script: str, *arguments) -> subprocess.CompletedProcess:
    """Run a script, and say how it ended and what it wrote; it starts processes if the arguments have --workers."""
    command = [str(SCRIPTS / script), *map(str, arguments)]
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    code = 0
    if accelerate := sys.modules.get("accelerate.state"):  # which has one state for a process
        accelerate.AcceleratorState._reset_state(reset_partial_state=True)
    with (
        contextlib.nullcontext() if "--workers" in command else no_processes(),
        mock.patch.object(sys, "argv", command),
        mock.patch.object(logging.root, "handlers", []),  # pytest's
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            runpy.run_path(command[0], run_name="__main__")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            print(end.code if code else "", file=err)
        except Exception:
            code = 1
            traceback.print_exc(file=err)
    return subprocess.CompletedProcess(command, code, *(stream.buffer.getvalue().decode() for stream in (out, err)))


@pytest.mark.parametrize("script", sorted(str(path.relative_to(SCRIPTS)) for path in SCRIPTS.rglob("*.py")))
def test_help_explains_and_bad_arguments_fail(script):
    done = run(script, "--help")
    assert done.returncode == 0 and len(done.stdout) > 200
    assert run(script, "--no-such-option").returncode == 2


@pytest.mark.parametrize("script", ["data_collection/check_spots.py", "evaluation/embed_spots.py"])
def test_a_technology_is_no_config(script, sample, tmp_path):
    done = run(script, sample, "--config", "ST", "--out", tmp_path)
    assert done.returncode == 2 and "--config ST: a technology is chosen by --tech ST\n" in done.stderr
    done = run("finetune/finetune_clip.py", sample, "--config", "ST", "--out", tmp_path)
    assert done.returncode == 2 and "for a technology, --override tech=ST\n" in done.stderr


def test_show_spots(sample, tmp_path):
    listed = run("data_process/show_spots.py", sample).stdout.splitlines()
    names = [line.split("\t")[1] for line in listed]
    assert len(names) == 5
    for name in names:
        done = run("data_process/show_spots.py", sample, "--slide", name, "--out", tmp_path)
        assert done.returncode == 0, done.stderr
        for word in ("spots", "genes", "image", "pitch", "µm per px", "trusted"):
            assert word in done.stdout
        sheet = np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB"))
        assert sheet.shape[1] > 1000 and sheet.std() > 20


def test_show_spots_fails_with_one_line(sample, tmp_path):
    done = run("data_process/show_spots.py", sample, "--slide", "nope", "--out", tmp_path)
    assert done.returncode == 1 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert run("data_process/show_spots.py", tmp_path / "nothing").returncode == 1


def test_show_spots_of_real_slides(shared, tmp_path):
    done = run("data_process/show_spots.py", shared / "real_visium", "--slide", "Mouse_Embryo_10X_Visium_CytAssist",
               "--out", tmp_path)  # fmt: skip
    for words in ("2,898", "19,465", "14.25 px, hexagonal", "7.016; trusted", "70 µm spot (CytAssist)"):
        assert words in done.stdout
