"""Figures: that they are drawn, whole, of what they are asked for; how they look is for eyes."""

import json

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from stimage.core.errors import DataError
from stimage.figures.charts.bars import f1_bars
from stimage.figures.charts.collection import collection_bars, collection_pies
from stimage.figures.colours import LOOKS, OKABE_ITO, label_looks, legend_of
from stimage.figures.maps import gene_maps, label_maps, prediction_maps
from stimage.figures.projection import projection_figure
from stimage.figures.rings import draw_rings
from stimage.figures.shapes import SpotShapes
from stimage.scores.projection import project
from stimage.slides.meta_file import read_collection
from tests.evaluation.scripts import embed, labelled_root, run
from tests.figures import inside, scale_bars, words_of
from tests.roots import write_csv

SCRIPT = "figures.py"


@pytest.fixture
def root(tmp_path):
    """Two slides of 25 spots, the left and the right half labelled."""
    labelled_root(tmp_path, lambda slide, n: "tumour" if n % 5 < 2 else "stroma")
    return tmp_path / "root"


def shapes(n: int = 50, um_per_px: float | None = 0.5, **more) -> SpotShapes:
    return SpotShapes(np.random.default_rng(0).uniform(0, 1000, (n, 2)), np.full(n, 9.0), um_per_px=um_per_px, **more)


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def drawn(folder, *names) -> None:
    """Say that these figures are there, as PNG and PDF, and are not blank."""
    assert {path.name for path in folder.iterdir() if path.suffix != ".csv"} == {
        f"{name}.{kind}" for name in names for kind in ("png", "pdf")
    }
    for name in names:
        assert np.asarray(Image.open(folder / f"{name}.png").convert("L")).std() > 5
        assert sum(map(str.isalpha, words_of(folder / f"{name}.pdf"))) > 5  # text is text


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


def test_genes_are_called_by_their_symbols(root, tmp_path, capsys):
    counts = root / "ST/gene_exp/Slide_A_count.csv"
    counts.write_text(counts.read_text().replace("ERBB2", "ENSG00000141736", 1))
    table = tmp_path / "features.tsv"
    table.write_text("ENSG00000141736\tERBB2\tGene Expression\n")
    start = (SCRIPT, "genes", "--root", root, "--slide", "Slide_A", "--gene-table", table, "--genes")
    for gene in ("ERBB2", "ENSG00000141736"):
        done = run(capsys, *start, gene, out=tmp_path / gene)
        assert not done.error
        said = words_of(tmp_path / gene / "genes_Slide_A.pdf")
        assert "ERBB2" in said and "log1p of normalised counts" in said and said.count(gene) == 1


@pytest.mark.parametrize("genes", [1, 4])
def test_names_of_slides_are_not_cut_off(genes):
    values = np.random.default_rng(0).normal(size=(50, genes))
    name = "Human_Breast_Andersson_10142021_ST_C3"
    names = [f"GENE{k}" for k in range(genes)]
    title = f"{name}\npredicted from {name}"
    assert inside(prediction_maps(title, shapes(), names, values, values + 1, np.ones(genes), "log1p"))
    assert inside(gene_maps(name, shapes(um_per_px=None), dict(zip(names, values.T)), "log1p"))
    labels = [f"a long name of a label, number {k % 20}" for k in range(50)]
    assert inside(label_maps(name, shapes(), {"annotation": labels, "predicted": labels[::-1]}))


@pytest.mark.parametrize("um_per_px", [0.25, 0.689, 7.0, None])
def test_a_scale_bar_is_as_long_as_it_says(um_per_px):
    figure = gene_maps("", shapes(um_per_px=um_per_px), {"A": np.arange(50), "B": np.arange(50)}, "")
    for length, text in scale_bars(figure):
        number, unit = text.split()[:2]
        um = float(number) * (1000 if unit == "mm" else 1)
        assert unit in ("mm", "µm", "px") and (unit == "px") == (um_per_px is None)
        assert length == pytest.approx(um / (um_per_px or 1)) and 100 < length < 350  # the spots are 1000 pixels across
    assert len(scale_bars(figure)) == 2


def test_measured_and_predicted_have_one_scale():
    truth = np.random.default_rng(0).normal(5, 2, (200, 3))
    figure = prediction_maps("", shapes(200), list("ABC"), truth, truth / 10, np.array([0.9, 0.5, 0.1]), "log1p")
    maps, bars = figure.axes[:6], figure.axes[6:]
    assert len(bars) == 3 and {bar.get_ylabel() for bar in bars} == {"log1p"}
    for k in range(3):
        above, below = (maps[k + at].collections[0].get_facecolor() for at in (0, 3))
        assert np.ptp(below[:, :3].sum(1)) < np.ptp(above[:, :3].sum(1)) / 3  # next to no pattern, and it looks so
        colours = {value: colour for values, some in ((truth[:, k], above), (truth[:, k] / 10, below))
                   for value, colour in zip(values, map(to_hex, some))}  # fmt: skip
        low, high = bars[k].get_ylim()
        assert low < 0.6 and high > 8
        ordered = [int(colours[value][3:5], 16) for value in sorted(colours)]
        assert ordered == sorted(ordered)  # the green of viridis grows with the value, over both maps


def test_labels_have_each_a_look_of_its_own():
    labels = [f"L{k}" for k in range(24) for _ in range(24 - k)] + [None, ""]
    looks = label_looks(labels)
    assert len(set(looks.values())) == 20 == len({look.colour for look in looks.values()})
    assert [*looks] == [f"L{k}" for k in range(20)]  # by name, 10 after 9
    entries = legend_of(labels, looks)
    assert [name for name, _ in entries[20:]] == ["4 rarer labels", "no label"]
    assert len({look for _, look in entries}) == 22
    assert {look.colour for look in [*label_looks(labels, 8).values()]} == set(OKABE_ITO)
    assert [*label_looks(["b", "c", "b", "A", ""])] == ["A", "b", "c"]


def test_legends_are_in_order_and_spots_look_as_they_say():
    labels = [f"cluster {k % 22}" if k % 23 else None for k in range(504)]
    maps, plane = (
        label_maps("", shapes(504), {"a": labels}),
        projection_figure({"m": shapes(504).xy}, {"m": labels}, "PCA"),
    )
    for figure in (maps, plane):
        assert legend(figure) == [*(f"cluster {k}" for k in range(20)), "2 rarer labels", "no label"]
    spots, marks = maps.axes[0].collections[:2]
    of_label = {label: {to_hex(spots.get_facecolor()[k]) for k in range(504) if labels[k] == label} for label in labels}
    assert all(len(some) == 1 for some in of_label.values()) and len(set(map(min, of_label.values()))) == 22
    assert len(marks.get_offsets()) == sum(labels.count(f"cluster {k}") for k in range(8, 20))


def seen_by(colour: str, eye: np.ndarray) -> np.ndarray:
    """Return a colour in CIELAB, as an eye without one kind of cones sees it."""
    rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(xyz @ np.clip(eye @ linear, 0, 1) / (0.9505, 1, 1.089))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


EYES = {  # Machado et al. 2009
    "normal": np.eye(3),
    "no red": np.array([[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]]),
    "no green": np.array([[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]]),
    "no blue": np.array([[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]]),
}


@pytest.mark.parametrize("eye", EYES)
def test_the_colour_blind_tell_labels_apart(eye):
    seen = [(seen_by(look.colour, EYES[eye]), look.marked) for look in LOOKS]
    close = [np.linalg.norm(a - b) for k, (a, one) in enumerate(seen) for b, other in seen[:k] if one == other]
    assert min(close) > 10  # the marked ones differ from the others by their mark


def test_rings_show_on_any_ground():
    for ground in (np.uint8([255, 255, 255]), np.uint8([60, 20, 90]), np.uint8([0x44, 0x01, 0x54])):
        image = np.broadcast_to(ground, (80, 80, 3)).copy()
        for colour in ((1.0, 1, 1), (0.27, 0.0, 0.33)):
            drawn = draw_rings(image, np.array([[40.0, 40]]), np.array([15.0]), np.array([colour]))
            assert np.abs(drawn.astype(int) - image).max() > 150
            assert (drawn[38:43, 38:43] == ground).all() and (drawn[:20] == ground).all()  # tissue shows within
    square = draw_rings(image, np.array([[40.0, 40]]), np.array([15.0]), np.array([[1.0, 1, 1]]), square=True)
    assert (square[26, 26] != ground).any() and (image == ground).all()


def test_an_outline_goes_around_the_tissue():
    tissue = np.zeros((50, 60), bool)
    tissue[10:40, 5:55] = True
    where = shapes(tissue=tissue, tissue_step=20.0)
    axes = gene_maps("", where, {"A": np.arange(50)}, "").axes[0]
    (outline,) = (part for part in axes.collections if part.get_array() is not None)
    x, y = outline.get_paths()[0].vertices.T
    assert (x.min(), x.max(), y.min(), y.max()) == pytest.approx((100, 1100, 200, 800), abs=20)
    assert axes.get_xlim()[1] > 1090 and outline.get_zorder() < 1


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


def test_no_pie_of_one_value(tmp_path, capsys):
    head = ["slide", "species", "tissue", "tech", "pmid", "title", "abstract", "keywords", "involve_cancer", "spot_num",
            "gene_num"]  # fmt: skip
    for techs, names in (
        (("ST", "ST"), ["collection_bars"]),
        (("ST", "Visium"), ["collection_bars", "collection_pies"]),
    ):
        rows = [[f"S{k}", "human", "breast", tech, "", "", "", "", "True", 90, 9] for k, tech in enumerate(techs)]
        write_csv(tmp_path / "meta.csv", [head, *rows])
        out = tmp_path / "".join(techs)
        assert not run(capsys, SCRIPT, "collection", "--meta", tmp_path / "meta.csv", out=out).error
        drawn(out, *names)
        assert "slides by species" not in "".join(words_of(path) for path in out.glob("*.pdf"))


def test_a_meta_file_that_is_none(tmp_path, capsys):
    (tmp_path / "meta.csv").write_text("slide,tech\nA,ST\n")
    assert "has no column 'species'" in run(capsys, SCRIPT, "collection", "--meta", tmp_path / "meta.csv",
                                            out=tmp_path / "out").error  # fmt: skip
