"""Embedding scores: the golden ones, scikit-learn's, and what they say of clusters and slides."""

import json

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import silhouette_samples as scikit_learns
from sklearn.metrics import silhouette_score

import stimage_1k4m
from stimage.scores.embedding_scores import batch_mixing, embedding_scores
from stimage.scores.silhouette import silhouette_samples
from tests.evaluation.scripts import GOLDEN, embed, labelled_root, run

SCORES = "embedding_scores.py"


def test_golden(shared, tmp_path, capsys):
    golden = json.loads((shared / "golden/golden.json").read_text())["embedding_scores"]
    done = run(capsys, SCORES, "--embeddings", shared / "golden/descriptor_embedding.csv", "--root", shared / "real",
               "--slides", *GOLDEN, out=tmp_path)  # fmt: skip
    assert not done.error, done.error
    for slide, scores in golden.items():
        found = done.results["slides"][slide]
        assert found["spots"] == scores["n"]
        for name in ("silhouette", "calinski_harabasz", "davies_bouldin"):
            assert found[name] == pytest.approx(scores[name], abs=1e-3)
    assert 0 < done.results["overall"]["batch_mixing"] < 1
    assert done.results["overall"]["over_slides"]["silhouette"]["std"] > 0


@pytest.mark.parametrize("far", [0, 100])
def test_silhouette_is_scikit_learns(far):
    rng = np.random.default_rng(0)
    labels = rng.choice(list("abcdefg"), 3000, p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.04, 0.01])
    labels[0] = "lone"
    x = (rng.normal(size=(3000, 32)) + (labels == "a")[:, None] * 0.5 + far).astype(np.float32)
    x[1:5] = x[1]  # spots that coincide
    found = silhouette_samples(x, labels)
    assert np.abs(found - scikit_learns(x.astype(float), labels)).max() < 1e-6 and found[0] == 0


def test_clusters_are_found_and_slides_that_are_apart():
    rng = np.random.default_rng(0)
    labels, slides = rng.integers(0, 3, 600), rng.integers(0, 2, 600).astype(str)
    x = (np.eye(8)[labels] * 20 + rng.normal(size=(600, 8))).astype(np.float32)
    scores = embedding_scores(x, labels)
    assert scores["kmeans"]["ari"] == 1 and scores["leiden"]["nmi"] > 0.7 and scores["silhouette"] > 0.7
    assert batch_mixing(x, labels, slides) > 0.95
    assert batch_mixing(x + (slides == "1")[:, None] * 50, labels, slides) < 0.1
    assert scores == embedding_scores(x, labels)


def test_beyond_the_limit_a_sample_is_scored_and_said_so(tmp_path, capsys):
    root = labelled_root(tmp_path, lambda slide, n: "tumour" if n % 2 or slide == "Slide_A" else "stroma")
    done = run(capsys, SCORES, "--embeddings", embed(root, tmp_path / "noise"), "--root", root, "--most", 40,
               "--norm", "unit", out=tmp_path / "out")  # fmt: skip
    assert not done.error, done.error
    assert done.results["overall"]["pooled"]["sampled"] == 40 and done.results["protocol"]["config"]["norm"] == "unit"
    assert done.results["slides"]["Slide_B"]["sampled"] is None
    assert "1 classes have no silhouette" in done.results["slides"]["Slide_A"]["left_out"]


def test_position_and_colours_stand_beside(tmp_path, capsys):
    root = labelled_root(tmp_path, lambda slide, n: "tumour" if n % 2 else "stroma")
    vectors = embed(root, tmp_path / "noise")
    done = run(capsys, SCORES, "--embeddings", vectors, "--root", root, out=tmp_path / "out")
    assert not done.error and "position alone, mean over slides: silhouette" in done.printed, done.error
    slides, over = done.results["slides"], done.results["overall"]["over_slides"]
    spots = [spot for spot in stimage_1k4m.load("ST", root, slides=["Slide_A"]) if spot["annotation"]]
    places = np.array([[spot["x"], spot["y"]] for spot in spots])
    pixels = [np.asarray(spot["image"], float).reshape(-1, 3) for spot in spots]
    colours = np.array([[*one.mean(0), *one.std(0)] for one in pixels])
    labels = [spot["annotation"] for spot in spots]
    found = slides["Slide_A"]["baselines"]
    assert found["position"]["silhouette"] == pytest.approx(silhouette_score(places, labels), abs=1e-5)
    assert found["colour"]["silhouette"] == pytest.approx(silhouette_score(colours, labels), abs=1e-2)
    differences = [one["silhouette"] - one["baselines"]["colour"]["silhouette"] for one in slides.values()]
    assert over["above"]["colour"]["silhouette"]["mean"] == pytest.approx(np.mean(differences))
    done = run(capsys, SCORES, "--embeddings", vectors, "--root", root, "--no-colour", out=tmp_path / "less")
    assert list(done.results["slides"]["Slide_A"]["baselines"]) == ["position"]
    assert "mean silhouette over slides" in done.printed and "too few groups to tell (2; 6 are needed)" in done.printed


def test_the_printed_mean_over_slides_has_its_interval(tmp_path, capsys):
    root = labelled_root(tmp_path, lambda slide, n: "tumour" if n % 2 else "stroma", [f"S{k}" for k in range(6)])
    done = run(capsys, SCORES, "--embeddings", embed(root, tmp_path / "noise"), "--root", root, "--no-colour",
               out=tmp_path / "out")  # fmt: skip
    values = [one["silhouette"] for one in done.results["slides"].values()]
    low, high = stats.t.interval(0.95, 5, np.mean(values), stats.sem(values))
    words = f"mean silhouette over slides {np.mean(values):.4f}, 95 % interval: {low:.3f} to {high:.3f} (6 groups)"
    assert words in done.printed
