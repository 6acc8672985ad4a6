"""The leak meter: planted twins are found whatever was done to them, and none among unrelated slides."""

import csv
import io
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import stimage
from stimage.collection.leaks.split_files import read_folds
from stimage.core.errors import DataError
from stimage.sample import make_sample
from tests.building import once
from tests.roots import write_csv, write_slide

SCRIPT = Path(__file__).parents[2] / "scripts/evaluation/leaks.py"
SPOTS, TWIN, STRANGER = "Human_Breast_Sample3_Visium_A1", "Twin", "Human_Breast_Sample1_ST_A1"


@pytest.fixture(scope="session")
def sample(tmp_path_factory) -> Path:
    return once(
        tmp_path_factory,
        "leaks",
        lambda folder: make_sample(folder, genes=400, slides_per_study=2, st_side=12, visium_side=14, hd_side=10),
    )


@pytest.fixture
def root(sample, tmp_path) -> Path:
    """The sample, to which slides can be added: its own files are links."""
    for path in sample.rglob("*"):
        if path.is_file():
            link = tmp_path / "root" / path.relative_to(sample)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    return tmp_path / "root"


def table(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def plant(root: Path, turn: int = 0, cut: int = 0, quality: int = 0, scale: float = 1, counts=lambda rows, rng: rows):
    """Add a twin of a slide under another name, of no study, its spots in another order and called otherwise.

    Its image is cut off at the left, turned by a right angle, made smaller, stored as JPEG; ``counts`` changes counts.
    """
    rng = np.random.default_rng(0)
    image = Image.open(root / f"Visium/image/{SPOTS}.png").convert("RGB")
    head, *spots = table(root / f"Visium/coord/{SPOTS}_coord.csv")
    names, *rows = counts(table(root / f"Visium/gene_exp/{SPOTS}_count.csv"), rng)
    place = {row[0]: [float(cell) for cell in row[1:]] for row in spots}  # y, x, r
    image = image.crop((cut, 0, image.width, image.height))
    order = rng.permutation([row[0] for row in rows])
    called = {spot: f"{TWIN}_{k}" for k, spot in enumerate(order.tolist())}
    found = []
    for spot, name in called.items():
        y, x, r = place[spot]
        x -= cut
        x, y = (y, image.width - x) if turn else (x, y)  # against the clock
        found.append([name, *(scale * value for value in (y, x, r))])
    image = image.transpose(Image.Transpose.ROTATE_90) if turn else image
    image = image.resize((round(scale * image.width), round(scale * image.height)), Image.Resampling.BOX)
    write_csv(root / f"Visium/coord/{TWIN}_coord.csv", [head, *found])
    of = {row[0]: row[1:] for row in rows}
    write_csv(root / f"Visium/gene_exp/{TWIN}_count.csv", [names, *([called[s], *of[s]] for s in called)])
    image.save(root / f"Visium/image/{TWIN}.png", **({"format": "JPEG", "quality": quality} if quality else {}))
    path = next(iter((root / "meta").glob("*.csv")))
    old = table(path)
    row = dict(zip(old[0], next(row for row in old if row[0] == SPOTS))) | {"slide": TWIN, "pmid": "99"}
    path.unlink()
    write_csv(path, [*old, [row[column] for column in old[0]]])


def split(tmp_path: Path, **part_of: str) -> Path:
    write_csv(tmp_path / "split.csv", [["slide", "split"], *part_of.items()])
    return tmp_path / "split.csv"


def found(path: Path, root: Path, **options) -> dict[str, str]:
    """Return what is found → its evidence, of a split of two slides."""
    rows = stimage.leaks(path, root, **options)
    return dict(zip(rows.what, rows.evidence))


OTHERS = {f"GENE{k:05d}" for k in range(50)}


def fewer_genes(rows, rng):
    kept = [k for k, name in enumerate(rows[0]) if name not in OTHERS]
    return [[row[k] for k in kept] for row in rows]


def fewer_spots(rows, rng):
    return [rows[0], *(rows[1 + k] for k in rng.choice(len(rows) - 1, len(rows) // 4, replace=False))]


@pytest.mark.parametrize("change", [lambda rows, rng: rows, fewer_genes, fewer_spots])
def test_counts_under_another_name_are_found(root, tmp_path, change):
    plant(root, counts=change)
    told = found(split(tmp_path, **{SPOTS: "train", TWIN: "test"}), root, content="counts")
    assert set(told) == {"counts"}, told


def test_counts_whose_genes_are_called_otherwise_are_found(tmp_path):
    """Symbols on the one slide, Ensembl ids in another order on the other; a third slide has counts of its own."""
    rng = np.random.default_rng(0)
    table = rng.poisson(rng.lognormal(0.5, 1, (3, 1, 600)), (3, 25, 600))
    table[1] = table[0][rng.permutation(25)][:, rng.permutation(600)]
    for k, name in enumerate("ABC"):
        write_slide(tmp_path / "root", name, "ST", side=5, seed=k, meta={"pmid": str(k)})
        genes = [f"ENSG{g:011d}.2" if name == "B" else f"GENE{g}" for g in range(600)]
        rows = [[f"{name}_{i // 5}x{i % 5}", *row] for i, row in enumerate(table[k].tolist())]
        write_csv(tmp_path / f"root/ST/gene_exp/{name}_count.csv", [["", *genes], *rows])
    rows = stimage.leaks(split(tmp_path, A="train", B="test", C="val"), tmp_path / "root", content="counts")
    assert rows[["what", "slides"]].values.tolist() == [["counts", {"train": ["A"], "test": ["B"]}]]
    assert "25 of 25 spots have the same counts, whatever their genes are called" in rows.evidence[0]


@pytest.mark.parametrize(
    "change", [{"cut": 90}, {"quality": 30}, {"scale": 0.6}, {"turn": 1}, {"cut": 40, "quality": 60, "scale": 0.8}]
)
def test_an_image_under_another_name_is_found(root, tmp_path, change):
    plant(root, **change)
    told = found(split(tmp_path, **{SPOTS: "train", TWIN: "test"}), root, content="image")
    assert set(told) == {"image"}, told


def test_none_is_invented_among_unrelated_slides(sample, tmp_path):
    """Each slide is in a part of its own: nothing is shared but studies, and sections of a study are suspected."""
    names = stimage.list_slides(sample).index
    rows = stimage.leaks(split(tmp_path, **{name: ("train", "test")[k % 2] for k, name in enumerate(names)}), sample)
    assert set(rows.what) <= {"study", "sections"} and set(rows.status[rows.what == "study"]) == {"leak"}
    assert set(rows.status[rows.what == "sections"]) <= {"suspected"}


def test_shallow_spots_are_no_twins_by_chance(tmp_path):
    """Spots of ones and twos, as bins of Visium HD have, often have the same counts if genes' names do not count."""
    for name in ("A", "B"):
        write_slide(tmp_path / "root", name, "ST", side=5, seed=ord(name), meta={"pmid": str(ord(name))})
        rng, rows = np.random.default_rng(ord(name)), []
        for i in range(25):
            counts = np.array([0] * 90 + [2] * (i % 10) + [1] * (310 - i % 10))
            rows.append([f"{name}_{i // 5}x{i % 5}", *rng.permutation(counts).tolist()])
        genes = [f"{name}{k}" for k in range(400)]
        write_csv(tmp_path / f"root/ST/gene_exp/{name}_count.csv", [["", *genes], *rows])
    assert not len(stimage.leaks(split(tmp_path, A="train", B="test"), tmp_path / "root", content="counts"))


def test_studies_and_patients(sample, tmp_path):
    one, other = "Human_Breast_Sample1_ST_A1", "Human_Breast_Sample1_ST_B1"
    path = split(tmp_path, **{one: "train", other: "test", SPOTS: "val"})
    write_csv(tmp_path / "same.csv", [["slide", "patient"], [one, "p"], [other, "p"]])
    write_csv(tmp_path / "two.csv", [["slide", "patient"], [one, "p"], [other, "q"]])
    rows = stimage.leaks(path, sample, content=())
    assert rows[["status", "what"]].values.tolist() == [["leak", "study"]]
    assert rows.slides[0] == {"train": [one], "test": [other]}
    rows = stimage.leaks(path, sample, content=(), patients=tmp_path / "same.csv")
    assert rows[["status", "what"]].values.tolist() == [["leak", "study"], ["leak", "patient"]]
    rows = stimage.leaks(path, sample, content=(), patients=tmp_path / "two.csv")
    assert rows[["status", "what"]].values.tolist() == [["suspected", "study"]]


def test_folds_of_hest_and_lists_side_by_side(tmp_path):
    for name, slides in (("train_0", "AB"), ("test_0", "C"), ("train_1", "AC"), ("test_1", "B")):
        write_csv(tmp_path / f"task/splits/{name}.csv", [["sample_id", "patches_path"], *([s, "x"] for s in slides)])
    folds = read_folds(tmp_path / "task")
    assert [fold.name for fold in folds] == ["fold 0", "fold 1"]
    assert folds[1].part_of == {"A": "train", "C": "train", "B": "test"} and folds == read_folds(
        tmp_path / "task/splits"
    )
    with pytest.raises(DataError, match="one part of a fold: pass the folder"):
        read_folds(tmp_path / "task/splits/train_0.csv")
    write_csv(tmp_path / "wide.csv", [["", "train", "val", "test"], ["0", "A", "B", "C"], ["1", "D", "", ""]])
    assert read_folds(tmp_path / "wide.csv")[0].part_of == {"A": "train", "D": "train", "B": "val", "C": "test"}
    for rows, message in (
        ([["slide", "split"], ["A", "train"], ["A", "test"]], "slide 'A' is in train and in test"),
        ([["slide", "split"], ["A", "train"], ["B", "train"]], "all slides are in one part"),
        ([["slide", "fold"], ["A", "1"]], "needs the columns slide and split"),
    ):
        write_csv(tmp_path / "bad.csv", rows)
        with pytest.raises(DataError, match=message):
            read_folds(tmp_path / "bad.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no folds"):
        read_folds(tmp_path / "empty")


def test_the_script_ends_with_1_if_there_is_a_leak(root, tmp_path, monkeypatch, capsys):
    def run(*arguments) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["leaks.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        return end.value.code, capsys.readouterr().out

    plant(root, quality=50)
    code, printed = run(split(tmp_path, **{SPOTS: "train", TWIN: "test", "Nowhere": "test"}), root, "--out",
                        tmp_path / "found.csv")  # fmt: skip
    assert code == 1 and "leak: the same image" in printed and "2 leaks, 0 suspected" in printed
    assert "1 slides of the split are not in the root, and not looked at: Nowhere" in printed
    rows = list(csv.DictReader(io.StringIO((tmp_path / "found.csv").read_text())))
    assert {row["what"] for row in rows} == {"counts", "image"} and f"train: {SPOTS}" in rows[0]["slides"]
    code, printed = run(split(tmp_path, **{SPOTS: "train", STRANGER: "test"}), root)
    assert code == 0 and "0 leaks" in printed
    with pytest.raises(DataError, match="1 of the split's 2 slides are in the root; it lacks Nowhere"):
        stimage.leaks(split(tmp_path, **{SPOTS: "train", "Nowhere": "test"}), root)
    with pytest.raises(ValueError, match="content='pixels'"):
        stimage.leaks(split(tmp_path, **{SPOTS: "train", STRANGER: "test"}), root, content="pixels")


def test_slides_that_hest_has_are_left_out(root, tmp_path):
    plant(root, cut=20, quality=70)
    head = "\ufeffid,dataset_title,study_link\n"  # HEST's table begins with a byte order mark
    columns, *meta = table(next(iter((root / "meta").glob("*.csv"))))
    mouse = "Mouse_Brain_Sample2_ST_A1"
    title = next(row for row in meta if row[0] == mouse)[columns.index("title")]
    lines = f'TENX1,"{title.upper()}!",\nINT2,Another,https://pubmed.ncbi.nlm.nih.gov/990099/\n'
    (tmp_path / "hest.csv").write_text(head + lines, encoding="utf-8")
    rows = stimage.overlap(root, tmp_path / "hest.csv", out=tmp_path / "exclude.csv")
    assert set(rows.what) == {"publication"} and mouse in set(rows.slide) and SPOTS not in set(rows.slide)
    assert rows.others.iloc[0] == ["TENX1"] and "title" in rows.evidence.iloc[0]
    left = stimage.list_slides(stimage.open_root(root, exclude=tmp_path / "exclude.csv")).index
    assert not set(left) & set(rows.slide) and SPOTS in left
    rows = stimage.overlap(stimage.open_root(root, slides=[TWIN]), stimage.open_root(root, exclude=[TWIN]))
    of = {row.what: row.others for row in rows.itertuples()}
    assert of.pop("publication") and of == {"counts": [SPOTS], "image": [SPOTS]}


@pytest.mark.slow
def test_sections_of_one_tumour_are_suspected_without_their_names(shared, tmp_path):
    """Of the real slides, C2 to C4 are sections of one tumour and B4 is another; all are called otherwise here."""
    for path in (shared / "real/ST").rglob("*Human_Breast_Andersson_10142021_ST_*"):
        name = path.name.replace("Human_Breast_Andersson_10142021_ST_", "X")
        link = tmp_path / "root/ST" / path.parent.name / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    head, *_ = table(shared / "real/meta/meta_all_gene.csv")
    write_csv(
        tmp_path / "root/meta/meta_all_gene.csv",
        [head, *([f"X{s}", "human", *[""] * (len(head) - 2)] for s in ("B4", "C2", "C3", "C4"))],
    )
    rows = stimage.leaks(split(tmp_path, XB4="train", XC2="train", XC3="test", XC4="val"), tmp_path / "root")
    assert set(rows.status) == {"suspected"} and set(rows.what) == {"sections"}
    assert {frozenset(name for part in one.values() for name in part) for one in rows.slides} == {
        frozenset({"XC2", "XC3"}), frozenset({"XC2", "XC4"}), frozenset({"XC3", "XC4"})}  # fmt: skip
