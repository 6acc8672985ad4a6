"""The wheel, installed without extras into an environment of its own, loads, checks and publishes the sample.

No network is needed: what the wheel asks for is linked from this environment, and nothing else is there.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[1]
CARRIED = ("stimage", "scripts", "configs", "metrics")
FILES = ("stimage_1k4m.py", "setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE.md")
USE = """if True:
    import importlib.util, sys
    import stimage, stimage_1k4m
    from datasets import load_dataset
    root, published = sys.argv[1:]
    spots = load_dataset("stimage_1k4m", "ST", data_dir=root, split="train", streaming=True)
    assert list(spots)[0]["spot_id"] == next(iter(stimage_1k4m.load("ST", root)))["spot_id"]
    assert sum(1 for _ in load_dataset(published, "ST", split="train", streaming=True)) == sum(1 for _ in spots)
    assert stimage.metric_path("retrieval").startswith(sys.prefix)
    assert not [name for name in ("torch", "scanpy", "sklearn", "transformers") if importlib.util.find_spec(name)]
"""


def needed(requirements: list[str]) -> set[str]:
    """Return the installed distributions that some requirements need, and these in turn."""
    found: set[str] = set()
    todo = [(Requirement(one), "") for one in requirements]
    while todo:
        one, extra = todo.pop()
        if one.marker and not one.marker.evaluate({"extra": extra}):
            continue
        for wanted in ("", *one.extras):
            if (key := f"{canonicalize_name(one.name)}[{wanted}]") not in found:
                found.add(key)
                todo += [(Requirement(more), wanted) for more in distribution(one.name).requires or []]
    return {key.partition("[")[0] for key in found}


@pytest.fixture(scope="module")
def bin_folder(tmp_path_factory) -> Path:
    """The folder bin of an environment that has the wheel and what it requires."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in CARRIED:
        shutil.copytree(PROJECT / name, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(PROJECT / name, folder / "source")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, folder / "source"]
    subprocess.run(build, check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    (wheel,) = folder.glob("*.whl")
    python = folder / "env/bin/python"
    subprocess.run([*pip, "--python", python, "install", "--no-deps", "--no-index", wheel], check=True)
    (site,) = folder.glob("env/lib/python*/site-packages")
    (metadata,) = site.glob("stimage_1k4m-*.dist-info/METADATA")
    asked = [line.partition(": ")[2] for line in metadata.read_text().splitlines() if line.startswith("Requires-Dist")]
    files = {one.locate_file(path.parts[0]) for one in map(distribution, needed(asked)) for path in one.files or []}
    for path in map(Path, map(str, files)):
        if path.name not in ("..", "__pycache__"):
            (site / path.name).symlink_to(path)
    return folder / "env/bin"


def test_the_wheel_alone_loads_checks_and_publishes(bin_folder, sample, tmp_path):
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(program: str, *words: object) -> subprocess.CompletedProcess:
        command = [bin_folder / program, *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=alone)

    for words in (
        ("stimage", "check-spots", sample, "--workers", 1),
        ("stimage", "build-shards", sample, "shards", "--workers", 1),
        ("python", "-c", USE, sample, "shards"),
    ):
        done = run(*words)
        assert done.returncode == 0, done.stderr
    done = run("stimage", "finetune-clip", "shards", "--config", "tiny", "--out", "run")
    assert done.returncode == 1 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    (advice,) = re.findall(r'pip install "(.*)"', done.stderr)  # followed, but for what it requires
    pip = [sys.executable, "-m", "pip", "--quiet", "--python", bin_folder / "python"]
    asked = [*pip, "install", "--no-deps", "--no-index", "--dry-run", "--ignore-installed", "--report", "-", advice]
    told = json.loads(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)["install"]
    assert [(one["metadata"]["name"], one["requested_extras"]) for one in told] == [("stimage-1k4m", ["train"])]
    next(bin_folder.parent.parent.glob("*.whl")).unlink()  # then the packages themselves
    done = run("stimage", "finetune-clip", "shards", "--config", "tiny", "--out", "run")
    assert 'pip install "accelerate>=' in done.stderr
