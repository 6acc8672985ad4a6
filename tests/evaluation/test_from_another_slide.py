"""One slide from another, as the original's last step: the tables and the regressor, against a plain program."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file
from sklearn.linear_model import Ridge

import stimage
from stimage.core.errors import DataError
from stimage.loading.embeddings import read_embeddings
from stimage.loading.provenance import Provenance
from stimage.scores.folds import random_folds
from tests.evaluation.scripts import embed, run
from tests.roots import write_slide


def plain(root, train, test, vectors, gene):
    """Predict a slide from another with pandas, NumPy and scikit-learn alone; return truth, prediction and alpha."""
    tables = []
    for name in (train, test):
        counts = pd.read_csv(root / f"ST/gene_exp/{name}_count.csv", index_col=0)
        counts = counts[(counts > 0).sum(axis=1) > 0]
        counts = counts.div(counts.sum(axis=1), axis=0) * counts.sum(axis=1).median()
        tables.append(np.log1p(counts[gene]))
    known = tables[0].sort_index()
    x, y = vectors.loc[known.index].to_numpy(), known.to_numpy()
    errors = []
    for alpha in (1, 0.1, 0.01, 0.001, 0.0001):
        of = [(fold, ridge(alpha).fit(x[fold.train], y[fold.train])) for fold in random_folds(len(x))]
        errors.append((np.mean([np.mean((m.predict(x[f.validation]) - y[f.validation]) ** 2) for f, m in of]), alpha))
    alpha = min(errors, key=lambda one: one[0])[1]
    spots = pd.read_csv(root / f"ST/coord/{test}_coord.csv", index_col=0).index
    spots = spots[spots.isin(vectors.index)]
    return tables[1], pd.Series(ridge(alpha).fit(x, y).predict(vectors.loc[spots].to_numpy()), spots), alpha


def ridge(alpha):
    return Ridge(alpha=alpha, solver="lsqr", fit_intercept=False, max_iter=1000, random_state=0)


def check(folder, root, train, test, embeddings, gene):
    names = [path.name.removesuffix("_coord.csv") for path in (root / "ST/coord").iterdir()]
    vectors = read_embeddings(embeddings, names).to_frame().drop(columns="slide").astype(float)
    truth, predicted, alpha = plain(root, train, test, vectors, gene)
    order = stimage.read_slide(stimage.open_root(root, on_mismatch="drop"), test).obs_names
    for name, want in (("truth", truth), ("predicted", predicted)):
        found = pd.read_csv(folder / f"{name}_{test}.csv", index_col=0)
        assert found.columns.tolist() == [gene] and set(found.index) == set(want.index)
        np.testing.assert_allclose(found[gene], want[found.index], atol=1e-5)
        assert found.index.tolist() == [spot for spot in order if spot in set(want.index)]
    last = sorted((folder / "regressors").iterdir(), key=lambda path: int(path.stem.partition("_")[2]))[-1]
    said = vectors.loc[predicted.index].to_numpy() @ load_file(last)["embeddings.weights"]
    np.testing.assert_allclose(said[:, 0], predicted, atol=1e-5)
    return alpha


@pytest.fixture
def root(tmp_path):
    for k in range(3):
        write_slide(tmp_path / "root", f"S{k}", "ST", side=7, seed=k)
    return tmp_path / "root"


def test_a_slide_from_another_is_a_plain_program(root, tmp_path, capsys):
    """A spot without a count is predicted, but has no truth; the third slide is in nothing."""
    path = root / "ST/gene_exp/S2_count.csv"
    counts = pd.read_csv(path, index_col=0)
    counts.iloc[3] = 0
    counts.sample(frac=1, random_state=0).to_csv(path)
    embed(root, tmp_path / "e")
    done = run(capsys, "predict_expression.py", "--embeddings", tmp_path / "e", "--root", root, "--protocol",
               "original", "--gene", "ESR1", "--train", "S0", "--test", "S2", "--maps", 0,
               out=tmp_path / "out")  # fmt: skip
    assert not done.error and "S2 from S0: Pearson's r" in done.printed
    (transfer,) = done.results["overall"]["transfer"]
    assert transfer["alpha"] == check(tmp_path / "out", root, "S0", "S2", tmp_path / "e", "ESR1")
    assert (
        set(done.results["slides"]) == {"S0"} and transfer["n"] == len(pd.read_csv(tmp_path / "out/truth_S2.csv")) < 49
    )
    assert len(pd.read_csv(tmp_path / "out/predicted_S2.csv")) == 49
    assert stimage.verify(tmp_path / "out", tmp_path / "e") == []


def test_options_of_it(root, tmp_path):
    embed(root, tmp_path / "e")

    def predict(**options):
        return stimage.predict(root, tmp_path / "e", "original", colour=False, **options)

    with pytest.raises(ValueError, match=r"train= \(--train\) works only with protocol='original' .* test= \(--test\)"):
        predict(train="S0")
    with pytest.raises(ValueError, match="'S1' is among the slides of test="):
        predict(train="S1", test=["S1", "S2"])
    with pytest.raises(DataError, match=r"train= \(--train\): 'S9' is none of the 3 slides"):
        predict(train="S9", test=["S1"])
    found = predict(train="s1", test=["S0", "S2"])
    assert [(one["trained_on"], one["tested_on"]) for one in found.overall["transfer"]] == [("S1", "S0"), ("S1", "S2")]


def test_the_slide_that_is_trained_on_is_scored_too(root, tmp_path):
    """Figures are of its spots, so a model that has seen it is refused."""
    read = read_embeddings(embed(root, tmp_path / "e"))

    def predict(seen, trained):
        own = replace(read, provenance=Provenance(trained=dict.fromkeys(trained, "")))
        return stimage.predict(root, own, "original", train="S0", test=["S1", "S2"], seen=seen, colour=False)

    with pytest.raises(DataError, match="was trained on 1 of the 3 slides that would be scored: S0"):
        predict("error", ["S0"])
    for trained in (["S0"], ["S1", "S2"]):
        with pytest.raises(DataError, match=r"was trained on the slide of train= .* all slides of test= \(--test\)"):
            predict("drop", trained)
    assert [one["tested_on"] for one in predict("drop", ["S1"]).overall["transfer"]] == ["S2"]
    assert "1 of 3 slides were trained on" in predict("score", ["S0"]).notes[0]


def test_on_real_slides(shared, tmp_path):
    train, test = (f"Human_Breast_Andersson_10142021_ST_C{k}" for k in (2, 3))
    embeddings = shared / "golden/descriptor_embedding.csv"
    found = stimage.predict(shared / "real", embeddings, "original", train=train, test=[test], out=tmp_path)
    assert found.overall["transfer"][0]["alpha"] == check(tmp_path, shared / "real", train, test, embeddings, "ERBB2")
