"""HEST-Benchmark from a folder in its layout, against a plain scikit-learn program after HEST's steps."""

import json
import shutil
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import stimage
from stimage.core.errors import DataError
from stimage.jobs.benchmarks.tabulating import above_first, by_task
from tests.evaluation.scripts import run
from tests.roots import write_csv

GENES = [f"G{k}" for k in range(8)]
PANEL = ["G5", "G1", "G3", "G6"]
SAMPLES = {"TENX1": 40, "INT2": 30, "ZEN3": 35}


def write_bench(folder: Path, task: str = "IDC") -> Path:
    """Write a task of three samples, each tested once, whose gene G1 counts how dark a patch is."""
    rng = np.random.default_rng(0)
    for name, n in SAMPLES.items():
        images = np.clip(rng.normal(rng.uniform(60, 220, (n, 1, 1, 1)), 25, (n, 32, 32, 3)), 0, 255).astype(np.uint8)
        counts = rng.poisson(3, (n + 5, len(GENES))).astype(np.float32)
        barcodes = [f"{name[:2]}{k:03d}-1" for k in range(n + 5)]
        counts[:n, 1] = rng.poisson((255 - images.mean((1, 2, 3))) / 10)
        shuffled = rng.permutation(n + 5)  # spots of the .h5ad are in another order, and some have no patch
        names = ([barcodes[k] for k in shuffled], GENES)
        data = anndata.AnnData(counts[shuffled], *(pd.DataFrame(index=pd.Index(n, dtype=object)) for n in names))
        for kind in ("adata", "patches", "splits"):
            (folder / task / kind).mkdir(parents=True, exist_ok=True)
        data.write_h5ad(folder / task / f"adata/{name}.h5ad")
        with h5py.File(folder / task / f"patches/{name}.h5", "w") as file:
            file["img"], file["coords"] = images, rng.integers(0, 5000, (n, 2))
            file["barcode"] = np.array(barcodes[:n], "S")[:, None]
    columns = ["sample_id", "patches_path", "expr_path"]
    for k, held in enumerate(SAMPLES):
        for part in ("train", "test"):
            names = [name for name in SAMPLES if (name == held) == (part == "test")]
            rows = [[name, f"patches/{name}.h5", f"adata/{name}.h5ad"] for name in names]
            write_csv(folder / task / f"splits/{part}_{k}.csv", [columns, *rows])
    (folder / task / "var_50genes.json").write_text(json.dumps({"genes": PANEL}))
    return folder


def colours_and_logs(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return what HEST's steps make of a sample: embeddings in the order of the patches, and log1p of their counts."""
    with h5py.File(folder / f"IDC/patches/{name}.h5") as file:
        images, barcodes = file["img"][:], file["barcode"][:].flatten().astype(str).tolist()
    table = anndata.read_h5ad(folder / f"IDC/adata/{name}.h5ad")[barcodes][:, PANEL]
    pixels = images.reshape(len(images), -1, 3).astype(np.float32)
    return np.concatenate([pixels.mean(1), pixels.std(1)], 1), np.log1p(table.to_df().to_numpy().astype(np.float64))


@pytest.mark.parametrize("head", ["ridge-pca256", "ridge"])
def test_both_ridge_protocols_are_hests_steps_in_scikit_learn(tmp_path, head):
    folder = write_bench(tmp_path / "bench")
    found = stimage.benchmark(folder, [], tmp_path / "out", heads=head)
    assert found.encoder.tolist() == ["colour", "nuclei", "position"]
    means = []
    for held in SAMPLES:
        train = [colours_and_logs(folder, name) for name in SAMPLES if name != held]
        (x, y), (test, truth) = (np.concatenate(parts) for parts in zip(*train)), colours_and_logs(folder, held)
        if head == "ridge-pca256":
            pipe = Pipeline([("scaler", StandardScaler()), ("PCA", PCA(6, random_state=1))])
            x, test = (part.astype(np.float32) for part in (pipe.fit_transform(x), pipe.transform(test)))
        model = Ridge(solver="lsqr", alpha=100 / (x.shape[1] * y.shape[1]), random_state=1, fit_intercept=False,
                      max_iter=1000)  # fmt: skip
        said = model.fit(x, y).predict(test)
        means.append(np.mean([pearsonr(truth[:, g], said[:, g])[0] for g in range(len(PANEL))]))
    assert found.pearson[0] == pytest.approx(np.mean(means), abs=1e-6)
    assert found["std"][0] == pytest.approx(np.std(means), abs=1e-6)
    results = json.loads((tmp_path / "out/IDC" / head / "colour/results.json").read_text())["overall"]
    assert [fold["pearson"] for fold in results["folds"]] == pytest.approx(means, abs=1e-6)
    sample = json.loads((tmp_path / "out/IDC" / head / "colour/results.json").read_text())["slides"]["TENX1"]
    assert sample["of_ceiling"] == results["folds"][0]["of_ceiling"]  # which is of this sample alone
    assert results["folds"][0]["by_gene"]["G1"] > 0.8 and results["folds"][0]["test"] == ["TENX1"]


@pytest.mark.parametrize("head", ["random-forest", "xgboost"])
def test_trees(tmp_path, head):
    if head == "xgboost":
        pytest.importorskip("xgboost")
    folder = write_bench(tmp_path / "bench")
    found = stimage.benchmark(folder, [], tmp_path / "out", heads=[head], tasks="IDC")
    results = json.loads((Path(found.results[0]) / "results.json").read_text())["overall"]
    assert min(fold["by_gene"]["G1"] for fold in results["folds"]) > 0.5


def test_an_encoder_embeds_once_and_the_same_call_goes_on(tmp_path):
    from tests.evaluation.towers import make_tower

    folder, tower = write_bench(tmp_path / "bench"), tmp_path / "clip"
    make_tower("clip", tower)
    first = stimage.benchmark(folder, tower, tmp_path / "out", heads=["ridge", "ridge-pca256"])
    assert len(first) == 10
    assert {"colour", "position", "nuclei", str(tower), f"untrained:{tower}"} == set(first.encoder)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()}
    again = stimage.benchmark(folder, tower, tmp_path / "out", heads=["ridge", "ridge-pca256"])
    pd.testing.assert_frame_equal(first, again)
    assert files == {path: path.stat().st_mtime_ns for path in files}
    (tmp_path / "out/IDC/ridge/colour/results.json").unlink()  # as if killed before
    pd.testing.assert_frame_equal(
        first, stimage.benchmark(folder, tower, tmp_path / "out", heads=["ridge", "ridge-pca256"])
    )
    with pytest.raises(DataError, match="results of other data, embeddings or options"):
        stimage.benchmark(folder, [], tmp_path / "out", heads="ridge", seed=2)


def test_an_altered_byte_or_figure_is_found(tmp_path):
    found = stimage.benchmark(write_bench(tmp_path / "bench"), [], tmp_path / "out", heads="ridge")
    place = Path(found.results[0])
    assert stimage.verify(place) == stimage.verify(tmp_path / "out") == []
    results = json.loads((place / "results.json").read_text())
    results["overall"]["folds"][1]["by_gene"]["G3"] += 0.01
    (place / "results.json").write_text(json.dumps(results))
    wrong = stimage.verify(place)
    assert len(wrong) == 2 and "results.json: is not the file that was written" in wrong[0]
    assert "overall.folds.1.by_gene.G3: " in wrong[1]
    data = bytearray((place / "predictions.parquet").read_bytes())
    data[len(data) // 2] ^= 1
    (place / "predictions.parquet").write_bytes(data)
    assert any("predictions.parquet: is not the file that was written" in one for one in stimage.verify(place))


def test_folders_that_are_none(tmp_path):
    def error(match, **options):
        with pytest.raises(DataError, match=match):
            stimage.benchmark(tmp_path / "bench", [], tmp_path / "out", **options)

    (tmp_path / "bench").mkdir()
    error("has no task of HEST-Benchmark")
    write_bench(tmp_path / "bench")
    error("has no task 'PRAD', but IDC", tasks="PRAD")
    (tmp_path / "bench/IDC/var_50genes.json").write_text('{"genes": ["G1", "NOPE"]}')
    error("lacks 1 of the task's 2 genes: NOPE")
    (tmp_path / "bench/IDC/var_50genes.json").write_text("[]")
    error("cannot be read as a list of genes")
    (tmp_path / "bench/IDC/var_50genes.json").write_text('{"genes": []}')
    error("var_50genes.json: has no list of genes")
    (tmp_path / "bench/IDC/var_50genes.json").write_text('{"genes": ["G1", "G2", "G1"]}')
    error("var_50genes.json: names G1 twice")
    write_bench(tmp_path / "bench")
    splits = tmp_path / "bench/IDC/splits"
    shutil.copy(splits / "train_0.csv", splits / "train_0 (1).csv")
    error(r"has train_0 \(1\).csv, .* as folds; expected train_0.csv")
    (splits / "train_0 (1).csv").unlink()
    (splits / "train_0.csv").write_text((splits / "train_0.csv").read_text().replace("INT", "../../INT", 1))
    error(r"train_0.csv: '../../INT.' is no slide name")
    write_bench(tmp_path / "bench")
    shutil.copy(splits / "train_0.csv", splits / "test_0.csv")
    error("train_0.csv and test_0.csv both have INT2, ZEN3; a sample that is trained on cannot be tested")
    write_bench(tmp_path / "bench")
    (tmp_path / "bench/IDC/patches/INT2.h5").unlink()
    error("sample INT2: there is no .*INT2.h5")
    with pytest.raises(ValueError, match="heads='lasso': pass any of ridge-pca256"):
        stimage.benchmark(tmp_path / "bench", [], tmp_path / "out", heads="lasso")


def test_the_table_of_many_tasks_has_paired_differences(tmp_path, capsys):
    for k in range(6):
        write_bench(tmp_path / "bench", f"T{k}")
    done = run(
        capsys, "benchmark.py", tmp_path / "bench", "--encoders", "colour", "--heads", "ridge", out=tmp_path / "o"
    )
    assert not done.error and "| ridge | position | colour | -" in done.printed and "(6 groups)" in done.printed
    lines = (tmp_path / "o/benchmark.csv").read_text().splitlines()
    assert lines[0] == "head,encoder,T0,T1,T2,T3,T4,T5,mean,95 % interval over tasks"
    assert any(line.startswith("ridge,colour,") for line in lines)
    assert "colour" in (tmp_path / "o/benchmark.tex").read_text()


def test_an_encoder_that_says_nothing_is_last_and_paired_where_it_is_known():
    rows = [(f"T{k}", "ridge", encoder, np.nan if encoder == "b" and k == 0 else 0.1 * k + 0.2 * (encoder == "c"), 0.0)
            for k in range(8) for encoder in "bac"]  # fmt: skip
    found = pd.DataFrame(rows, columns=["task", "head", "encoder", "pearson", "std"])
    assert [line[1] for line in by_task(found)[1:]] == ["c", "a", "b"]
    lines = {line[1]: line[3:] for line in above_first(found, "a")[1:]}
    assert lines["c"] == ["+0.200", "0.200 to 0.200 (8 groups)"]
    assert lines["b"] == [
        "+0.000",
        "0.000 to 0.000 (7 groups)",
    ]
