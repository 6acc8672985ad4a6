"""A server that fails one request: the result is right or an error that names the URL, and right afterwards."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import datasets
import huggingface_hub.constants
import pytest

import stimage
from stimage.core.errors import DataError
from stimage.core.storage import local_copy
from tests.faults import FAULTS, Handler, serving
from tests.hub.client import upload
from tests.nuclei import Nuclei, cellvit, write, write_root
from tests.roots import GENES, write_csv, write_slide
from tests.test_remote import stream


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Two slides, of which each has a gene of its own, so that a header that is not read would renumber."""
    root = tmp_path_factory.mktemp("servers") / "root"
    for k in range(2):
        write_slide(root, f"S{k}", "ST", side=2, seed=k)
        write_csv(root / f"annotation/S{k}_anno.csv", [["", "V2"], [f"S{k}_0x0", "tumour"]])
        counts = root / f"ST/gene_exp/S{k}_count.csv"
        counts.write_text(counts.read_text().replace(GENES[0], f"OWN{k}", 1))
    return root


@pytest.fixture
def caches(tmp_path, monkeypatch):
    """Give empty caches, each time anew."""

    def renew(name: object) -> None:
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / str(name) / "datasets"))
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / str(name) / "hub"))

    return renew


def fail_each_in_turn(faults, url: str, want: list, caches, **options) -> int:
    """Let each request fail once, each from empty caches, and say how often that made an error.

    Of a request, one of the faults is tried, and every one where STIMAGE_FAULTS is set, as by `make faults`.
    """
    caches("whole")
    faults.fail(0, "")
    assert stream(root=url, **options) == want
    errors, n = 0, faults.n
    assert n > 10
    for k in range(1, n + 1):
        for fault in FAULTS if os.environ.get("STIMAGE_FAULTS") else [FAULTS[k % len(FAULTS)]]:
            caches(f"{fault}{k}")
            faults.fail(k, fault)
            try:
                assert stream(root=url, **options) == want
            except DataError as error:
                assert url in str(error)
                errors += 1
                faults.fail(0, "")
                assert stream(root=url, **options) == want
    return errors


class Tagging(Handler):
    """A server with ETags."""

    def end_headers(self):
        path = Path(self.translate_path(self.path))
        if path.is_file():
            self.send_header("ETag", f'"{path.stat().st_mtime_ns}"')
        super().end_headers()


def test_each_request_over_http_fails_once(root, caches):
    want = stream(data_dir=str(root))
    with serving(root, handler=Tagging) as server:
        assert fail_each_in_turn(server.faults, server.url, want, caches)


def test_each_request_for_cells_and_sparse_counts_fails_once(tmp_path, caches):
    nuclei = Nuclei(400, 300)
    root = write_root(tmp_path / "root", nuclei)
    stimage.import_cells(root, "Slide_A", write(tmp_path / "cells.json", cellvit(nuclei)))
    list(stimage.convert_counts(root))
    want = stream(data_dir=str(root), cells=True)
    with serving(root, handler=Tagging) as server:
        assert fail_each_in_turn(server.faults, server.url, want, caches, cells=True)


def test_each_request_to_the_hub_fails_once(root, caches, hub, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # between the client's attempts
    upload(hub, root)
    want = stream(data_dir=str(root))
    fail_each_in_turn(hub.faults, "hf://datasets/tester/data", want, caches, storage_options={"endpoint": hub.url})


def test_a_file_that_is_cut_off_is_not_kept(root, caches, tmp_path):
    caches("cut")
    with serving(root) as server:
        url = f"{server.url}/ST/image/S0.png"
        server.faults.fail(2, "short")  # after HEAD
        with pytest.raises(DataError, match=rf"{url}: cannot be fetched"):
            local_copy(url)
        assert not [p for p in (tmp_path / "cut").rglob("*") if p.is_file() and p.name != ".lock"]
        assert Path(local_copy(url)).read_bytes() == (root / "ST/image/S0.png").read_bytes()


def test_many_threads_fetch_a_file_once(root, caches):
    caches("threads")
    with serving(root) as server, ThreadPoolExecutor(8) as pool:
        url = f"{server.url}/ST/image/S0.png"
        (path,) = set(pool.map(local_copy, [url] * 8))
        assert server.asked["GET", "/ST/image/S0.png"] == 1
    assert Path(path).read_bytes() == (root / "ST/image/S0.png").read_bytes()
