"""A Hub that accepts a request and sends no byte, or half a body and no more: an error says so, and nothing is kept."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import stimage
from tests.hub.client import upload
from tests.roots import write_slide

READ = """
import json, os, sys, time
from pathlib import Path
from huggingface_hub import constants, file_download
really = time.sleep
time.sleep = lambda seconds: really(min(seconds, 0.01))  # between the client's attempts
constants.HF_HUB_DOWNLOAD_TIMEOUT = constants.HF_HUB_ETAG_TIMEOUT = file_download._ETAG_RETRY_TIMEOUT = 0.5
import datasets
datasets.config.STREAMING_READ_MAX_RETRIES = 2
import stimage_1k4m
from stimage.core import DataError
said, spots = "", 0
try:
    spots = len(list(stimage_1k4m.load("ST", sys.argv[1])))
except DataError as error:
    said = str(error)
half = [path.name for path in Path(os.environ["HF_HOME"]).rglob("*.incomplete")]
print(json.dumps([said, spots, half]))
"""
PUSH = """
import sys, time
really = time.sleep
time.sleep = lambda seconds: really(min(seconds, 0.01))
from huggingface_hub import constants
from stimage.core import DataError, hub
constants.HF_HUB_DOWNLOAD_TIMEOUT = hub.WRITES = 0.5
from stimage.publishing.pushing import open_repository, push_folder
try:
    open_repository(sys.argv[2])
    push_folder(sys.argv[1], sys.argv[2])
except DataError as error:
    print(error)
"""
LOOKED_UP, LISTED = "GET /api/datasets/tester/data$", "GET .*/tree/"
TABLE, SPOTS = "GET .*/resolve/", "GET .*/resolve/.*/(data|image)/"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stalled")
    write_slide(folder / "root", "S0", "ST", side=2)
    stimage.publish(folder / "root", folder / "out", workers=1)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["root", "out"])
@pytest.mark.parametrize(("fault", "part"), [
    ("silent", LOOKED_UP), ("silent", LISTED), ("half", LISTED), ("silent", "HEAD "), ("half", TABLE),
    ("silent", SPOTS), ("half", SPOTS),
])  # fmt: skip
def test_reading_ends_with_the_remedy(hub, folder, kind, fault, part):
    upload(hub, folder / kind)
    name = "hf://datasets/tester/data" if kind == "root" else "tester/data"
    command, env = [sys.executable, "-W", "ignore", "-c", READ, name], hub.env()  # one cache for both

    def read() -> list:
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        assert not done.returncode, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    with hub.faults.stalling(fault, part):
        said, spots, half = read()
        assert hub.faults.stalled
    assert said.startswith("hf://datasets/tester/data")
    assert "no byte came in time: run it again, or set HF_HUB_DOWNLOAD_TIMEOUT to more seconds" in said
    assert not spots and not half
    assert read() == ["", 4, []]


@pytest.mark.slow
@pytest.mark.parametrize(
    "part", ["POST .*/repos/create", "POST .*/preupload/", "POST .*/batch", "PUT ", "POST .*/commit/"]
)
def test_pushing_ends_with_the_remedy(hub, folder, part):
    with hub.faults.stalling("silent", part):
        said = hub.run(PUSH, folder / "out", "tester/new")
        assert hub.faults.stalled
    assert said.startswith("tester/new: the Hub said: ") and "no byte came in time: run it again" in said
    assert not hub.run(PUSH, folder / "out", "tester/new")
