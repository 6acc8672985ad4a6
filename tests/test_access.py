"""Servers that ask who is asking: each read of a URL gives what they ask for, and no message tells it."""

import gc
import multiprocessing
import pickle
import traceback

import aiohttp
import datasets
import fsspec
import pytest
from datasets import load_dataset
from torch.utils.data import DataLoader

import stimage_1k4m
from stimage.core.access import Access
from stimage.core.storage import list_folder
from stimage.loading.sources import open_source
from stimage.slides.catalog import read_catalog
from tests.faults import serving
from tests.hub.client import upload
from tests.roots import write_slide
from tests.test_remote import stream

SECRET = "s3cret-of-the-tests"
HEADERS = {"headers": {"Authorization": f"Bearer {SECRET}"}}


@pytest.fixture
def root(tmp_path):
    for k in range(2):
        write_slide(tmp_path / "root", f"S{k}", "ST", seed=k)
    return tmp_path / "root"


@pytest.fixture
def url(root):
    with serving(root, SECRET) as server:
        yield server.url


def plain(examples) -> list:
    return [{key: v.tobytes() if key == "image" else v for key, v in e.items()} for e in examples]


@pytest.mark.parametrize("given", [HEADERS, {"client_kwargs": HEADERS}], ids=["headers", "client_kwargs"])
def test_storage_options_reach_every_read(root, url, given, tmp_path):
    want = stream(data_dir=str(root))
    assert stream(root=url, storage_options=given) == want
    options = {"root": url, "storage_options": given, "split": "train", "cache_dir": str(tmp_path / "cache")}
    assert plain(load_dataset("stimage_1k4m", "all", **options)) == want
    assert stimage_1k4m.gene_names(url, storage_options=given) == stimage_1k4m.gene_names(root)
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file() and SECRET.encode() in p.read_bytes()]


@pytest.mark.parametrize("given", [HEADERS, {"client_kwargs": HEADERS}], ids=["headers", "client_kwargs"])
def test_the_configuration_of_fsspec_serves_scripts(root, url, given, monkeypatch):
    monkeypatch.setitem(fsspec.config.conf, "http", given)
    assert [slide.name for slide in open_source(url).slides()] == ["S0", "S1"]


def test_workers_have_what_the_server_asks_for(root, url):
    want = {e["spot_id"] for e in stream(data_dir=str(root))}
    dataset = load_dataset(
        "stimage_1k4m", "ST", root=url, storage_options=HEADERS, split="train", streaming=True
    ).remove_columns("image")
    loader = DataLoader(dataset, num_workers=2, batch_size=None, multiprocessing_context="spawn")
    assert {e["spot_id"] for e in loader} == want


def test_a_forked_process_leaves_connections_as_they_are(root):
    with serving(root) as server:
        given = {"client_kwargs": {"timeout": aiohttp.ClientTimeout(sock_read=120)}}  # else it would wait for ever
        want = stream(root=server.url, storage_options=given)
        assert list_folder(server.url, "ST/coord", Access(given))  # which leaves a connection open
        forked = multiprocessing.get_context("fork").Process(target=gc.collect)
        forked.start()
        forked.join()
        assert stream(root=server.url, storage_options=given) == want


@pytest.mark.parametrize("given", [None, {"headers": {"Authorization": "Bearer wrong-secret"}}], ids=["none", "wrong"])
def test_without_it_the_error_names_url_and_option_and_no_secret(url, given):
    with pytest.raises(ValueError, match=rf"{url}.*401.*storage_options=") as error:
        stream(root=url, storage_options=given)
    assert "wrong-secret" not in "".join(traceback.format_exception(error.value))


def test_what_a_server_asks_for_is_not_shown_and_travels(url):
    access = Access(HEADERS, SECRET)
    catalog = read_catalog(url, access=access)
    assert SECRET not in repr([access, catalog, catalog.slides])
    assert pickle.loads(pickle.dumps(catalog.slides[0])).access == access
    builder = datasets.load_dataset_builder("stimage_1k4m", "ST", root=url, storage_options=HEADERS)
    assert SECRET not in repr([builder.config, builder.info]) + builder.cache_dir


def test_a_private_data_set_of_the_hub(hub, root, tmp_path):
    upload(hub, root, "tester/private", "dataset", True)
    url, given = "hf://datasets/tester/private", {"storage_options": {"endpoint": hub.url}}
    want = stream(data_dir=str(root))
    assert stream(root=url, token=hub.token, **given) == want
    options = {"root": url, "token": hub.token, "split": "train", "cache_dir": str(tmp_path / "cache"), **given}
    assert plain(load_dataset("stimage_1k4m", "all", **options)) == want
    source = open_source(url, Access(given["storage_options"], hub.token))
    assert len(list(source.spots(source.slides()[0], ["spot_id"]))) == 9
    with pytest.raises(ValueError, match=rf"{url}: cannot be .*RepositoryNotFound.*token="):
        stream(root=url, token=False, **given)
