"""Files and folders that are written whole or not at all, and what is left of them where a process is killed."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from stimage.core.errors import OutputError
from stimage.core.files import listed, replacing, replacing_folder, room_for, unfinished_folder, write_text
from stimage.core.storage import list_folder
from stimage.loading.embeddings import read_embeddings, write_embeddings
from stimage.training.checkpoints import FOLDER, newest

KILLED = """
import os, signal, sys
from pathlib import Path
from stimage.core.files import replacing, replacing_folder

kind, path = sys.argv[1], Path(sys.argv[2])
with (replacing if kind == "file" else replacing_folder)(path) as unfinished:
    (unfinished if kind == "file" else unfinished / "weights").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_while_writing(kind, path):
    done = subprocess.run([sys.executable, "-c", KILLED, kind, path])
    assert done.returncode == -signal.SIGKILL
    left = [name for name in os.listdir(path.parent) if name.startswith(".")]
    assert left and all(path.name in name for name in left)
    return left


def test_an_error_leaves_what_was_there(tmp_path):
    write_text(tmp_path / "a/file.txt", "old")
    with replacing_folder(tmp_path / "a/folder") as unfinished:
        (unfinished / "one").write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a/file.txt") as unfinished:
        unfinished.write_text("new")
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), replacing_folder(tmp_path / "a/folder") as unfinished:
        assert not list(unfinished.iterdir())
        raise ZeroDivisionError
    assert sorted(os.listdir(tmp_path / "a")) == ["file.txt", "folder"]
    assert (tmp_path / "a/file.txt").read_text() == (tmp_path / "a/folder/one").read_text() == "old"


def test_a_folder_takes_the_place_of_another_as_a_whole(tmp_path):
    for name in ("old", "new"):
        with replacing_folder(tmp_path / "folder") as unfinished:
            assert unfinished == unfinished_folder(tmp_path / "folder")
            (unfinished / name).touch()
    assert os.listdir(tmp_path) == ["folder"] and os.listdir(tmp_path / "folder") == ["new"]


@pytest.mark.parametrize("between", [False, True])
def test_what_a_kill_leaves_of_a_folder_is_cleared_by_the_next(tmp_path, between):
    with replacing_folder(tmp_path / "folder") as unfinished:
        (unfinished / "old").touch()
    kill_while_writing("folder", tmp_path / "folder")
    if between:  # the kill came after the old folder was moved away, before the new one had its name
        (tmp_path / "folder").rename(tmp_path / ".folder.old")
    with pytest.raises(ZeroDivisionError), replacing_folder(tmp_path / "folder") as unfinished:
        assert os.listdir(unfinished) == [] and os.listdir(tmp_path / "folder") == ["old"]
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == ["folder"] and os.listdir(tmp_path / "folder") == ["old"]


def test_what_a_kill_leaves_is_no_slide_checkpoint_or_embedding(tmp_path):
    write_embeddings(tmp_path / "S0.parquet", ["S0_1", "S0_2"], "S0", np.eye(2), "model")
    kill_while_writing("file", tmp_path / "S1.parquet")
    assert list(list_folder(str(tmp_path), "")) == ["S0.parquet"]
    assert listed(tmp_path, "*.parquet") == [tmp_path / "S0.parquet"]
    assert read_embeddings(tmp_path).spot_ids.tolist() == ["S0_1", "S0_2"]
    (tmp_path / FOLDER / "step-00000001").mkdir(parents=True)
    kill_while_writing("folder", tmp_path / FOLDER / "step-00000002")
    assert newest(tmp_path) == tmp_path / FOLDER / "step-00000001"


@pytest.mark.parametrize("write", [replacing, replacing_folder])
def test_no_writing_there_is_told_at_once(tmp_path, write):
    (tmp_path / "file").touch()
    with (
        pytest.raises(OutputError, match=r"x: cannot be written \((Not a directory|File exists)\)"),
        write(tmp_path / "file/x"),
    ):
        pytest.fail("it began")


@pytest.mark.parametrize(
    "error, why",
    [
        (OSError(28, "x"), "No space left on device"),
        (
            RuntimeError("can't write (errno = 28, error message = 'No space left on device')"),
            "No space left on device",
        ),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 1 vs 2"), "unexpected pos"),
        (RuntimeError("basic_ios::clear: iostream error"), "iostream error"),
    ],
)
def test_a_full_disk_is_known_by_whatever_tells_of_it(error, why):
    with pytest.raises(OutputError, match=f"x.h5: cannot be written .*{why}"), room_for("x.h5"):
        raise error
    with pytest.raises(KeyError), room_for("x.h5"):
        raise KeyError("of a defect")
