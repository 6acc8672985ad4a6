"""Results as a data set: pushed to a local Hub, loaded by name without our code, and computed again from a copy."""

import json
import shutil
from pathlib import Path

import pytest

import stimage
from stimage.core.errors import DataError
from stimage.evaluation.saved.manifest import seal_all
from tests.evaluation.scripts import embed, labelled_root
from tests.hub.client import ask

NAME, GENES = "tester/results", ["ERBB2", "CD3E", "ESR1"]
PUSH = """
import sys
import stimage
print(stimage.publish_results(sys.argv[1], push_to_hub="tester/results", license="mit").address)
"""
LOAD = """
import json
from datasets import get_dataset_config_names, load_dataset
names = get_dataset_config_names("tester/results")
figures = load_dataset("tester/results", split="test")
spots = load_dataset("tester/results", "expression.here", split="test")
labels = load_dataset("tester/results", "labels", split="test", streaming=True)
value = figures.filter(lambda row: row["result"] == "labels" and row["scope"] == "overall"
                       and row["figure"] == "pooled.embedding.macro_f1_together")["value"]
print(json.dumps([names, list(value), spots[0], next(iter(labels))]))
"""
COPY = """
import sys
from huggingface_hub import snapshot_download
import stimage
folder = snapshot_download("tester/results", repo_type="dataset", local_dir=sys.argv[1])
print(stimage.verify(folder))
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """Two results of three slides, and the embeddings that they are of, as a benchmark keeps them."""
    folder = tmp_path_factory.mktemp("results")
    root = labelled_root(folder, lambda slide, n: "L1" if n % 5 < 2 else "WM", ["S0", "S1", "S2"])
    embed(root, folder / "out/embeddings/mine")
    stimage.predict(root, folder / "out/embeddings/mine", panel=GENES, colour=False, out=folder / "out/expression/here")
    stimage.probe(root, folder / "out/embeddings/mine", colour=False, out=folder / "out/labels")
    seal_all(folder / "out")
    return folder / "out"


def test_results_load_by_name_and_compute_again(hub, results, tmp_path):
    assert hub.run(PUSH, results).splitlines()[-1] == f"{hub.url}/datasets/{NAME}"
    names, value, spot, label = json.loads(hub.run(LOAD).splitlines()[-1])
    assert set(names) == {"figures", "expression.here", "labels"}
    known = json.loads((results / "labels/results.json").read_text())["overall"]["pooled"]["embedding"]
    assert value == [known["macro_f1_together"]]
    assert len(spot["truth"]) == len(spot["embeddings"]) == 3 and spot["spot_id"].startswith("S")
    assert label["label"] in ("L1", "WM") and label["embedding"] in ("L1", "WM")
    entries = json.loads(ask(hub, f"/api/datasets/{NAME}/tree/main?recursive=true", token=hub.token)[2])
    there = {entry["path"] for entry in entries if entry["type"] == "file"}
    assert "expression/here/regressors/fold_0.safetensors" in there and not any("embeddings/" in path for path in there)
    assert hub.run(COPY, tmp_path / "copy").splitlines()[-1] == "[]"
    assert (
        "| labels | linear_probe/converged | noise | pooled.embedding.macro_f1_together |"
        in (results / "README.md").read_text()
    )
    assert stimage.verify(results) == []


def test_results_that_differ_are_not_published(results, tmp_path):
    copy = shutil.copytree(results, tmp_path / "out")
    with (copy / "labels/results.csv").open("a") as file:
        file.write("overall,figure\n")
    with pytest.raises(DataError, match="its figures differ from those that its files give, so it is not published"):
        stimage.publish_results(copy)


@pytest.mark.parametrize("place", ["figures", "expression.here"])
def test_no_result_takes_the_name_of_another(results, tmp_path, place):
    (copy := shutil.copytree(results, tmp_path / "out")).joinpath("labels").rename(copy / place)
    seal_all(copy)
    with pytest.raises(DataError, match=f"already has a configuration '{place}'; rename the folder"):
        stimage.publish_results(copy)
