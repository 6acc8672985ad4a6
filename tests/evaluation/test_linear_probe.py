"""The linear probe: against golden numbers, against scikit-learn, and what splits and bad input do to it."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from stimage.loading.embeddings import write_embeddings
from stimage.sample import make_sample
from stimage.scores.folds import group_folds, random_folds
from stimage.scores.linear_probe import predict_folds, probe_f1
from stimage.scores.logistic import fit_one_vs_rest
from stimage.scores.probe_scores import auroc, balanced_accuracy, confusion, macro_f1, summarise
from tests.evaluation.scripts import SCRIPTS, embed, labelled_root, run
from tests.roots import write_csv

PROBE = "linear_probe.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A made root of eight annotated slides, and noise as its embeddings."""
    folder = tmp_path_factory.mktemp("probe")
    make_sample(folder / "root", genes=60, slides_per_study=2, st_side=12, visium_side=14, hd_side=8)
    return folder / "root", embed(folder / "root", folder / "noise")


def clusters(n=600, d=32, k=7, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    return ((rng.normal(size=(k, d)) * 0.4)[y] + rng.normal(size=(n, d))).astype(np.float32), y


def test_original_is_a_plain_scikit_learn_loop():
    x, y = clusters()
    folds = random_folds(len(x))
    f1 = np.zeros((5, 5, 2))
    for i, fold in enumerate(folds):
        for j, alpha in enumerate((1, 0.1, 0.01, 0.001, 0.0001)):
            model = SGDClassifier(loss="log_loss", penalty="l2", alpha=alpha, class_weight="balanced", max_iter=10000,
                                  random_state=1)  # fmt: skip
            model.fit(x[fold.train].astype(float), y[fold.train])
            for part, rows in enumerate((fold.validation, fold.test)):
                f1[i, j, part] = f1_score(y[rows], model.predict(x[rows].astype(float)), average="macro")
    predicted = predict_folds("original", x, y, folds)
    best = f1[:, :, 0].mean(0).argmax()
    found = summarise(predicted, y, np.zeros(len(y)).astype(str), all_named=True)["macro_f1"]
    assert predicted.alphas == [(1.0, 0.1, 0.01, 0.001, 0.0001)[best]]
    assert found["by_fold"] == f1[:, best, 1].tolist()
    assert found["mean"] == f1[:, best, 1].mean() and found["std"] == f1[:, best, 1].std(ddof=1)


def test_the_same_whatever_the_hash_seed(made, tmp_path):
    root, noise = made
    runs = []
    for seed in ("1", "2"):
        command = [sys.executable, SCRIPTS / PROBE, "--embeddings", noise, "--root", root, "--slides",
                   "Human_Breast_Sample1_ST_A1", "--protocol", "original", "--split", "random",
                   "--out", tmp_path / seed]  # fmt: skip
        runs.append(subprocess.Popen(command, env=os.environ | {"PYTHONHASHSEED": seed}, stdout=-1, stderr=-1))
    assert all(run.wait() == 0 for run in runs), [run.stderr.read() for run in runs]
    one, two = (json.loads((tmp_path / seed / "results.json").read_text()) for seed in ("1", "2"))
    assert one.pop("seconds") and two.pop("seconds") and one == two
    assert one["versions"]["scikit-learn"] and one["seeds"] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("kind", "tolerance", "close"), [("float64", 1e-7, 2e-5), ("float32", 1e-5, 5e-4)])
def test_converged_minimises_the_objective(kind, tolerance, close):
    x, y = clusters(300, 20, 3)
    alphas = (0.1, 0.001)
    found = fit_one_vs_rest(torch.from_numpy(x.astype(kind)), y, 3, alphas, tolerance).numpy()
    for row, (alpha, k) in zip(found, ((alpha, k) for alpha in alphas for k in range(3)), strict=True):
        weight = np.where(y == k, len(y) / (3 * (y == k).sum()), 1)
        model = LogisticRegression(C=1 / (len(y) * alpha), tol=1e-10, max_iter=10000)
        model.fit(x.astype(float), y == k, sample_weight=weight)
        assert row == pytest.approx(np.r_[model.coef_[0], model.intercept_], abs=close * np.abs(model.coef_).max())


def test_metrics_are_scikit_learns():
    rng = np.random.default_rng(0)
    y, scores = rng.integers(0, 4, 200), np.round(rng.normal(size=(200, 5)), 1)
    scores[np.arange(200), y] += 1
    scores[:, 4] = -np.inf
    matrix, said = confusion(y, scores.argmax(1), 5), scores.argmax(1)
    assert macro_f1(matrix, True) == f1_score(y, said, average="macro")
    assert balanced_accuracy(matrix) == pytest.approx(balanced_accuracy_score(y, said))
    assert auroc(y, scores) == pytest.approx(np.mean([roc_auc_score(y == k, scores[:, k]) for k in range(4)]))


def test_position_exposes_the_random_split(made, tmp_path, capsys):
    root, noise = made
    scores = {}
    for split in ("random", "block", "slide", "study"):
        done = run(capsys, PROBE, "--embeddings", noise, "--root", root, "--split", split, "--no-colour",
                   out=tmp_path / split)  # fmt: skip
        assert not done.error, done.error
        scores[split] = done.results["overall"]["pooled"]["position"]["macro_f1"]["mean"]
        assert len(done.results["slides"]) == 8
    assert scores["random"] > 0.7 and max(scores["slide"], scores["study"]) < 0.25 and scores["block"] < 0.6
    assert done.results["overall"]["pooled"]["embedding"]["macro_f1"]["mean"] < 0.25
    assert done.results["data"]["left_out"]["slide without an annotation"] > 0
    with (tmp_path / "study/results.csv").open() as file:
        assert {"scope", "figure", "value", "std", "low", "high", "groups"} == set(next(csv.DictReader(file)))


def test_a_probe_by_patient_tells_signal_from_noise(tmp_path, capsys):
    root = labelled_root(tmp_path, lambda slide, n: "tumour" if n % 5 < 2 else "stroma", [f"S{k}" for k in range(4)])
    write_csv(tmp_path / "patients.csv", [["slide", "patient"], *([f"S{k}", f"P{k // 2}"] for k in range(4))])

    def signal(slide, ids):
        column = np.array([int(spot[-1]) for spot in ids])
        return np.stack([column < 2, column >= 2], 1) + np.random.default_rng(0).normal(scale=0.1, size=(len(ids), 2))

    embed(root, tmp_path / "signal", signal)
    done = run(capsys, PROBE, "--embeddings", tmp_path / "signal", "--root", root, "--split", "patient",
               "--patients", tmp_path / "patients.csv", out=tmp_path / "out")  # fmt: skip
    assert not done.error, done.error
    pooled = done.results["overall"]["pooled"]
    together = pooled["embedding"]["intervals"]["macro_f1_together"]
    assert pooled["embedding"]["macro_f1"]["mean"] == together["value"] == 1 and together["groups"] == 2
    assert "embedding above majority" in done.printed and "too few groups to tell (2; 6 are needed)" in done.printed
    assert pooled["majority"]["macro_f1"]["mean"] < 0.5 and pooled["colour"]["macro_f1"]["mean"] < 0.8
    assert done.results["protocol"]["config"]["patients_sha256"]
    write_csv(tmp_path / "splits.csv", [["slide", "split"], ["S0", "train"], *([f"S{k}", "test"] for k in (1, 2, 3))])
    options = ("--embeddings", tmp_path / "signal", "--root", root, "--splits", tmp_path / "splits.csv", "--no-colour")
    done = run(capsys, PROBE, *options, "--part", "test", out=tmp_path / "test")
    assert not done.error and set(done.results["slides"]) == {"S1", "S2", "S3"}
    assert done.results["data"]["parts"] == {"train": [], "validation": [], "test": ["S1", "S2", "S3"]}
    done = run(capsys, PROBE, *options, out=tmp_path / "all")
    assert done.results["data"]["parts"] == {"train": ["S0"], "validation": [], "test": ["S1", "S2", "S3"]}
    done = run(capsys, PROBE, *options, "--part", "validation", out=tmp_path / "none")
    assert "no slide is in validation" in done.error


def test_groups_are_never_on_two_sides():
    groups = np.repeat(list("abcdefg"), [5, 50, 20, 10, 30, 8, 9])
    tested = []
    for fold in group_folds(groups, np.arange(len(groups)).astype(str)):
        parts = [set(groups[rows]) for rows in (fold.train, fold.validation, fold.test)]
        assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
        tested += fold.test.tolist()
    assert sorted(tested) == list(range(len(groups)))


def test_probe_f1_of_training():
    x, y = clusters(400, 16, 3)
    names = np.array(["a", "b", "c"])[y]
    f1 = probe_f1(x[:300], names[:300], x[300:], names[300:])
    assert f1 > 0.6 and f1 == probe_f1(torch.from_numpy(x[:300]), names[:300], x[300:], names[300:])
    assert probe_f1(x[:300], np.random.default_rng(0).permutation(names[:300]), x[300:], names[300:]) < 0.5
    with pytest.raises(ValueError, match="one label"):
        probe_f1(x[:9], ["a"] * 9, x[9:], names[9:])


@pytest.mark.parametrize("protocol", ["original", "converged"])
def test_classes_of_one_spot_and_words_that_are_no_label(tmp_path, capsys, protocol):
    odd = {0: "", 1: "undetermined", 2: "Exclude", 3: "lone"}
    root = labelled_root(tmp_path, lambda slide, n: odd.get(n, "tumour" if n % 2 else "stroma"))
    done = run(capsys, PROBE, "--embeddings", embed(root, tmp_path / "noise"), "--root", root, "--split", "random",
               "--protocol", protocol, "--slides", "Slide_A", out=tmp_path / "out")  # fmt: skip
    assert not done.error, done.error
    assert "class 'lone' has 1 spot:" in done.printed
    assert done.results["slides"]["Slide_A"]["classes"] == {"lone": 1, "stroma": 11, "tumour": 10}
    assert done.results["data"]["left_out"]["without a label"] == 3


def test_one_class(tmp_path, capsys):
    root = labelled_root(tmp_path, lambda slide, n: "tumour" if slide == "Slide_A" or n % 2 else "stroma")
    noise = embed(root, tmp_path / "noise")
    arguments = ("--embeddings", noise, "--root", root, "--split", "random")
    assert "one label, 'tumour'" in run(capsys, PROBE, *arguments, "--slides", "Slide_A", out=tmp_path / "a").error
    done = run(capsys, PROBE, *arguments, out=tmp_path / "both")
    assert "one label" in done.results["slides"]["Slide_A"]["left_out"] and "one label" in done.printed
    assert done.results["slides"]["Slide_B"]["embedding"]


def test_bad_embeddings_and_annotations(tmp_path, capsys):
    root = labelled_root(tmp_path, lambda slide, n: "tumour" if n % 2 else "stroma")

    def error(name, *more):
        return run(capsys, PROBE, "--embeddings", tmp_path / name, "--root", root, *more, out=tmp_path / "out").error

    def holes(slide, ids):
        return np.where(np.arange(len(ids))[:, None] == 3, np.nan, np.ones((len(ids), 4)))

    embed(root, tmp_path / "nan", holes)
    assert "Slide_A_0x3" in error("nan") and "2 of 50" in error("nan")
    for name in ("mixed", "lengths", "lost", "few"):
        embed(root, tmp_path / name)
    ids = [f"Slide_B_{i}x{j}" for i in range(5) for j in range(5)]
    write_embeddings(tmp_path / "mixed/Slide_B.parquet", ids, "Slide_B", np.ones((25, 8)), "other")
    assert "two models are mixed" in error("mixed") and "noise" in error("mixed")
    write_embeddings(tmp_path / "lengths/Slide_B.parquet", ids, "Slide_B", np.ones((25, 9)), "noise")
    assert "two lengths of vector are mixed" in error("lengths")
    (tmp_path / "lost/Slide_B.parquet").unlink()
    assert "slide Slide_B: it has no embedding" in error("lost")
    write_embeddings(tmp_path / "few/Slide_B.parquet", ids[:-1], "Slide_B", np.ones((24, 8)), "noise")
    assert "1 of 25 labelled spots, such as 'Slide_B_4x4'" in error("few")
    assert not error("few", "--on-mismatch", "drop")
    write_embeddings(tmp_path / "few/Slide_C.parquet", ids[-1:] * 2, "Slide_B", np.ones((2, 8)), "noise")
    assert "spot 'Slide_B_4x4' occurs twice" in error("few")
    assert "no such file or folder" in error("nowhere")
    anno = root / "annotation"
    (anno / "Slide_A_anno.csv").write_text((anno / "Slide_B_anno.csv").read_text())
    embed(root, tmp_path / "whole")
    assert "Slide_A_anno.csv: 25 of 25 spots" in error("whole") and "are not on slide Slide_A" in error("whole")
    with (anno / "Slide_B_anno.csv").open("a") as file:
        file.write("Slide_B_0x0,tumour\n")
    assert "Slide_B_anno.csv: row 27: spot 'Slide_B_0x0' has two labels" in error("whole", "--slides", "Slide_B")
