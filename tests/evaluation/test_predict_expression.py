"""Predicting expression: the original's figures, HEST's protocol written plainly, and one that holds slides out."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from stimage.loading.embeddings import read_embeddings
from stimage.scores.folds import random_folds
from stimage.scores.ridge import fair_pearson, ridge_path
from tests.evaluation.scripts import GOLDEN, SCRIPTS, embed, run
from tests.roots import GENES, write_csv, write_slide

SCRIPT = "predict_expression.py"
DESCRIPTOR = "golden/descriptor_embedding.csv"


@pytest.fixture
def root(tmp_path):
    """Three slides of 49 spots."""
    for k in range(3):
        write_slide(tmp_path / "root", f"S{k}", "ST", side=7, seed=k)
    return tmp_path / "root"


def counts_of(root, k) -> pd.DataFrame:
    return pd.read_csv(root / f"ST/gene_exp/S{k}_count.csv", index_col=0).sort_index()


@pytest.fixture
def patients(tmp_path):
    write_csv(tmp_path / "patients.csv", [["slide", "patient"], ["S0", "a"], ["S1", "b"], ["S2", ""]])
    return tmp_path / "patients.csv"


def test_original_does_not_change_with_the_hash_seed(root, tmp_path):
    embed(root, tmp_path / "e")
    found = []
    for seed in ("0", "1"):
        command = [sys.executable, SCRIPTS / SCRIPT, "--embeddings", tmp_path / "e", "--root", root, "--protocol",
                   "original", "--maps", 0, "--out", tmp_path / seed]  # fmt: skip
        done = subprocess.run(list(map(str, command)), env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        found.append(json.loads((tmp_path / seed / "results.json").read_text()) | {"seconds": 0})
    assert found[0] == found[1] and len(found[0]["overall"]["transfer"]) == 3


def test_original_is_a_plain_loop_of_scikit_learn(root, tmp_path, capsys):
    from sklearn.linear_model import Ridge

    embed(root, tmp_path / "e")
    done = run(capsys, SCRIPT, "--embeddings", tmp_path / "e", "--root", root, "--protocol", "original",
               "--maps", 1, out=tmp_path / "out")  # fmt: skip
    assert not done.error and len(list((tmp_path / "out").glob("map_*.p*"))) == 2
    counts = counts_of(root, 1)
    counts = counts[counts.sum(axis=1) > 0]
    values = np.log1p(counts.div(counts.sum(axis=1), axis=0) * counts.sum(axis=1).median())["ERBB2"].to_numpy()
    every = read_embeddings(tmp_path / "e")
    x = every.vectors[np.isin(every.spot_ids, counts.index)]
    best = None
    for alpha in (1, 0.1, 0.01, 0.001, 0.0001):
        scores = []
        for fold in random_folds(len(x)):
            model = Ridge(alpha=alpha, solver="lsqr", fit_intercept=False, max_iter=1000)
            said = model.fit(x[fold.train], values[fold.train]).predict(x)
            mse = [np.mean((said - values)[part] ** 2) for part in (fold.validation, fold.test)]
            scores.append((*mse, np.corrcoef(said[fold.test], values[fold.test])[0, 1]))
        mean = np.mean(scores, 0)
        best = min(best or (mean[0], alpha, mean), (mean[0], alpha, mean), key=lambda one: one[0])
    found = done.results["slides"]["S1"]
    assert found["best_alpha"] == best[1]
    np.testing.assert_allclose([found["mse"]["mean"], found["pearson"]["mean"]], best[2][1:], rtol=1e-3)


def test_hest_is_the_protocol_written_plainly(root, patients, tmp_path, capsys):
    from scipy.stats import pearsonr
    from sklearn.decomposition import PCA
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    embed(root, tmp_path / "e", size=12)
    done = run(capsys, SCRIPT, "--embeddings", tmp_path / "e", "--root", root, "--protocol", "hest", "--patients",
               patients, "--n", 3, "--maps", 0, out=tmp_path / "out")  # fmt: skip
    assert not done.error
    every, genes = read_embeddings(tmp_path / "e"), hest_genes_by_scanpy(root, 3)
    assert done.results["overall"]["genes"] == genes  # four, as two share the third place
    means = []
    for k in range(3):
        test = every.slides == f"S{k}"
        y = np.log1p(pd.concat([counts_of(root, j) for j in range(3)])[genes].to_numpy(np.float32))
        pipe = make_pipeline(StandardScaler(), PCA(12)).fit(every.vectors[~test])
        ridge = Ridge(solver="lsqr", alpha=100 / (12 * len(genes)), fit_intercept=False, max_iter=1000)
        said = ridge.fit(pipe.transform(every.vectors[~test]), y[~test]).predict(pipe.transform(every.vectors[test]))
        means.append(np.mean([pearsonr(said[:, g], y[test][:, g])[0] for g in range(len(genes))]))
    found = done.results["overall"]["pearson"]
    np.testing.assert_allclose([found["mean"], found["std"]], [np.mean(means), np.std(means)], atol=1e-4)


def hest_genes_by_scanpy(root, n) -> list[str]:
    import anndata
    import scanpy

    tables = [counts_of(root, k) for k in range(3)]
    kept = [gene for gene in GENES if all((table[gene] > 0).mean() >= 0.1 for table in tables)]
    stacked = anndata.AnnData(pd.concat(tables)[kept].astype(np.float32))
    scanpy.pp.log1p(stacked)
    scanpy.pp.highly_variable_genes(stacked, n_top_genes=n)
    return stacked.var_names[stacked.var["highly_variable"]].tolist()


def test_fixed_tells_an_embedding_that_knows_from_noise(root, tmp_path, capsys):
    def knowing(slide, ids):
        noise = np.random.default_rng(0).normal(size=(len(ids), 8))
        noise[:, :4] += 5 * np.log1p(counts_of(root, int(slide.name[1])).loc[ids].to_numpy())
        return noise

    scores = {}
    for name, vectors in (("knowing", knowing), ("noise", None)):
        embed(root, tmp_path / name, vectors)
        done = run(capsys, SCRIPT, "--embeddings", tmp_path / name, "--root", root, "--n", 4, "--maps", 0,
                   out=tmp_path / f"out_{name}")  # fmt: skip
        assert not done.error
        scores[name] = done.results["overall"]
    assert scores["knowing"]["pearson"]["mean"] > 0.7 > 0.3 > scores["noise"]["pearson"]["mean"]
    assert scores["noise"]["per_slide"]["baselines"]["gene_mean"]["pearson"]["mean"] == 0
    assert scores["knowing"]["per_slide"]["of"] == 3
    folds = scores["knowing"]["folds"]
    assert [fold["test"] for fold in folds] == [["S0"], ["S1"], ["S2"]] and len(folds[0]["by_gene"]) == 4


def test_constant_genes(root, patients, tmp_path, capsys):
    """Of hest they make the mean null, and are named; fixed leaves them out, and counts them."""
    path = root / "ST/gene_exp/S1_count.csv"
    table = pd.read_csv(path, index_col=0)
    table["CD3E"] = 0
    table.to_csv(path)
    (tmp_path / "panel.txt").write_text("ERBB2\nCD3E\n")
    embed(root, tmp_path / "e")
    shared = ("--embeddings", tmp_path / "e", "--root", root, "--panel", tmp_path / "panel.txt", "--maps", 1)
    done = run(capsys, SCRIPT, *shared, "--protocol", "hest", "--patients", patients, out=tmp_path / "hest")
    assert done.results["overall"]["pearson"]["mean"] is None
    assert [fold["constant"] for fold in done.results["overall"]["folds"] if fold["test"] == ["S1"]] == [["CD3E"]]
    done = run(capsys, SCRIPT, *shared, "--slides", "S0", "S1", "S2", out=tmp_path / "fixed")
    assert done.results["slides"]["S1"]["constant_genes"] == 1 and done.results["slides"]["S1"]["genes"] == 1
    assert re.search(
        r"Pearson's r -?0\.\d{3} \(baselines: coordinates -?0\.\d{3}, colour -?0\.\d{3}, gene mean -?0\.\d{3}\): ",
        done.printed,
    )
    assert "note: maps of 1 of 3 predicted slides; maps=3 (--maps 3) draws all" in done.printed
    assert done.results["overall"]["pearson"]["mean"] is not None


def test_bad_input(root, tmp_path, capsys):
    embed(root, tmp_path / "e")
    start = ("--embeddings", tmp_path / "e", "--root")

    def error(*more):
        return run(capsys, SCRIPT, *start, *more, out=tmp_path / "out").error

    assert "lacks 1 of the panel's 1 genes: NOPE" in error(root, "--protocol", "original", "--gene", "NOPE")
    assert "form only 1 groups" in error(root, "--protocol", "hest")
    assert "form only 1 groups" in error(root, "--slides", "S0")
    write_slide(tmp_path / "other", "S0", "ST", side=3)
    assert "2 of the embeddings' 3 slides are not in the root, such as 'S1'" in error(tmp_path / "other")
    for k in (1, 2):
        write_slide(tmp_path / "other", f"S{k}", "ST", side=3)
    assert "which the embeddings have" in error(tmp_path / "other", "--protocol", "original")


def test_ridge_path_is_ridge():
    from sklearn.linear_model import Ridge

    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(40, 5)) * [1, 10, 0.1, 0, 1] + 3, draw.normal(size=(40, 2))
    for alpha, model in zip((0.01, 1.0), ridge_path(x, y, (0.01, 1.0))):
        scaled = (x - x.mean(0)) / np.where(x.std(0) > 1e-12, x.std(0), 1)
        want = Ridge(alpha=alpha * len(x)).fit(scaled, y).predict(scaled)
        np.testing.assert_allclose(model(x), want, atol=1e-9)


def test_what_does_not_vary():
    truth, said = np.array([[1, 2, 5], [2, 1, 5], [3, 5, 5]]), np.array([[1.0, 7, 1], [2, 7, 2], [4, 7, 3]])
    r = fair_pearson(truth, said)
    assert r[0] > 0.9 and r[1] == 0 and np.isnan(r[2])


def test_on_real_slides(shared, tmp_path, capsys):
    done = run(capsys, SCRIPT, "--embeddings", shared / DESCRIPTOR, "--root", shared / "real", "--maps", 1,
               out=tmp_path)  # fmt: skip
    assert not done.error and "1 slides have no embeddings and are left out" in done.printed
    assert set(done.results["slides"]) == set(GOLDEN)
