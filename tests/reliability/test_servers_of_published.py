"""A server of a published folder that fails one request: what comes is right, or an error that names the URL."""

import os
import time
from pathlib import Path

import datasets
import pytest

import stimage_1k4m
from stimage.core.errors import DataError
from stimage.loading import sources
from tests.faults import FAULTS, serving
from tests.reliability.oracle import TALLY
from tests.reliability.scripts import call, in_this_process  # noqa: F401
from tests.reliability.test_servers import Tagging
from tests.roots import GENES, write_slide

pytestmark = pytest.mark.usefixtures("in_this_process")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    write_slide(folder / "root", "S0", "ST", side=2)
    call("data_process/build_shards.py", folder / "root", folder / "out")
    datasets.disable_progress_bars()
    return folder / "out"


def loaded(url: str, **options) -> list[dict]:
    return [dict(spot, image=spot["image"].tobytes()) for spot in stimage_1k4m.load("ST", url, **options)]


def expression(url: str) -> list[dict]:
    return loaded(url, panel=GENES[:2])


def prepared(url: str) -> list[dict]:
    return loaded(url, streaming=False)


def of_a_source(url: str) -> list[dict]:
    """Read as embedding does."""
    source = sources.open_source(url)
    with sources.reading(url):
        spots = source.spots(source.slides()[0], ["spot_id", "image", "counts"])
        return [dict(spot, image=spot["image"].tobytes()) for spot in spots]


@pytest.mark.parametrize("read", [loaded, expression, prepared, of_a_source])
def test_each_request_fails_once(folder, tmp_path, monkeypatch, read):
    """Of a request, one of the faults is tried, and every one where STIMAGE_FAULTS is set."""
    really = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: really(min(seconds, 0.01)))  # between the client's attempts
    want, faults = read(str(folder)), FAULTS
    if read in (loaded, expression):  # as a stream is read, datasets raises errors of its own, of what is no Parquet
        faults = tuple(fault for fault in FAULTS if fault != "range")

    def ask(server, at: int, fault: str) -> list[dict]:
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / f"{fault}{at}"))
        server.faults.fail(at, fault)
        return read(server.url)

    with serving(folder, handler=Tagging) as server:
        assert ask(server, 0, "") == want
        for at in range(1, server.faults.n + 1):
            for fault in faults if os.environ.get("STIMAGE_FAULTS") else [faults[at % len(faults)]]:
                outcome = "right result"
                try:
                    assert ask(server, at, fault) == want
                except DataError as error:
                    assert server.url in str(error)
                    outcome = "own error"
                    server.faults.fail(0, "")
                    assert read(server.url) == want  # nothing that is half was kept
                TALLY[read.__name__, "published, HTTP", f"server: {fault}", outcome] += 1
