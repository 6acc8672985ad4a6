"""A root behind fsspec's memory file system and behind a plain HTTP server: the same examples as from disk."""

import datasets
import fsspec
import pytest
from datasets import load_dataset

import stimage_1k4m
from tests.faults import serving
from tests.roots import write_slide


def stream(**options) -> list[dict]:
    return [
        {key: value.tobytes() if key == "image" else value for key, value in example.items()}
        for example in load_dataset("stimage_1k4m", "all", split="train", streaming=True, **options)
    ]


@pytest.fixture
def server(sample):
    """Serve the sample over HTTP, without ETags, and count what is asked for."""
    with serving(sample) as server:
        yield server.url, server.asked


def test_http(sample, server, capfd):
    url, asked = server
    want = stream(data_dir=str(sample))
    datasets.enable_progress_bars()
    assert stream(root=url) == want
    assert "Fetching" in capfd.readouterr().err  # progress
    assert stream(root=url) == want
    images = {path: n for (command, path), n in asked.items() if command == "GET" and path.endswith(".png")}
    assert images and set(images.values()) == {1}
    assert stimage_1k4m.gene_names(url) == stimage_1k4m.gene_names(sample)


def test_http_fetches_only_what_is_asked_for(sample, server):
    url, asked = server
    names = sorted(path.stem for path in (sample / "Visium/image").iterdir())
    got = stream(root=url, slides=names[0])
    assert {e["slide"] for e in got} == {names[0]}
    images = {path for command, path in asked if command == "GET" and path.endswith(".png")}
    assert images == {f"/Visium/image/{names[0]}.png"}


def test_a_server_that_is_not_there():
    with pytest.raises(ValueError, match=r"http://127.0.0.1:9.*: cannot be listed"):
        stream(root="http://127.0.0.1:9")


def test_memory(sample):
    memory = fsspec.filesystem("memory")
    memory.put(str(sample), "/root-in-memory", recursive=True)
    assert stream(root="memory://root-in-memory") == stream(data_dir=str(sample))


def test_a_changed_file_is_fetched_again(tmp_path):
    memory = fsspec.filesystem("memory")
    for seed in (0, 1):
        write_slide(tmp_path / str(seed), "Slide_A", "ST", seed=seed)
        memory.put(f"{tmp_path}/{seed}/", "/changing/", recursive=True)
        assert stream(root="memory://changing") == stream(data_dir=str(tmp_path / str(seed)))
