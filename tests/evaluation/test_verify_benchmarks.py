"""A benchmark that lacks digests or results does not verify as right; figures of an earlier protocol are not taken."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import stimage
from stimage.core.errors import DataError
from stimage.jobs.benchmarks import hest, running
from tests.evaluation.scripts import embed
from tests.evaluation.test_benchmark_encoders import bench, folder  # noqa: F401 (a fixture)
from tests.evaluation.test_hest_bench import write_bench
from tests.roots import write_slide

RETRIEVAL = "job: retrieve\neach: {tissue: any, slides: 2}\nmetric: within.a_to_b.recall@1\n"


@pytest.fixture(params=["root", "hest"])
def out(request, folder, tmp_path) -> Path:  # noqa: F811
    """What a benchmark wrote, by Python alone."""
    if request.param == "hest":
        stimage.benchmark(write_bench(tmp_path / "bench"), [], tmp_path / "in/out", heads="ridge")
    else:
        bench(folder, embed(folder / "root", tmp_path / "mine"), tmp_path / "in/out")
    return tmp_path / "in/out"


def test_without_the_digests_of_the_whole(out):
    assert stimage.verify(out) == stimage.verify(out.parent) == []
    (out / "manifest.json").unlink()
    for asked in (out, out.parent):
        (wrong,) = stimage.verify(asked)
        assert wrong.startswith(f"{out / 'manifest.json'}: is missing: the benchmark was not ended")
    with pytest.raises(DataError, match=r"manifest.json: is missing: the benchmark was not ended"):
        stimage.publish_results(out)
    assert stimage.verify(next(out.glob("*/*/*/results.json")).parent) == []  # one result of it is whole


def test_results_that_were_taken_away(out):
    """Without tables, too: digests tell."""
    path = next(iter(sorted(out.glob("*/*/*/results.json"))))
    path.unlink()
    more = next(out.glob("*/*/*/results.json"), None)
    if more is None:
        with pytest.raises(DataError, match=r"has no results.json"):
            stimage.verify(out)
    else:
        assert f"{path}: is missing" in stimage.verify(out)
        shutil.rmtree(path.parent)
        assert f"{path.parent / 'manifest.json'}: is missing" in stimage.verify(out)


def test_both_kinds_that_a_benchmark_ranked_are_held(tmp_path, caplog):
    for k in range(3):
        write_slide(tmp_path / "root", f"S{k}", "ST", side=5, seed=k)
    for kind in ("images", "genes"):
        embed(tmp_path / "root", tmp_path / "joint" / kind)
    (tmp_path / "genes.yaml").write_text(RETRIEVAL)
    bench(tmp_path, tmp_path / "joint", tmp_path / "out")
    place = next((tmp_path / "out").glob("*/*/*/results.json")).parent
    kept = tmp_path / "out/embeddings" / f"{place.name}.joint"  # where a benchmark has what it embedded itself
    shutil.copytree(tmp_path / "joint", kept)
    stimage.evaluation.seal_all(tmp_path / "out")
    assert stimage.verify(tmp_path / "out") == [] and not caplog.text
    embed(tmp_path / "root", kept / "genes", lambda slide, ids: np.ones((len(ids), 8)))
    stimage.evaluation.seal_all(tmp_path / "out")
    (wrong,) = stimage.verify(tmp_path / "out")
    assert f"{kept / 'genes'}: are not the embeddings that were ranked" in wrong


@pytest.mark.parametrize("job", ["predict", "predict_dealt", "probe", "retrieve"])
def test_the_protocol_is_as_results_have_it(job):
    task = running.Task("t", job, "m", options={"protocol": "neighbours"} if job == "predict" else {})
    names = {"predict": "expression-neighbours", "probe": "linear_probe/converged", "retrieve": "retrieval",
             "predict_dealt": "stimage-bench"}  # fmt: skip
    name, version = task.protocol
    assert name == names[job] and version >= 1


def test_figures_of_an_earlier_protocol_are_not_taken(folder, tmp_path, monkeypatch):  # noqa: F811
    files = embed(folder / "root", tmp_path / "mine")
    bench(folder, files, tmp_path / "out")
    (asked,) = (tmp_path / "out").glob("*/*/*/asked.json")
    card = json.loads((asked.parent / "results.json").read_text())["protocol"]
    assert json.loads(asked.read_text())["protocol"] == [card["name"], card["version"]]
    monkeypatch.setitem(stimage.jobs.prediction.PREDICTIONS, "fixed", card["version"] + 1)
    with pytest.raises(DataError, match=r"an earlier version of the protocol.*; pass another out= \(--out\)"):
        bench(folder, files, tmp_path / "out")


def test_figures_of_an_earlier_protocol_of_hest(tmp_path, monkeypatch):
    stimage.benchmark(write_bench(tmp_path / "bench"), [], tmp_path / "out", heads="ridge")
    monkeypatch.setattr(hest, "VERSION", hest.VERSION + 1)
    with pytest.raises(DataError, match=r"an earlier version of the protocol.*; pass another out= \(--out\)"):
        stimage.benchmark(tmp_path / "bench", [], tmp_path / "out", heads="ridge")
