"""Results of every kind are computed again from what is saved beside them; one altered number or byte is found."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

import stimage
from stimage.core.errors import DataError
from stimage.evaluation.saved.manifest import MANIFEST, seal
from stimage.jobs.benchmarks.dealt import predict_dealt
from stimage.loading.embeddings import read_embeddings
from tests.evaluation.scripts import embed, labelled_root
from tests.roots import write_csv


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Six labelled slides of 25 spots, and noise as their embeddings."""
    folder = tmp_path_factory.mktemp("verify")
    root = labelled_root(folder, lambda slide, n: "L1" if n % 5 < 2 else "WM", [f"S{k}" for k in range(6)])
    embed(root, folder / "e")
    write_csv(folder / "patients.csv", [["slide", "patient"], *([f"S{k}", f"P{k}"] for k in range(6))])
    return root


KINDS = {
    "fixed": lambda root, e, out: stimage.predict(root, e, n=3, out=out),
    "tested": lambda root, e, out: stimage.predict(root, e, n=3, test=["S1", "S4"], colour=False, out=out),
    "neighbours": lambda root, e, out: stimage.predict(root, e, "neighbours", n=3, colour=False, out=out),
    "hest": lambda root, e, out: stimage.predict(root, e, "hest", patients=e.parent / "patients.csv", n=3, out=out),
    "original": lambda root, e, out: stimage.predict(root, e, "original", out=out),
    "dealt": lambda root, e, out: predict_dealt(root, e, n=3, out=out),
    "probe": lambda root, e, out: stimage.probe(root, e, out=out),
    "probe, tested": lambda root, e, out: stimage.probe(root, e, test=["S0", "S2"], colour=False, out=out),
    "probe, random": lambda root, e, out: stimage.probe(root, e, split="random", colour=False, out=out),
    "retrieval": lambda root, e, out: stimage.retrieve(root, e, e, out=out),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_is_computed_again(root, tmp_path, kind):
    """Each number is altered in turn with its digest, and found; so is a number of the predictions."""
    KINDS[kind](root, root.parent / "e", tmp_path)
    assert stimage.verify(tmp_path, root.parent / "e") == []
    path = tmp_path / "results.json"
    before = path.read_text()
    results = json.loads(before)
    places = [place for part in ("slides", "overall") for place in numbers(results[part], (part,))]
    assert len(places) > 30
    for place in places[:: max(1, len(places) // 12)]:
        results = json.loads(before)
        holder = results
        for key in place[:-1]:
            holder = holder[key]
        holder[place[-1]] += 1e-6 * max(1, abs(holder[place[-1]]))
        path.write_text(json.dumps(results))
        (tmp_path / "results.csv").unlink(missing_ok=True)
        seal(tmp_path, [path])
        wrong = stimage.verify(tmp_path)
        assert len(wrong) == 1 and ".".join(map(str, place)) in wrong[0], place


def numbers(value, place):
    if isinstance(value, bool | str | None):
        return
    if isinstance(value, int | float):
        yield place
        return
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield from numbers(inner, (*place, key))


@pytest.mark.parametrize("kind", ["fixed", "probe"])
def test_one_altered_byte_of_any_file_is_found(root, tmp_path, kind):
    KINDS[kind](root, root.parent / "e", tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != MANIFEST]
    assert {"results.json", "results.csv", "predictions.parquet"} <= {path.name for path in files}
    for path in files:
        data = path.read_bytes()
        for place in (0, len(data) // 2, len(data) - 1):
            path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            try:
                wrong = "\n".join(stimage.verify(tmp_path))
            except DataError as error:  # so damaged that it cannot be read
                wrong = str(error)
            assert path.name in wrong
        path.write_bytes(data)
    (tmp_path / "results.csv").unlink()
    assert stimage.verify(tmp_path) == [f"{tmp_path}: {tmp_path / 'results.csv'}: is missing"]


def test_regressors_make_the_predictions_again(root, tmp_path):
    """By hand from the tensors alone; other embeddings are found, and other regressors."""
    stimage.predict(root, root.parent / "e", n=3, test=["S1"], out=tmp_path)
    tensors = load_file(tmp_path / "regressors/fold_0.safetensors")
    table = pq.read_table(tmp_path / "predictions.parquet").to_pandas()
    x = read_embeddings(root.parent / "e").to_frame().loc[table.spot_id].drop(columns="slide").to_numpy()
    of = {key.removeprefix("embeddings."): value for key, value in tensors.items() if key.startswith("embeddings.")}
    said = (x - of["mean"]) / of["scale"] @ of["weights"] + of["intercept"]
    np.testing.assert_allclose(np.stack(table.embeddings), said, atol=1e-9)
    assert set(table.slide) == {"S1"} and {"coordinates.weights", "colour.weights", "gene_mean.intercept"} <= {*tensors}
    other = embed(root, tmp_path / "other", lambda slide, ids: np.random.default_rng(99).normal(size=(len(ids), 8)))
    wrong = stimage.verify(tmp_path, other)
    assert len(wrong) == 1 and "S1: embeddings: predictions differ by up to" in wrong[0]
    vectors = read_embeddings(root.parent / "e").to_frame().drop(columns="slide")
    for factor, n in ((1, 0), (2, 1)):
        (vectors * factor).to_csv(tmp_path / "vectors.csv")  # whose slides are told by the names of spots
        assert len(stimage.verify(tmp_path, tmp_path / "vectors.csv")) == n


def test_predictions_are_of_the_counts(root, tmp_path):
    """Truth beside a prediction is log1p of counts, to the spot and gene."""
    patients = root.parent / "patients.csv"
    stimage.predict(root, root.parent / "e", "hest", patients=patients, panel=["CD3E", "ERBB2"], out=tmp_path)
    told = json.loads(pq.read_metadata(tmp_path / "predictions.parquet").metadata[b"scoring"])
    assert [fold["genes"] for fold in told["folds"]] == [["CD3E", "ERBB2"]] * 6
    for row in pq.read_table(tmp_path / "predictions.parquet").to_pylist()[::17]:
        counts = pd.read_csv(root / f"ST/gene_exp/{row['slide']}_count.csv", index_col=0)
        want = np.log1p(counts.loc[row["spot_id"], ["CD3E", "ERBB2"]].to_numpy(float))
        assert row["truth"] == pytest.approx(want.tolist(), abs=1e-6)


def test_a_slide_of_many_row_groups_and_rerun_results(root, tmp_path, monkeypatch):
    """Regressors of earlier results do not stay; the file is read however it is cut."""
    from stimage.evaluation.saved import predictions

    stimage.predict(root, root.parent / "e", n=3, out=tmp_path, colour=False)
    assert len(list((tmp_path / "regressors").iterdir())) == 6
    monkeypatch.setattr(predictions, "ROWS", 7)
    stimage.predict(root, root.parent / "e", "neighbours", n=3, test=["S1", "S2"], out=tmp_path, colour=False)
    assert pq.read_metadata(tmp_path / "predictions.parquet").num_row_groups == 8
    assert stimage.verify(tmp_path) == []
    stimage.retrieve(root, root.parent / "e", root.parent / "e", out=tmp_path)
    assert stimage.verify(tmp_path) == [] and not (tmp_path / "regressors").exists()


def test_what_is_no_results(root, tmp_path, capsys):
    with pytest.raises(DataError, match=r"has no results.json; pass a folder that an evaluation wrote"):
        stimage.verify(tmp_path)
    stimage.retrieve(root, root.parent / "e", root.parent / "e", out=tmp_path / "out")
    with pytest.raises(DataError, match="nowhere: there is no such file or folder of embeddings"):
        stimage.verify(tmp_path / "out", tmp_path / "nowhere")
    (tmp_path / "out" / MANIFEST).unlink()
    with pytest.raises(DataError, match=r"manifest.json: cannot be read as a manifest"):
        stimage.verify(tmp_path / "out")


def test_the_command_says_what_differs(root, tmp_path, capsys):
    stimage.probe(root, root.parent / "e", out=tmp_path, colour=False)
    script = Path(__file__).parent.parent.parent / "scripts/evaluation/verify.py"
    for altered in (False, True):
        if altered:
            (tmp_path / "results.csv").write_text("scope,figure\n")
        sys.argv = ["verify.py", str(tmp_path)]
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(script), run_name="__main__")
        assert end.value.code == int(altered)
        assert ("is not the table of results.json" in capsys.readouterr().out) == altered


@pytest.mark.parametrize("kind", ["neighbours", "fixed", "probe", "retrieval"])
def test_what_is_not_held_against_embeddings_is_told(root, tmp_path, caplog, kind):
    KINDS[kind](root, root.parent / "e", tmp_path)
    assert stimage.verify(tmp_path, root.parent / "e") == []
    told = {
        "neighbours": "predictions of coordinates, embeddings are not made again",
        "fixed": "predictions of colour, coordinates are not made again",
        "probe": "is not made again of the embeddings: no classifiers are saved",
        "retrieval": "is not held against",
    }
    assert told[kind] in caplog.text
    caplog.clear()
    assert stimage.verify(tmp_path) == []
    assert ("regressors are not applied" in caplog.text) == ((tmp_path / "regressors").exists())


def test_both_kinds_of_embeddings_that_were_ranked(root, tmp_path, caplog):
    """Results of retrieval have the digests of both, and are held against both."""
    both, genes = tmp_path / "both", lambda slide, ids: np.random.default_rng(7).normal(size=(len(ids), 8))
    embed(root, both / "images")
    embed(root, both / "genes", genes)
    stimage.retrieve(root, both, out=tmp_path / "out")
    data = json.loads((tmp_path / "out/results.json").read_text())["data"]
    assert len({data["embeddings_sha256"], data["other_embeddings_sha256"]}) == 2
    assert stimage.verify(tmp_path / "out", both) == [] and not caplog.text
    for kind in ("images", "genes"):
        (both / kind / "S3.parquet").rename(tmp_path / "S3.parquet")
        (wrong,) = stimage.verify(tmp_path / "out", both)
        assert f"{both / kind}: has no embedding of spot 'S3_" in wrong
        (tmp_path / "S3.parquet").rename(both / kind / "S3.parquet")
    embed(root, both / "genes", lambda slide, ids: genes(slide, ids) + 1e-3)
    (wrong,) = stimage.verify(tmp_path / "out", both)
    assert f"{both / 'genes'}: are not the embeddings that were ranked" in wrong


def test_neighbours_are_held_against_the_embeddings_by_digest(root, tmp_path):
    stimage.predict(root, root.parent / "e", "neighbours", n=3, colour=False, keys=root.parent / "e", out=tmp_path)
    assert len(json.loads((tmp_path / "results.json").read_text())["data"]["keys_sha256"]) == 64
    assert stimage.verify(tmp_path, root.parent / "e") == []
    other = embed(root, tmp_path / "other", lambda slide, ids: np.full((len(ids), 8), 1.0 if slide == "S2" else 0))
    assert len(wrong := stimage.verify(tmp_path, other)) == 6
    assert "S0: are not the embeddings that were scored" in wrong[0]
