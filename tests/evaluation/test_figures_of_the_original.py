"""The figures and tables of the data set's authors, drawn from results alone, and from slides where these are shown."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from sklearn.manifold import TSNE

from stimage.figures.charts.boxes import score_boxes
from tests.evaluation.scripts import embed, labelled_root, run
from tests.figures import words_of
from tests.roots import write_slide

SCRIPT, MODELS, LABELS = "figures.py", ("one", "two"), ("adipose", "tumour")
SLIDES = ("Slide_A", "Slide_B", "Slide_C")


@pytest.fixture
def root(tmp_path):
    """Three slides of 25 spots; the third is of another study."""
    labelled_root(tmp_path, lambda slide, n: LABELS[n % 5 < 2] if n else None, SLIDES)
    meta = tmp_path / "root/meta/meta_all_gene.csv"
    lines = [line.replace("111,222", "333") if "Slide_C" in line else line for line in meta.read_text().splitlines()]
    meta.write_text("\n".join(lines) + "\n")
    return tmp_path / "root"


def embedded(root, folder):
    def vectors(slide, ids):
        return np.random.default_rng(len(slide.name)).normal(size=(len(ids), 8)) + np.arange(len(ids))[:, None] % 5

    return [embed(root, folder / model, None if k else vectors, model) for k, model in enumerate(MODELS)]


def scored(root, folders, out, capsys):
    """Return the folders of the probes' and of the scores' results."""
    for model, folder in zip(MODELS, folders):
        start = ("--embeddings", folder, "--root", root)
        assert not run(capsys, "embedding_scores.py", *start, out=out / "scores" / model).error
        probe = ("linear_probe.py", *start, "--protocol", "original", "--split", "random", "--no-colour")
        assert not run(capsys, *probe, out=out / "probe" / model).error
    return [[out / what / model for model in MODELS] for what in ("probe", "scores")]


def rows_of(path, delimiter=","):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def test_one_sheet_of_results_alone(root, tmp_path, capsys):
    folders = embedded(root, tmp_path)
    probes, scores = scored(root, folders, tmp_path, capsys)
    assert not run(capsys, SCRIPT, "projection", "--embeddings", *folders, "--root", root, out=tmp_path / "p").error
    points = tmp_path / "p/projection_t-sne.csv"
    start = (SCRIPT, "models", "--probes", *probes, "--scores", *scores, "--points", points)
    slide = ("--root", root, "--slide", "Slide_B")
    assert not run(capsys, *start, *slide, out=tmp_path / "with").error
    hidden = root.rename(tmp_path / "elsewhere")
    assert not run(capsys, *start, out=tmp_path / "without").error
    hidden.rename(root)
    for folder, letters in (("with", "abcd"), ("without", "abc")):
        said = words_of(tmp_path / folder / "models.pdf").splitlines()
        assert [word for word in said if word in tuple("abcd")] == sorted(letters)
        assert {*MODELS, *SLIDES, *LABELS, "no label"} <= {*said}
        assert ("Slide_B" in said) and (said.count("Slide_B") == 1 + (folder == "with"))
        assert np.asarray(Image.open(tmp_path / folder / "models.png").convert("L")).std() > 5
    wrong = run(capsys, *start, "--names", "one", "three", out=tmp_path / "no")
    assert "probes, scores and points are of other models" in wrong.error
    alone = run(capsys, *start, "--slide", "Slide_B", out=tmp_path / "no")
    assert alone.error == 2


def test_a_projection_is_drawn_again_from_its_table(root, tmp_path, capsys):
    folders = embedded(root, tmp_path)
    one = ("--method", "t-SNE-original")
    start = (SCRIPT, "projection", "--embeddings", *folders)
    assert run(capsys, *start, out=tmp_path / "no").error == 2  # without a root
    assert not run(capsys, *start, "--root", root, *one, out=tmp_path / "first").error
    table = tmp_path / "first/projection_t-sne-original.csv"
    assert not run(capsys, SCRIPT, "projection", "--points", table, out=tmp_path / "again").error
    drawn = [(tmp_path / folder / table.name).with_suffix(".png").read_bytes() for folder in ("first", "again")]
    assert drawn[0] == drawn[1]
    rows = [row for row in rows_of(table) if row["model"] == "one"]
    assert [*rows[0]] == ["model", "spot_id", "slide", "label", "x", "y"] and len(rows) == 75
    of_spot = {row["spot_id"]: row for row in rows}
    assert of_spot["Slide_A_0x0"]["label"] == "" and of_spot["Slide_A_0x1"]["label"] == "tumour"
    vectors = np.concatenate([
        np.random.default_rng(7).normal(size=(25, 8)) + np.arange(25)[:, None] % 5 for _ in SLIDES
    ]).astype(np.float32)  # fmt: skip
    plain = TSNE(random_state=0).fit_transform(vectors.astype(float))
    assert np.allclose([[float(row["x"]), float(row["y"])] for row in rows], plain, atol=1e-3)
    table.write_text("model,spot_id,slide,label,x,y\na,s,A,,left,1\n")
    assert "x and y must be numbers" in run(capsys, SCRIPT, "projection", "--points", table, out=tmp_path / "n").error


def test_a_few_spots_have_no_original_tsne(root, tmp_path, capsys):
    folder = embedded(root, tmp_path)[0]
    few = run(capsys, SCRIPT, "projection", "--embeddings", folder, "--root", root, "--slides", "Slide_A", "--method",
              "t-SNE-original", out=tmp_path / "n")  # fmt: skip
    assert "25 spots are too few for t-SNE-original" in few.error


def test_annotated_slides_one_of_each_study(root, tmp_path, capsys):
    write_slide(root, "Slide_D", "ST")
    assert not run(capsys, SCRIPT, "annotated", "--root", root, out=tmp_path / "studies").error
    said = words_of(tmp_path / "studies/annotated.pdf").splitlines()
    assert [word for word in said if word in ("Slide_A", "Slide_B", "Slide_C", "Slide_D")] == ["Slide_A", "Slide_C"]
    assert [word for word in said if word.startswith("study")] == ["study 111, n = 2", "study 333, n = 1"]
    assert said.count("tumour") == 2 and said.count("no label") == 2
    assert not run(capsys, SCRIPT, "annotated", "--root", root, "--slides", "Slide_B", out=tmp_path / "one").error
    assert "Slide_B" in words_of(tmp_path / "one/annotated.pdf")
    none = run(capsys, SCRIPT, "annotated", "--root", root, "--slides", "Slide_D", out=tmp_path / "none")
    assert "none of the slides has annotations" in none.error


def test_boxes_have_a_point_for_each_slide():
    def card(values):
        slides = {slide: {"silhouette": v, "calinski_harabasz": v and 10 * v, "davies_bouldin": {"mean": v, "std": 0}}
                  for slide, v in values.items()}  # fmt: skip
        return {"slides": slides}

    results = {"a": card({"S10": 0.1, "S9": 0.2}), "b": card({"S9": 0.5}), "c": card({"S10": None, "S9": 0.3})}
    results["c"]["slides"]["S10"] = {"spots": 9, "left_out": "one label"}
    figure = score_boxes(results)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["S9", "S10"]
    for axes, times in zip(figure.axes, (1, 10, 1)):
        found = {(line.get_gid(), round(line.get_xdata()[0])): line for line in axes.lines if line.get_gid()}
        assert {key: line.get_ydata()[0] for key, line in found.items()} == pytest.approx({
            ("point of S9", 1): 0.2 * times, ("point of S10", 1): 0.1 * times, ("point of S9", 2): 0.5 * times,
            ("point of S9", 3): 0.3 * times,
        })  # fmt: skip
        of_slide = {line.get_markerfacecolor() for (gid, _), line in found.items() if gid == "point of S9"}
        assert len(of_slide) == 1 and of_slide != {found["point of S10", 1].get_markerfacecolor()}
    many = {"a": card({f"S{k}": k / 30 for k in range(30)})}
    assert not score_boxes(many).legends  # all grey: there is no colour for each


def test_tables_as_the_authors_have_them(root, tmp_path, capsys):
    probes, scores = scored(root, embedded(root, tmp_path), tmp_path, capsys)
    for results in (probes, scores):
        assert not run(capsys, "compare.py", *results, "--original", out=tmp_path / "tables").error
    rows = rows_of(tmp_path / "tables/linear_probing_result.csv", "\t")
    assert [*rows[0]] == ["model_name", "best_alpha", "mean_wf1", "std_wf1", "data_name"]
    assert [(row["model_name"], row["data_name"]) for row in rows] == [(m, s) for m in MODELS for s in ("111", "333")]
    card = json.loads((probes[1] / "results.json").read_text())
    for row, entry in zip(rows[2:], (card["overall"]["studies"]["111"], card["slides"]["Slide_C"])):
        f1, alphas = entry["embedding"]["macro_f1"], entry["embedding"]["alpha"]
        assert float(row["mean_wf1"]) == pytest.approx(np.mean(f1["by_fold"]), abs=1e-12)
        assert float(row["std_wf1"]) == pytest.approx(np.std(f1["by_fold"], ddof=1), abs=1e-12)
        assert {float(row["best_alpha"])} == {*alphas}
    rows = rows_of(tmp_path / "tables/silhouette_score.csv", "\t")
    heads = ["model", "silhouette_score", "Calinski-Harabasz_score", "Davies-Bouldin_score", "slide"]
    assert [*rows[0]] == heads and [row["slide"] for row in rows] == [*SLIDES, *SLIDES]
    card = json.loads((scores[0] / "results.json").read_text())["slides"]["Slide_B"]
    assert float(rows[1]["Davies-Bouldin_score"]) == card["davies_bouldin"]


def test_other_protocols_have_no_table_of_the_authors(root, tmp_path, capsys):
    folder = embedded(root, tmp_path)[0]
    assert not run(capsys, "linear_probe.py", "--embeddings", folder, "--root", root, "--no-colour",
                   out=tmp_path / "probe").error  # fmt: skip
    refused = run(capsys, "compare.py", tmp_path / "probe", "--original", out=tmp_path / "no")
    assert "linear_probe/converged, split by slide, has no table of the data set's authors" in refused.error
    assert not (tmp_path / "no").exists()
