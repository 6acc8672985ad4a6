"""Roots to test on: a made sample, a tiny one to damage, and the real slides where STIMAGE_REAL names their folder."""

import os
import shutil
import signal
import tempfile
from pathlib import Path

HOME = os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="stimage-test-")  # before datasets reads it
if "PYTEST_XDIST_WORKER" in os.environ:  # as many workers as cores: one thread each, before NumPy and torch count cores
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import pytest
from hypothesis import HealthCheck, settings

from tests.building import once, published  # noqa: F401
from tests.hub.fixture import hub  # noqa: F401
from tests.roots import write_slide

settings.register_profile(  # the same cases each time, however slow the machine
    "tests",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("tests")


def pytest_unconfigure() -> None:
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(autouse=True)
def _sigterm_ends_a_process() -> None:
    """Forget what an earlier test does on SIGTERM: a forked process that keeps it does not end when datasets asks."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@pytest.fixture(scope="session")
def sample(tmp_path_factory) -> Path:
    """A small made root with slides of all three technologies."""
    from stimage.sample import make_sample

    small = {"genes": 300, "slides_per_study": 1, "st_side": 8, "visium_side": 10, "hd_side": 24}
    return once(tmp_path_factory, "sample", lambda folder: make_sample(folder / "root", **small)) / "root"


@pytest.fixture
def tiny(tmp_path) -> Path:
    """A root of one ST slide, "Slide_A", of 9 spots and 4 genes, to damage."""
    root = tmp_path / "tiny"
    write_slide(root, "Slide_A", "ST")
    return root


@pytest.fixture
def many(tmp_path) -> Path:
    """A root of six ST slides of 3 x 3 to 8 x 8 spots."""
    for k in range(6):
        write_slide(tmp_path, f"S{k}", "ST", side=3 + k, seed=k, meta={"species": "mouse" if k % 2 else "human"})
    return tmp_path


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real slides and golden numbers."""
    if not os.environ.get("STIMAGE_REAL"):
        pytest.skip("STIMAGE_REAL does not name a folder of real slides")
    return Path(os.environ["STIMAGE_REAL"])
