"""Tasks as files: what they are of, by a root or a meta file, and running them with encoders."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

import stimage
from stimage.core.errors import DataError
from stimage.jobs.benchmarks.dealt import predict_dealt
from stimage.jobs.benchmarks.tasks import list_tasks, read_task_file, units_of
from stimage.loading.embeddings import read_embeddings
from stimage.sample import make_sample
from stimage.slides.catalog import read_catalog
from stimage.slides.splits.dealing import deal_slides
from stimage.slides.splits.splitting import Splitting
from tests.building import once
from tests.evaluation.scripts import embed, labelled_root, run
from tests.evaluation.towers import make_tower
from tests.roots import META, write_csv, write_slide

PREDICTION = """\
job: predict
select: {species: human}
each: {tech: [ST, Visium], tissue: any, slides: 2}
options: {protocol: fixed, split: slide, panel: [ERBB2, KRT8]}
metric: per_slide.pearson
baselines: {gene mean: per_slide.baselines.gene_mean.pearson}
"""


@pytest.fixture(scope="session")
def sample(tmp_path_factory) -> Path:
    return once(
        tmp_path_factory,
        "tasks",
        lambda folder: make_sample(folder / "root", genes=120, slides_per_study=2, st_side=6, visium_side=8, hd_side=8),
    ) / "root"  # fmt: skip


def test_shipped_tasks_can_be_read():
    assert {"stimage-bench-study", "labels-by-slide"} <= set(list_tasks())
    for name in list_tasks():
        task = read_task_file(name)
        assert task.name == name and task.metric and task.baselines
        assert task.job == "retrieve" or {"colour", "nuclei"} < set(task.baselines)
        assert Path(task.arguments.get("patients", __file__)).is_file()


def test_units_of_a_meta_file(tmp_path):
    """Studies that share a slide are one; slides of no study are left out where studies are held out."""
    rows = [("a", "breast", "1"), ("b", "breast", "2"), ("c", "breast", "3,2"), ("d", "breast", "4"),
            ("e", "breast", ""), ("f", "skin", "5"), ("g", "skin", "6"), ("h", "skin", "6,5")]  # fmt: skip
    fixed = {"species": "human", "tech": "Visium", "involve_cancer": "True", "spot_num": "10"}
    meta = [fixed | {"slide": slide, "tissue": tissue, "pmid": pmid} for slide, tissue, pmid in rows]
    write_csv(tmp_path / "meta.csv", [META, *([row.get(column, "") for column in META] for row in meta)])
    found = stimage.show_tasks(tmp_path / "meta.csv", "stimage-bench-study")
    assert found.values.tolist() == [["stimage-bench-study", "breast", 4, 3, 40]]
    found = stimage.show_tasks(tmp_path / "meta.csv", "stimage-bench")
    assert found.values.tolist() == [["stimage-bench", "breast", 5, 3, 50], ["stimage-bench", "skin", 3, 1, 30]]


def test_layers_are_probed_by_donor(tmp_path):
    """The shipped table of donors lies beside the task; a slide of each donor, twice, is held out with its donor."""
    names = [f"Human_Brain_Maynard_02082021_Visium_{k}" for k in (151507, 151508, 151669, 151673)]
    root = labelled_root(tmp_path, lambda slide, n: "L1" if n % 5 < 2 else "WM", names)
    meta = root / "meta/meta_all_gene.csv"
    meta.write_text(meta.read_text().replace("111,222", "33558695").replace(",ST,", ",Visium,"))
    (root / "ST").rename(root / "Visium")
    task = read_task_file("dlpfc-donors")
    (unit,) = units_of(task, read_catalog(str(root)).slides)
    assert [one.name for one in unit.slides] == names
    scores = stimage.probe(root, embed(root, tmp_path / "e"), **task.arguments, colour=False)
    donors = scores.overall["pooled"]["embedding"]["intervals"]["macro_f1_together"]["without"]
    assert set(donors) == {"Br5292", "Br5595", "Br8100"}


@pytest.mark.slow
def test_encoders_are_compared_on_a_root(sample, tmp_path, capsys):
    (tmp_path / "genes.yaml").write_text(PREDICTION)
    for kind in ("clip", "dinov2"):
        make_tower(kind, tmp_path / kind)
    arguments = (sample, "--tasks", tmp_path / "genes.yaml", "labels-by-slide", "--encoders", tmp_path / "clip",
                 tmp_path / "dinov2")  # fmt: skip
    done = run(capsys, "benchmark.py", *arguments, out=tmp_path / "out")
    assert not done.error, done.error
    table = pd.read_csv(tmp_path / "out/benchmark.csv")
    assert set(table.unit[table.task == "genes"]) == {"ST breast", "Visium breast"}
    assert set(table.groups[table.task == "genes"]) == {"too few groups to tell (2; 6 are needed)"}
    assert "position" in table and "too few groups to tell (2; 6 are needed)" in done.printed
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("results.json")}
    (again := next(iter(files))).unlink()  # as if killed before
    done = run(capsys, "benchmark.py", *arguments, out=tmp_path / "out")
    assert not done.error and pd.read_csv(tmp_path / "out/benchmark.csv").equals(table) and again.exists()
    assert all(path.stat().st_mtime_ns == when for path, when in files.items() if path != again)
    (tmp_path / "genes.yaml").write_text(PREDICTION.replace("KRT8", "ESR1"))
    assert (
        "results of another task, other slides" in run(capsys, "benchmark.py", *arguments, out=tmp_path / "out").error
    )


@pytest.mark.parametrize(("old", "new", "message"), [
    ("job: predict", "job: guess", "job 'guess' is none of predict, predict_dealt, probe, retrieve"),
    ("metric: per_slide.pearson", "", "it needs job and metric"),
    ("species: human", "organ: human", "select: organ is not known"),
    ("select: {species: human}", "select: human", "select: 'human' is no mapping"),
    ("job: predict", "job: [", "cannot be read as YAML"),
    ("job: predict", "job: [predict]", "job: ['predict'] is not a name"),
    ("select: {species", "select: {specis", "specis is not known; did you mean species"),
    ("metric: per_slide", "metrik: a\nmetric: per_slide", "metrik is not known; did you mean metric"),
    ("slides: 2", "slides: two", "each: slides: 'two' is not a whole number above 0"),
    ("slides: 2", "slides: true", "each: slides: True is not a whole number above 0"),
    ("slides: 2", "annotated: 1", "each: annotated: 1 is not true or false"),
    ("tissue: any", "tissue: {a: b}", "each: tissue: {'a': 'b'} is not any, or a list of values"),
    ("species: human", "species: {a: b}", "select: species: {'a': 'b'} is not a value"),
    ("gene mean: per_slide.baselines.gene_mean.pearson", "gene mean: 3", "baselines: gene mean: 3 is not the name"),
    ("[ERBB2, KRT8]", "[KRT8, KRT8]", "options of predict: panel.*KRT8"),
    ("[ERBB2, KRT8]", "[]", "options of predict: panel"),
    ("[ERBB2, KRT8]", "nowhere.txt", "bad.yaml: options of predict: .*nowhere.txt"),
    ("panel", "pannel", "bad.yaml: options of predict: pannel is not known; .*there are protocol"),
    ("panel", "out", "bad.yaml: options of predict: out is not known"),
    ("protocol: fixed", "protocol: fixd", "options of predict: there is no protocol 'fixd'"),
    ("protocol: fixed", "protocol: [fixed]", "options of predict: there is no protocol ['fixed']"),
])  # fmt: skip
def test_files_that_are_no_task(sample, tmp_path, old, new, message):
    (tmp_path / "bad.yaml").write_text(PREDICTION.replace(old, new))
    with pytest.raises(DataError, match=message.replace("[", r"\[").replace("{", r"\{")):
        stimage.show_tasks(sample, tmp_path / "bad.yaml")
    with pytest.raises(DataError, match="nowhere: is neither a YAML file nor a task that is shipped"):
        read_task_file("nowhere")


@pytest.mark.parametrize(("job", "options", "message"), [
    ("predict", "{split: organ}", "split='organ': pass one of slide, study, patient"),
    ("predict", "{protocol: original, split: random}", "split='random': pass one of slide, study, patient"),
    ("predict", "{n: 0}", "n=0, folds=None: pass 1 gene or more"),
    ("predict", "{protocol: neighbours, k: 0}", "k=0: pass a whole number, 1 or more"),
    ("predict", "{k: 5}", r"k= \(--k\) and keys= \(--keys\) work only with protocol='neighbours'"),
    ("predict", "{split: study, no_study: mine}", "no_study='mine': pass 'own'"),
    ("predict", "{split: patient, patients: nowhere.csv}", "nowhere.csv"),
    ("predict", "{train: S0}", r"train= \(--train\) works only with protocol='original'"),
    ("predict_dealt", "{seeds: 3}", "seeds=3: pass a list of whole numbers of 0 or more, each once"),
    ("predict_dealt", "{seeds: [1, 1]}", r"seeds=\[1, 1\]: pass a list of whole numbers of 0 or more, each once"),
    ("predict_dealt", "{n: many}", "n='many': pass a whole number of genes, 1 or more"),
    ("probe", "{split: organ}", "split='organ': pass one of random, slide, study, patient, block"),
    ("probe", "{split: [slide]}", r"split=\['slide'\]: pass one of random, slide, study, patient, block"),
    ("probe", "{on_mismatch: skip}", "on_mismatch='skip': pass one of error, drop"),
    ("probe", "{split: block, test: [S0]}", r"test= \(--test\) works only with split="),
    ("retrieve", "{k: [0]}", r"k=\[0\]: pass a list of whole numbers, 1 or more"),
    ("retrieve", "{by: organ}", "by='organ': pass one of slide, study, patient"),
])  # fmt: skip
def test_values_that_options_cannot_have_are_told_when_a_task_is_read(tmp_path, job, options, message):
    """No encoder is loaded, and nothing is embedded: the file, its option, the value, and those that are allowed."""
    (tmp_path / "bad.yaml").write_text(f"job: {job}\noptions: {options}\nmetric: pearson\n")
    with pytest.raises(DataError, match=f"bad.yaml: options of {job}: .*{message}"):
        read_task_file(str(tmp_path / "bad.yaml"))


def test_a_root_needs_tasks(sample, tmp_path, capsys):
    assert stimage.show_tasks(sample, "stimage-bench").values.tolist() == [["stimage-bench", "none", 0, 0, 0]]
    with pytest.raises(DataError, match="has no unit for the task stimage-bench"):
        stimage.benchmark_root(sample, "clip", tmp_path, "stimage-bench")
    done = run(capsys, "benchmark.py", sample, "--encoders", "clip", out=tmp_path)
    assert "a root needs tasks= (--tasks)" in done.error


def test_stimage_bench_is_a_ridge_on_dealt_slides(tmp_path, capsys):
    """Slides are dealt exactly, the penalty is the validation slides' choice, and r is over all test spots."""
    for k in range(10):
        write_slide(tmp_path / "root", f"S{k}", "Visium", side=6, seed=k, meta={"pmid": ""})
    embeddings = read_embeddings(embed(tmp_path / "root", tmp_path / "e"))
    found = predict_dealt(tmp_path / "root", embeddings, n=3, out=tmp_path / "out")
    counts = {f"S{k}": pd.read_csv(tmp_path / f"root/Visium/gene_exp/S{k}_count.csv", index_col=0).sort_index()
              for k in range(10)}  # fmt: skip
    genes = np.log1p(pd.concat(counts.values())).var().sort_values(ascending=False).index[:3].tolist()
    assert found.overall["genes"] == genes
    slides, means = read_catalog(str(tmp_path / "root")).slides, []
    for seed, fold in enumerate(found.overall["folds"]):
        dealt = {name: one.split for name, one in deal_slides(slides, Splitting("slide", seed)).items()}
        assert sorted(dealt.values()) == ["test"] + ["train"] * 8 + ["validation"]
        (x, y), _, (test, truth) = (
            _of(part, dealt, embeddings, counts, genes) for part in ("train", "validation", "test")
        )
        scale = x.std(0)
        model = Ridge(alpha=fold["alphas"]["embeddings"] * len(x)).fit(x / scale, y)
        said = model.predict(test / scale)
        means.append(np.mean([np.corrcoef(said[:, g], truth[:, g])[0, 1] for g in range(3)]))
        assert fold["pearson"] == pytest.approx(means[-1], abs=1e-5)
    assert found.overall["pooled"]["pearson"]["mean"] == pytest.approx(np.mean(means), abs=1e-5)
    with pytest.raises(DataError, match="2 slides cannot be dealt"):
        predict_dealt(stimage.open_root(tmp_path / "root", slides=["S0", "S1"]), embeddings)


def _of(part, dealt, embeddings, counts, genes) -> tuple[np.ndarray, np.ndarray]:
    names = [f"S{k}" for k in range(10) if dealt[f"S{k}"] == part]
    own = [embeddings.take(embeddings.slides == name) for name in names]
    y = [np.log1p(counts[name].loc[one.spot_ids, genes].to_numpy()) for name, one in zip(names, own)]
    return np.concatenate([one.vectors for one in own]).astype(float), np.concatenate(y)
