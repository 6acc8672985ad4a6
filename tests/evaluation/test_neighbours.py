"""Prediction by neighbours: the mean of the nearest spots of training slides, never of a spot's own slide."""

import numpy as np
import pandas as pd
import pytest

from stimage.loading.embeddings import read_embeddings
from tests.evaluation.scripts import embed, run
from tests.roots import write_slide

SCRIPT, GENES = "predict_expression.py", ["ERBB2", "CD3E"]


@pytest.fixture
def root(tmp_path):
    """Three slides of 49 spots."""
    for k in range(3):
        write_slide(tmp_path / "root", f"S{k}", "ST", side=7, seed=k)
    (tmp_path / "panel.txt").write_text("\n".join(GENES))
    return tmp_path / "root"


@pytest.fixture
def predict(root, tmp_path, capsys):
    """Run the protocol; return how it ended."""

    def predict(embeddings, *more):
        words = ("--embeddings", embeddings, "--root", root, "--panel", tmp_path / "panel.txt", "--maps", 0)
        return run(capsys, SCRIPT, *words, *more, out=tmp_path / "out")

    return predict


def expression_of(root, k) -> pd.DataFrame:
    counts = pd.read_csv(root / f"ST/gene_exp/S{k}_count.csv", index_col=0).sort_index()
    totals = counts.sum(axis=1)
    counts, totals = counts[totals > 0], totals[totals > 0]
    return np.log1p(counts.div(totals, axis=0) * totals.median())[GENES]


def by_hand(root, queries, keys, k) -> dict[str, float]:
    """Return each slide's mean squared error of the mean of the k nearest spots of the other two."""
    values = pd.concat([expression_of(root, slide) for slide in range(3)])
    errors = {}
    for slide in ("S0", "S1", "S2"):
        own = [spot for spot in values.index if spot.startswith(slide)]
        others = [spot for spot in values.index if not spot.startswith(slide)]
        a, b = (table.loc[spots].to_numpy() for table, spots in ((queries, own), (keys, others)))
        a, b = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (a, b))
        nearest = np.argsort(-(a @ b.T), axis=1)[:, :k]
        said = values.loc[others].to_numpy()[nearest].mean(1)
        errors[slide] = float(((said - values.loc[own].to_numpy()) ** 2).mean())
    return errors


@pytest.mark.parametrize("by_genes", [False, True])
def test_neighbours_are_those_of_a_plain_loop(root, predict, tmp_path, by_genes):
    images, genes = embed(root, tmp_path / "images"), embed(root, tmp_path / "genes", lambda slide, ids: np.random.
                          default_rng(7).normal(size=(len(ids), 8)), "genes")  # fmt: skip
    tables = [read_embeddings(folder).to_frame().drop(columns="slide") for folder in (images, genes)]
    done = predict(images, "--protocol", "neighbours", "--k", 5, *(["--keys", genes] if by_genes else []))
    assert not done.error
    want = by_hand(root, tables[0], tables[by_genes], 5)
    assert {name: one["mse"] for name, one in done.results["slides"].items()} == pytest.approx(want, rel=1e-4)
    assert done.results["protocol"]["name"] == "expression-neighbours" and done.results["protocol"]["config"]["k"] == 5
    assert done.results["protocol"]["config"]["keys"] == ("genes" if by_genes else "their own")
    assert set(done.results["overall"]["per_slide"]["baselines"]) == {"gene_mean", "coordinates", "colour"}


def test_embeddings_that_tell_the_expression_predict_it(root, predict, tmp_path):
    values = {f"S{k}": expression_of(root, k) for k in range(3)}

    def told(slide, ids):
        return values[slide.name].reindex(ids).fillna(0).to_numpy() + 1e-3

    done = predict(embed(root, tmp_path / "told", told), "--protocol", "neighbours", "--k", 1)
    noise = predict(embed(root, tmp_path / "noise"), "--protocol", "neighbours", "--k", 1)
    assert done.results["overall"]["pearson"]["mean"] > noise.results["overall"]["pearson"]["mean"] + 0.3
    every = predict(tmp_path / "noise", "--protocol", "neighbours", "--k", 1000)  # all that there are: the mean
    scores = every.results["overall"]["per_slide"]
    assert scores["mse"]["mean"] == pytest.approx(scores["baselines"]["gene_mean"]["mse"]["mean"], rel=1e-5)


def test_what_does_not_fit_is_refused(root, predict, tmp_path):
    embed(root, tmp_path / "e")
    assert "work only with protocol='neighbours'" in predict(tmp_path / "e", "--k", 3).error
    assert "work only with protocol='neighbours'" in predict(tmp_path / "e", "--keys", tmp_path / "e").error
    few, narrow = embed(root, tmp_path / "few"), embed(root, tmp_path / "narrow", size=5)
    (few / "S1.parquet").unlink()
    start = ("--protocol", "neighbours", "--keys")
    assert "keys= (--keys): lacks 49 of the 49 spots of slide S1" in predict(tmp_path / "e", *start, few).error
    assert "has vectors of 5, but the embeddings have 8" in predict(tmp_path / "e", *start, narrow).error


@pytest.mark.parametrize("protocol", ["fixed", "neighbours"])
def test_named_slides_are_tested_at_once_by_what_others_have(root, predict, tmp_path, protocol):
    embed(root, tmp_path / "e")
    turns = predict(tmp_path / "e", "--protocol", protocol)
    done = predict(tmp_path / "e", "--protocol", protocol, "--test", "S1")
    assert done.results["slides"] == {"S1": turns.results["slides"]["S1"]}
    assert done.results["protocol"]["config"]["test"] == ["S1"]
    done = predict(tmp_path / "e", "--protocol", protocol, "--test", "s1", "S2")
    assert sorted(done.results["slides"]) == ["S1", "S2"] and len(done.results["overall"]["folds"]) == 1
    start = ("--protocol", protocol, "--test")
    assert "'S9' is none of the 3 slides" in predict(tmp_path / "e", *start, "S9").error
    assert "no slide is left to train on" in predict(tmp_path / "e", *start, "S0", "S1", "S2").error
    assert "test= (--test) works only with" in predict(tmp_path / "e", *start, "S0", "--folds", 2).error
