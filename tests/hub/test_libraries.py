"""Data sets, models and roots of the local Hub, read by the libraries that read those of the real one."""

import hashlib
import io
import json
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from datasets import Dataset, Features, Image, List, Value, load_dataset
from PIL import Image as Picture

from tests.hub.client import ask, upload
from tests.hub.server import Hub
from tests.roots import write_slide

DIGEST = """
    import hashlib, json, sys
    from datasets import load_dataset
    def digest(examples):
        plain = [{k: v for k, v in e.items() if k != "image"} for e in examples]
        images = [hashlib.sha256(e["image"].convert("RGB").tobytes()).hexdigest() for e in examples]
        return [plain, images]
"""


def run_digests(hub: Hub, code: str, *args) -> list:
    """Run code that may call `digest`, and return what it printed: JSON, a value a line."""
    return [json.loads(line) for line in hub.run(dedent(DIGEST) + dedent(code), *args).splitlines()]


@pytest.fixture
def spots(tmp_path) -> Path:
    """A folder of two Parquet files of spots with images."""

    def example(i):
        png = io.BytesIO()
        Picture.fromarray(np.full((8, 9, 3), i, np.uint8)).save(png, "PNG")
        return {"spot_id": f"spot {i}", "image": {"path": None, "bytes": png.getvalue()}, "counts": [float(i)] * i}

    features = Features({"spot_id": Value("string"), "image": Image(), "counts": List(Value("float32"))})
    folder = tmp_path / "spots"
    (folder / "data").mkdir(parents=True)
    for part in range(2):
        rows = Dataset.from_list([example(5 * part + i) for i in range(5)], features=features)
        rows.to_parquet(folder / f"data/train-0000{part}-of-00002.parquet")
    return folder


def test_a_data_set_loads_by_name_as_from_disk(hub, spots):
    upload(hub, spots)
    code = """
        print(json.dumps([digest(load_dataset("tester/data", split="train", streaming=s)) for s in (True, False)]))
        load_dataset("tester/data", split="train").push_to_hub("tester/pushed", private=True, num_shards=3)
        print(json.dumps(digest(load_dataset("tester/pushed", split="train", streaming=True))))
    """
    streamed_and_prepared, pushed = run_digests(hub, code)
    local = load_dataset("parquet", data_files=str(spots / "data/*.parquet"), split="train", streaming=True)
    want = [{k: e[k] for k in ("spot_id", "counts")} for e in local]
    images = [hashlib.sha256(e["image"].tobytes()).hexdigest() for e in local]
    assert len(set(images)) == 10
    assert streamed_and_prepared == [[want, images]] * 2
    assert pushed == [want, images]
    assert len({r.path for r in hub.requests("PUT", "/lfs/")}) == 2 + 3


def test_a_private_data_set_needs_the_token(hub, spots):
    upload(hub, spots, private=True)
    load = "from datasets import load_dataset; print(len(load_dataset('tester/data', split='train')))"
    assert hub.run(load) == "10\n"
    with pytest.raises(RuntimeError, match=r"DatasetNotFoundError.*tester/data"):
        hub.run(load, token=False)
    before = len(hub.log)
    file = "/datasets/tester/data/resolve/main/data/train-00000-of-00002.parquet"
    api = "/api/datasets/tester/data"
    for path in (file, api, f"{api}/tree/main", f"{api}/refs", f"{api}/commits/main", "/api/datasets/tester/none"):
        status, headers, body = ask(hub, path)
        assert (status, headers["X-Error-Code"]) == (401, "RepoNotFound")
        assert b"PAR1" not in body
    assert ask(hub, file, token=hub.token)[2] == (spots / "data/train-00000-of-00002.parquet").read_bytes()
    assert ask(hub, api, token="hf_wrong")[1]["X-Error-Message"] == "Invalid credentials in Authorization header"
    status, headers, _ = ask(hub, "/api/datasets/tester/none", token=hub.token)
    assert (status, headers["X-Error-Code"]) == (404, "RepoNotFound")
    assert [r.status for r in hub.log[before:]] == [401] * 6 + [200, 401, 404]
    assert hub.token not in repr(hub.log)


def test_a_model_loads_by_name(hub):
    pytest.importorskip("transformers")
    assert (
        hub.run("""
        import torch
        from transformers import AutoModel, CLIPConfig, CLIPModel
        tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
        text, vision = tower | {"vocab_size": 50}, tower | {"image_size": 16, "patch_size": 8}
        model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8))
        model.push_to_hub("tester/clip", private=True)
        for again in (CLIPModel.from_pretrained("tester/clip"), AutoModel.from_pretrained("tester/clip")):
            want, got = model.state_dict(), again.state_dict()
            print(type(again).__name__, want.keys() == got.keys(), all(torch.equal(want[k], got[k]) for k in want))
    """).splitlines()
        == ["CLIPModel True True"] * 2
    )
    assert {Path(r.path).name for r in hub.requests("GET", "/resolve/")} >= {"config.json", "model.safetensors"}


def test_the_builder_reads_a_root_of_the_hub(hub, tmp_path):
    root = tmp_path / "root"
    write_slide(root, "Slide_A", "ST")
    write_slide(root, "Slide_B", "Visium", side=4, seed=1, format="JPEG", quality=95)
    upload(hub, root, "tester/root", private=True)
    code = """
        import stimage_1k4m
        for where in ({"root": "hf://datasets/tester/root"}, {"data_dir": sys.argv[1]}):
            print(json.dumps(digest(load_dataset("stimage_1k4m", "all", split="train", streaming=True, **where))))
    """
    remote, local = run_digests(hub, code, root)
    assert len(local[0]) == 9 + 16
    assert remote == local
