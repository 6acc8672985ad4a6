"""An error that is kept does not keep h5py's lock: another thread would wait for it without end."""

import subprocess
import sys

import h5py
import pytest

from stimage.core.errors import DataError
from stimage.formats.imported import reading

PROGRAM = """
import sys, threading
import h5py
from stimage.core.errors import DataError
from stimage.formats.imported import reading
from stimage.slides.counts.hdf5_layout import opened

kept = []

def read(how, path):
    try:
        if how == "counts":
            with opened(path) as file:
                [group["no"] for _, group in file.items()]  # the loop is a local name of a frame before Python 3.12
        else:
            with reading(path, "HDF5"), h5py.File(path) as file:
                [group["no"] for _, group in file.items()]
    except DataError as error:
        kept.append(error)

thread = threading.Thread(target=read, args=sys.argv[1:])
thread.start()
thread.join()
with h5py.File(sys.argv[2]) as file:
    print(list(file), "no" in str(kept[0]))
"""


@pytest.mark.parametrize("how", ["counts", "source"])
def test_another_thread_reads_on(tmp_path, how):
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file.create_group("a")
        file.create_group("b")
    program = [sys.executable, "-c", PROGRAM, how, tmp_path / "two.h5"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=300)
    assert done.stdout == "['a', 'b'] True\n", done.stderr


def test_an_error_that_is_its_own_cause_is_let_go():
    """As of ``raise error from error``, which libraries write."""
    error = OSError("of the library")
    with pytest.raises(DataError, match=r"x\.h5: cannot be read as HDF5 \(of the library"), reading("x.h5", "HDF5"):
        raise error from error
