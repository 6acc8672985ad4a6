"""Embeddings, results and tables as files; retrieval; the modules that evaluate loads."""

import json
from pathlib import Path

import evaluate
import numpy as np
import pytest
import torch

from stimage.core.errors import DataError
from stimage.evaluation.results import data_identity, write_scores
from stimage.loading.embeddings import read_embeddings, write_embeddings
from stimage.scores import retrieval
from stimage.scores.retrieval import retrieval_scores
from tests.evaluation.scripts import run

METRICS = Path(__file__).parent.parent.parent / "metrics"


def test_embeddings_come_back_in_order_and_as_the_same_bytes(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    for folder in ("one", "two"):
        write_embeddings(tmp_path / folder / "S.parquet", ["S_2", "S_0", "S_1"], "S", vectors, "model")
    assert (tmp_path / "one/S.parquet").read_bytes() == (tmp_path / "two/S.parquet").read_bytes()
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["S.parquet"]
    for path in (tmp_path / "one", tmp_path / "one/S.parquet"):
        found = read_embeddings(path)
        assert found.spot_ids.tolist() == ["S_0", "S_1", "S_2"] and set(found.slides) == {"S"}
        assert np.array_equal(found.vectors, vectors[[1, 2, 0]]) and found.model == "model"


def test_embeddings_as_csv(tmp_path):
    path = tmp_path / "e.csv"
    path.write_text(",0,1\nS_A_1,1,2\nS_A_B_1,3,4\n")
    assert read_embeddings(path, ["S_A", "S_A_B"]).slides.tolist() == ["S_A", "S_A_B"]
    with pytest.raises(DataError, match="row 1: no slide's name begins spot id 'S_A_1'"):
        read_embeddings(path, ["S_A_B"])
    path.write_text("spot,slide,0,1\nS_1,S,1,2\nT_1,T,3,\n")
    with pytest.raises(DataError, match="spot 'T_1' has a value that is no finite number"):
        read_embeddings(path)
    path.write_text("spot,slide,tissue,1\nS_1,S,brain,2\n")
    with pytest.raises(DataError, match="column 'tissue' is not of numbers"):
        read_embeddings(path)


def test_retrieval_is_exact_and_ties_count_against_the_model(monkeypatch):
    rng = np.random.default_rng(0)
    a = rng.normal(size=(300, 8))
    b = a + rng.normal(size=a.shape)
    monkeypatch.setattr(retrieval, "CHUNK", 64)
    found = retrieval_scores(a, torch.from_numpy(b))
    unit_a, unit_b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (a, b))
    for way, similar in (("a_to_b", unit_a @ unit_b.T), ("b_to_a", unit_b @ unit_a.T)):
        rank = (similar >= np.diag(similar)[:, None]).sum(1)
        assert found[way] == {f"recall@{k}": (rank <= k).mean() for k in (1, 5, 10)} | {"median_rank": np.median(rank)}
    same = retrieval_scores(a, np.ones_like(b))
    assert same["a_to_b"] == {"recall@1": 0, "recall@5": 0, "recall@10": 0, "median_rank": 300}


def test_retrieval_within_slides():
    rng = np.random.default_rng(0)
    a, groups = rng.normal(size=(40, 8)), np.repeat(["s", "t"], [10, 30])
    found = retrieval_scores(a, a[::-1], groups)
    assert found["candidates"] == (10 * 10 + 30 * 30) / 40 and found["chance"]["recall@10"] == (10 + 30 / 3) / 40
    assert found["a_to_b"]["median_rank"] <= 30 and retrieval_scores(a, a, groups)["b_to_a"]["recall@1"] == 1
    for bad in (a[:3], np.full_like(a, np.nan)):
        with pytest.raises(DataError, match="retrieval: "):
            retrieval_scores(a, bad)


def card(folder, name="probe", seeds=(0,), ids=("a", "b"), f1=0.5):
    data = data_identity(np.array(ids))
    figures = {"embedding": {"macro_f1": {"mean": f1, "std": 0.1, "by_fold": [f1]}}, "n": 2, "auroc": np.nan}
    write_scores(folder, name, 1, {"alpha": [1.0]}, data, seeds, ["numpy"], 1, {}, {"pooled": figures})
    return folder


def test_results_are_compared_and_protocols_not_mixed(tmp_path, capsys):
    one, two = card(tmp_path / "one"), card(tmp_path / "t_wo", f1=0.25)
    done = run(capsys, "compare.py", one, two / "results.json", out=tmp_path / "out")
    assert not done.error, done.error
    text = {form: (tmp_path / f"out/comparison.{form}").read_text() for form in ("md", "csv")}
    assert "| t_wo | unknown | 0.250 ± 0.100 |\n" in text["md"] and "t_wo,unknown,0.250 ± 0.100,2,–" in text["csv"]
    done = run(capsys, "compare.py", one, two, "--all", "--names", "m_1", "m_2", out=tmp_path / "all")
    assert "| m_2 | unknown | 0.250 ± 0.100 | 2 | – |" in (tmp_path / "all/comparison.md").read_text()
    assert r"m\_2 & unknown & 0.250 $\pm$ 0.100 & 2 & --" in (tmp_path / "all/comparison.tex").read_text()
    assert json.loads((one / "results.json").read_text())["overall"]["pooled"]["auroc"] is None
    for what, other in (
        ("protocols", card(tmp_path / "a", name="other")),
        ("sets of spots", card(tmp_path / "b", ids=("a", "c"))),
        ("sets of seeds", card(tmp_path / "c", seeds=(1,))),
    ):
        assert f"two {what} can't be compared" in run(capsys, "compare.py", one, other, out=tmp_path / "no").error
    assert "has no figure 'f2'" in run(capsys, "compare.py", one, two, "--figures", "f2", out=tmp_path / "no").error
    (tmp_path / "x").mkdir()
    (tmp_path / "x/results.json").write_text("{}")
    assert "has no 'protocol'" in run(capsys, "compare.py", one, tmp_path / "x", out=tmp_path / "no").error


def test_modules_load_without_the_network(monkeypatch):
    def refuse(*_):
        raise OSError("there is no network")

    monkeypatch.setattr("socket.socket.connect", refuse)
    rng = np.random.default_rng(0)
    y, slides = rng.integers(0, 3, 200), [f"s{k % 4}" for k in range(200)]
    x = (np.eye(8)[y] * 4 + rng.normal(size=(200, 8))).astype(np.float32)
    names = [f"class {k}" for k in y]
    probe = evaluate.load(str(METRICS / "linear_probe"))
    assert probe.compute(predictions=x, references=names, groups=slides)["macro_f1"]["mean"] > 0.9
    assert len(probe.compute(predictions=x, references=names, protocol="original")["macro_f1"]["by_fold"]) == 5
    scores = evaluate.load(str(METRICS / "embedding_scores")).compute(predictions=x, references=names, slides=slides)
    assert scores["silhouette"] > 0.2 and scores["batch_mixing"] > 0.9
    found = evaluate.load(str(METRICS / "retrieval")).compute(predictions=x, references=2 * x, groups=slides)
    assert found == retrieval_scores(x, x, slides)
