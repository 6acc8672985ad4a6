"""The doctor: what it says of this machine and of broken ones, without torch, a network, or a word of the token."""

import subprocess
import sys
from pathlib import Path

import pytest

from stimage.cli import doctor
from tests.test_scripts import run

PROJECT = Path(__file__).parents[1]
SECRET = "hf_averysecrettoken"  # no token


def test_this_machine(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", SECRET)
    done = run("doctor.py")
    assert done.returncode == 0, done.stdout
    lines = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert {line.split()[0] for line in lines[:-1]} <= {"pass", "warn", "skipped"} and lines[-1] == "nothing failed"
    for words in (
        "    python: 3.",
        "pass    packages: aiohttp ",
        "pass    native code: numpy",
        "hub login: there is a token",
    ):
        assert words in done.stdout
    assert SECRET not in done.stdout + done.stderr and str(Path.home()) not in done.stdout


def test_without_torch_scanpy_and_network():
    code = """
import runpy, socket, sys
for name in ("torch", "scanpy", "scipy", "sklearn", "transformers", "pandas"):
    sys.modules[name] = None
def refuse(*args, **kwargs):
    raise SystemExit("it asks a network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
sys.argv = ["doctor"]
runpy.run_path("scripts/doctor.py", run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT)
    assert done.returncode == 0 and "nothing failed" in done.stdout, done.stdout + done.stderr


def test_a_python_that_keeps_no_bytecode(monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(doctor.os.path, "exists", lambda path: "numpy" not in str(path))
    found = doctor.check_python()
    assert found.status == "warn" and "each start compiles numpy anew" in found.message
    assert found.remedy.startswith("unset PYTHONDONTWRITEBYTECODE")
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert doctor.check_python().status == "pass"


def test_packages_that_are_missing_or_old(monkeypatch):
    versions = {"pyarrow": None, "numpy": "1.0", "scanpy": None, "peft": "0.1"}
    real = doctor._version
    monkeypatch.setattr(
        doctor, "_version", lambda name: versions.get(name, real(name)) if name in versions else real(name)
    )
    done = run("doctor.py")
    assert done.returncode == 1
    assert "fail    packages: numpy 1.0 is not >=1.26; pyarrow is missing\n" in done.stdout
    clone = Path(__file__).parents[1]
    assert f'→ pip install --upgrade -e "{clone}"\n' in done.stdout
    assert "skipped extra genes: not installed: scanpy\n" in done.stdout
    assert "fail    extra train: peft 0.1 is not >=0.19\n" in done.stdout
    assert f'→ pip install --upgrade -e "{clone}[train]"\n' in done.stdout
    assert done.stdout.endswith("failed: packages, extra train\n")


def test_a_package_that_is_broken(monkeypatch):
    def fail(name: str):
        raise OSError("libvips.so.42: cannot open shared object file") if name == "pyvips" else ImportError("no")

    monkeypatch.setattr(doctor.importlib, "import_module", fail)
    found = doctor.check_native()
    assert found.status == "fail" and "pyvips can't be imported (libvips.so.42: cannot open" in found.message
    assert found.remedy.startswith("pip install --force-reinstall numpy")


def test_a_check_that_breaks_stops_no_other(monkeypatch):
    def fail():
        raise RuntimeError("broken\nin two lines")

    monkeypatch.setattr(doctor, "check_cache", fail)
    found = doctor.examine()
    assert found["cache"].status == "fail" and "RuntimeError: broken" in found["cache"].message
    assert found["gpu"].status in ("pass", "warn", "skipped")


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """Return a path that is HF_HOME, with nothing there."""
    home = tmp_path / "home"
    for name, path in (("HF_HOME", home), ("HF_HUB_CACHE", home / "hub"), ("HF_TOKEN_PATH", home / "token")):
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", str(path))
    return home


def test_a_cache_that_cannot_be_written(home, tmp_path):
    home.mkdir()
    (tmp_path / "file").write_text("")
    found = doctor.check_cache({"HF_DATASETS_CACHE": str(tmp_path / "file/cache")})
    assert found.status == "fail" and f"cache, but {tmp_path}/file is no folder" in found.message
    assert found.remedy == "set HF_DATASETS_CACHE to a folder that you can write"


@pytest.mark.parametrize("kind", ["file", "link to nothing", "not ours"])
def test_a_home_of_caches_that_is_none(home, kind, monkeypatch):
    if kind == "file":
        home.write_text("")
    elif kind == "link to nothing":
        home.symlink_to(home.parent / "nothing")
    else:
        home.mkdir()
        monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    found = doctor.check_cache({})
    why = "which can't be written" if kind == "not ours" else f"but {home} is no folder"
    assert found.status == "fail" and found.message == f"{home}/hub, {why}; {home}/datasets, {why}"
    assert found.remedy == "set HF_HOME to a folder that you can write"


@pytest.mark.parametrize("kind", ["folder", "no text"])
def test_a_token_that_cannot_be_read(home, kind, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    home.mkdir()
    (home / "token").mkdir() if kind == "folder" else (home / "token").write_bytes(b"\xff\xfe")
    found = doctor.check_login()
    assert found.status == "fail" and found.message.startswith(f"{home}/token can't be read (")
    assert found.remedy == f"move {home}/token away, or set HF_HOME to a folder; then: hf auth login"
    (home / "token").rename(home / "away")
    assert doctor.check_login().status == "skipped"


@pytest.mark.parametrize(("before", "said"), [
    ("sys.modules['stimage'] = None", "fail    packages: stimage is missing\n        → pip install . in the clone"),
    ("sys.modules['lazy_loader'] = None", "fail    packages: lazy_loader is missing\n        → pip install ."),
    ("sys.version_info = (3, 9, 7)", "fail    python: 3.9.7\n        → use Python 3.10 or later\nfailed: python\n"),
])  # fmt: skip
def test_a_clone_where_nothing_is_installed(before, said):
    code = f"""
import platform, runpy, sys
{before}
platform.python_version = lambda: "3.9.7"
sys.argv = ["doctor"]
runpy.run_path("scripts/doctor.py", run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT)
    assert done.returncode == 1 and done.stdout.startswith(said) and not done.stderr, done.stdout + done.stderr


def test_little_shared_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: doctor.shutil._ntuple_diskusage(64 << 20, 0, 64 << 20))
    assert doctor.check_shared(tmp_path).status == "warn"
    assert doctor.check_shared(tmp_path / "none").status == "skipped"


def test_a_login_is_told_only_by_its_kind(monkeypatch):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert doctor.check_login().status == "skipped"
    monkeypatch.setattr("huggingface_hub.get_token", lambda: SECRET)
    found = doctor.check_login()
    assert found.status == "pass" and SECRET not in found.message + found.remedy


def test_a_gpu_that_torch_does_not_see(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    (tmp_path / "nvidia0").write_text("")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for cuda, words in ((None, "built without CUDA"), ("13.0", "for CUDA 13.0 does not see it")):
        monkeypatch.setattr(torch.version, "cuda", cuda)
        found = doctor.check_gpu(str(tmp_path / "nvidia[0-9]*"))
        assert found.status == "warn" and words in found.message and found.remedy
    monkeypatch.setattr(doctor, "_version", lambda name: None)
    assert '[train]"' in doctor.check_gpu(str(tmp_path / "nvidia[0-9]*")).remedy
