"""`retrieval.py` as a user runs it."""

import numpy as np
import pandas as pd
import pytest

from stimage.loading.embeddings import write_embeddings
from tests.evaluation.scripts import embed, labelled_root, run


@pytest.fixture
def root(tmp_path):
    """Two slides of 25 spots."""
    return labelled_root(tmp_path, lambda slide, n: "tumour")


def test_retrieval(root, tmp_path, capsys):
    def vectors(slide, ids):
        return np.random.default_rng([*slide.name.encode()]).normal(size=(len(ids), 8))

    embed(root, tmp_path / "a", vectors, "image")
    embed(root, tmp_path / "b", lambda slide, ids: 3 * vectors(slide, ids), "gene")
    start = ("--embeddings", tmp_path / "a", "--root", root, "--k", 1, 5, "--other")
    done = run(capsys, "retrieval.py", *start, tmp_path / "b", out=tmp_path / "out")
    assert not done.error
    assert [done.results["data"][key] for key in ("model", "other_model")] == ["image", "gene"]
    for scope, candidates in (("within", 25), ("across", 50)):
        found = done.results["overall"][scope]
        assert found["candidates"] == candidates and found["a_to_b"] == found["b_to_a"]
        intervals = found["a_to_b"].pop("intervals")
        assert found["a_to_b"] == {"recall@1": 1.0, "recall@5": 1.0, "median_rank": 1.0}
        assert set(intervals) == {"recall@1", "recall@5"} and set(intervals["recall@1"]["without"]) == {
            "Slide_A",
            "Slide_B",
        }
    csv = tmp_path / "both.csv"
    pd.DataFrame(np.eye(50, 8), [f"Slide_{s}_{i}x{j}" for s in "AB" for i in range(5) for j in range(5)]).to_csv(csv)
    done = run(capsys, "retrieval.py", "--embeddings", csv, "--other", csv, "--root", root, "--slides", "Slide_A",
               out=tmp_path / "csv")  # fmt: skip
    assert not done.error and set(done.results["slides"]) == {"Slide_A"}
    embed(root, tmp_path / "noise", model="gene")
    done = run(capsys, "retrieval.py", *start, tmp_path / "noise", out=tmp_path / "out")
    assert set(done.results["slides"]) == {"Slide_A", "Slide_B"}
    assert done.results["overall"]["across"]["a_to_b"]["median_rank"] > 10


def test_retrieval_of_what_does_not_match(root, tmp_path, capsys):
    embed(root, tmp_path / "a")
    write_embeddings(tmp_path / "few.parquet", ["Slide_A_0x0", "Slide_A_0x1"], "Slide_A", np.eye(2, 8), "gene")
    write_embeddings(tmp_path / "short.parquet", ["Slide_A_0x0", "Slide_A_0x1"], "Slide_A", np.eye(2), "gene")
    start = ("--embeddings", tmp_path / "a", "--root", root, "--other")
    assert "48 spots, such as 'Slide_A_0x2', have only one" in run(
        capsys, "retrieval.py", *start, tmp_path / "few.parquet", out=tmp_path / "out"
    ).error  # fmt: skip
    drop = ("--on-mismatch", "drop")
    done = run(capsys, "retrieval.py", *start, tmp_path / "few.parquet", *drop, out=tmp_path / "out")
    assert done.results["overall"]["across"]["n"] == 2 and done.results["data"]["left_out"] == 48
    done = run(capsys, "retrieval.py", *start, tmp_path / "short.parquet", *drop, out=tmp_path / "out")
    assert "both must be (n, d)" in done.error


def test_one_folder_of_both_kinds(root, tmp_path, capsys):
    for kind in ("images", "genes"):
        embed(root, tmp_path / "joint" / kind, model=kind)
    start = ("--root", root, "--embeddings")
    done = run(capsys, "retrieval.py", *start, tmp_path / "joint", out=tmp_path / "out")
    assert [done.results["data"][key] for key in ("model", "other_model")] == ["images", "genes"]
    assert "within slides: recall@10 1.000 and 1.000 (chance 0.400), median rank 1.0" in done.printed
    done = run(capsys, "retrieval.py", *start, tmp_path / "joint/images", out=tmp_path / "none")
    assert "images: has no folders of two kinds of embeddings" in done.error and done.results is None
