"""Figures and retrieval: that they are drawn, whole, of what they are asked for; how they look is for eyes."""

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from stimage.core.errors import DataError
from stimage.evaluation.embeddings import write_embeddings
from stimage.figures.charts import collection_bars, collection_pies, f1_bars
from stimage.figures.colours import OKABE_ITO
from stimage.figures.maps import prediction_maps
from stimage.figures.style import label_styles
from stimage.scores.projection import project
from stimage.slides.meta_file import read_collection
from tests.evaluation.scripts import embed, labelled_root, run

SCRIPT = "figures.py"


@pytest.fixture
def root(tmp_path):
    """Two slides of 25 spots, the left and the right half labelled."""
    labelled_root(tmp_path, lambda slide, n: "tumour" if n % 5 < 2 else "stroma")
    return tmp_path / "root"


def drawn(folder, *names) -> None:
    """Say that these figures are there, as PNG and PDF, and are not blank."""
    assert {path.name for path in folder.iterdir()} == {f"{name}.{kind}" for name in names for kind in ("png", "pdf")}
    for name in names:
        assert np.asarray(Image.open(folder / f"{name}.png").convert("L")).std() > 5
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def inside(figure) -> bool:
    """Say whether all words are within the figure; ticks that are out of view are not drawn."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box, texts = figure.bbox, figure.findobj(lambda part: sum(map(str.isalpha, getattr(part, "get_text", str)())) > 1)
    extents = [text.get_window_extent(canvas.get_renderer()) for text in texts if text.get_visible()]
    return all(e.x0 >= -1 and e.y0 >= -1 and e.x1 <= box.x1 + 1 and e.y1 <= box.y1 + 1 for e in extents)


def test_projection_is_the_same_on_every_run(root, tmp_path, capsys):
    embed(root, tmp_path / "a", model="one")
    embed(root, tmp_path / "b", model="two")
    for out in ("x", "y"):
        done = run(capsys, SCRIPT, "projection", "--embeddings", tmp_path / "a", tmp_path / "b", "--root", root,
                   "--spots", 30, out=tmp_path / out)  # fmt: skip
        assert not done.error
        drawn(tmp_path / out, "projection_t-sne")
    same = [(tmp_path / out / "projection_t-sne.png").read_bytes() for out in ("x", "y")]
    assert same[0] == same[1]
    again = run(capsys, SCRIPT, "projection", "--embeddings", tmp_path / "a", tmp_path / "a", "--root", root,
                out=tmp_path / "z")  # fmt: skip
    assert "pass each model once" in again.error


def test_projection_needs_spots():
    with pytest.raises(DataError, match="9 spots are too few"):
        project(np.zeros((9, 4)), "t-SNE")


def test_maps_of_a_slide(root, tmp_path, capsys):
    embed(root, tmp_path / "e")
    done = run(capsys, SCRIPT, "labels", "--root", root, "--slide", "Slide_A", "--embeddings", tmp_path / "e",
               out=tmp_path / "labels")  # fmt: skip
    assert not done.error
    drawn(tmp_path / "labels", "labels_Slide_A")
    done = run(capsys, SCRIPT, "genes", "--root", root, "--slide", "Slide_A", "--genes", "ERBB2", "CD3E",
               out=tmp_path / "genes")  # fmt: skip
    assert not done.error
    drawn(tmp_path / "genes", "genes_Slide_A")
    start = (SCRIPT, "overview", "--root", root, "--slide", "Slide_A", "--embeddings")
    assert not run(capsys, *start, tmp_path / "e", "--gene", "ERBB2", out=tmp_path / "overview").error
    drawn(tmp_path / "overview", "overview_Slide_A")
    (tmp_path / "e/Slide_B.parquet").unlink()
    assert "Slide_A can't be predicted" in run(capsys, *start, tmp_path / "e", "--gene", "ERBB2", out=tmp_path).error
    done = run(capsys, SCRIPT, "genes", "--root", root, "--slide", "Slide_A", "--genes", "NOPE", out=tmp_path / "no")
    assert "lacks 1 of the panel's 1 genes" in done.error


@pytest.mark.parametrize("genes", [1, 4])
def test_names_of_slides_are_not_cut_off(genes):
    draw = np.random.default_rng(0)
    xy, values = draw.uniform(0, 100, (50, 2)), draw.normal(size=(50, genes))
    name = "Human_Breast_Andersson_10142021_ST_C3"
    names = [f"GENE{k}" for k in range(genes)]
    title = f"{name}\npredicted from {name}"
    assert inside(prediction_maps(title, xy, np.ones(50), names, values, values + 1, np.ones(genes)))


def test_labels_have_each_a_look_of_its_own():
    labels = [f"L{k:02}" for k in range(20) for _ in range(20 - k)] + [None, ""]
    styles = label_styles(labels)
    assert len(set(styles.values())) == 16 and list(styles)[:2] == ["L00", "L01"]
    assert {colour for colour, _ in label_styles(labels, 8).values()} == set(OKABE_ITO)
    assert label_styles(["b", "c", "b", "A", ""]) == dict(zip("Abc", [(colour, "o") for colour in OKABE_ITO]))


def test_bars_and_boxes(tmp_path, capsys):
    figure = {"mean": 0.5, "std": 0.1}
    for k, model in enumerate(("a", "b")):
        pooled = {name: {"macro_f1": figure} for name in ("embedding", "majority", "position")}
        slides = {f"S{j}": {"silhouette": 0.1 * j, "calinski_harabasz": 5 + j + k, "davies_bouldin": 2}
                  for j in range(4)}  # fmt: skip
        card = {"protocol": {"name": "linear_probe/converged", "config": {"split": "slide"}}, "data": {}, "seeds": [],
                "versions": {}, "seconds": 1, "slides": slides, "overall": {"pooled": pooled}}  # fmt: skip
        (tmp_path / model).mkdir()
        (tmp_path / model / "results.json").write_text(json.dumps(card))
    both = (tmp_path / "a", tmp_path / "b")
    assert not run(capsys, SCRIPT, "f1", "--results", *both, out=tmp_path / "f1").error
    drawn(tmp_path / "f1", "macro_f1_bars")
    assert not run(capsys, SCRIPT, "scores", "--results", *both, out=tmp_path / "scores").error
    drawn(tmp_path / "scores", "score_boxes")
    assert inside(f1_bars({f"a rather long name of a model, number {k}": card for k in range(6)}))
    assert inside(f1_bars({"alone": card}))
    other = {**card, "protocol": {"name": "linear_probe/original", "config": {"split": "random"}}}
    with pytest.raises(DataError, match="several protocols"):
        f1_bars({"a": card, "b": other})
    with pytest.raises(DataError, match="not of linear_probe"):
        f1_bars({"a": {**card, "overall": {}}})


def test_the_real_collection(shared, tmp_path, capsys):
    meta = shared / "real/meta/meta_all_gene.csv"
    assert not run(capsys, SCRIPT, "collection", "--meta", meta, out=tmp_path / "out").error
    drawn(tmp_path / "out", "collection_pies", "collection_bars")
    slides = read_collection(str(meta))
    assert len(slides) == 1149 and sum(slide[3] for slide in slides) == 4_293_195
    assert inside(collection_pies(slides)) and inside(collection_bars(slides))


def test_a_meta_file_that_is_none(tmp_path, capsys):
    (tmp_path / "meta.csv").write_text("slide,tech\nA,ST\n")
    assert "has no column 'species'" in run(capsys, SCRIPT, "collection", "--meta", tmp_path / "meta.csv",
                                            out=tmp_path / "out").error  # fmt: skip


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
        assert found["a_to_b"] == {"recall@1": 1.0, "recall@5": 1.0, "median_rank": 1.0}
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
