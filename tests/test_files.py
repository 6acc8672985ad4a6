"""Files and folders that are written whole or not at all, and what is left of them where a process is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from stimage.core.errors import OutputError
from stimage.core.files import alone_in, listed, replacing, replacing_folder, room_for, unfinished_folder, write_text
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


def test_a_disk_that_can_no_longer_be_written_is_told_as_such(tmp_path, monkeypatch):
    """Also where what was begun can't be removed any more."""

    def refuse(self, *_, **__):
        raise OSError(30, "Read-only file system", str(self))

    for write in (replacing, replacing_folder):
        told = pytest.raises(OutputError, match=r"x: cannot be written \(.*Read-only file system")
        with monkeypatch.context() as patch, told, write(tmp_path / "x"):
            for name in ("unlink", "rename", "replace"):
                patch.setattr(Path, name, refuse)


HDF5 = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from stimage.core.errors import OutputError
from stimage.core.files import replacing_hdf5

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    with replacing_hdf5(Path(sys.argv[1])) as file:
        for k in range(20):
            file.create_dataset(f"group/{k}", data=np.arange(1000 * k), chunks=(100,) if k else None)
except OutputError as error:
    print(error)
"""


@pytest.mark.parametrize("size", [0, 100, 5000, 700_000])
def test_hdf5_on_a_full_disk_does_not_crash(tmp_path, size):
    command = [sys.executable, "-c", HDF5, str(tmp_path / "x.h5"), str(size)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and "x.h5: cannot be written (File too large)" in done.stdout
    assert not list(tmp_path.iterdir())


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


def test_two_do_not_work_in_one_folder(tmp_path):
    """The second is refused; where nothing was written, nothing is left, and the next may begin."""
    folder, code = tmp_path / "out", "import sys; from pathlib import Path; from stimage.core.files import alone_in\n"
    code += "with alone_in(Path(sys.argv[1])): print('in')"
    with alone_in(folder):
        other = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True)
        assert f"OutputError: {folder}: another process writes into it" in other.stderr and not other.stdout
    assert not folder.exists()
    with alone_in(folder):
        (folder / "file").touch()
    assert subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True).stdout == "in\n"


def test_one_process_does_not_work_twice_in_one_folder(tmp_path):
    with alone_in(tmp_path), pytest.raises(OutputError, match="another process writes into it"), alone_in(tmp_path):
        pytest.fail("it began")
    with alone_in(tmp_path):
        (tmp_path / "file").touch()


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch, caplog):
    """As filelock says it of one: training goes on there, since no second run need come."""
    refuse = Mock(side_effect=NotImplementedError("FileSystem does not appear to support flock"))
    monkeypatch.setattr("stimage.core.files.FileLock.acquire", refuse)
    with alone_in(tmp_path):
        (tmp_path / "file").touch()
    assert "knows no locks; start no second run into it" in caplog.text and refuse.called
