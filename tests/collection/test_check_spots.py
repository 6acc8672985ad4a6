"""Checking a collection: one fault a slide, for every check; each is found, named, and nothing else is reported."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from PIL import Image, ImageFilter

import stimage_1k4m  # noqa: F401
from stimage.collection.checks.checks import CHECKS
from stimage.sample import make_sample
from tests.building import once
from tests.roots import write_slide
from tests.test_scripts import run

SCRIPT = "data_collection/check_spots.py"
HUMAN, MOUSE = "Human_Breast_Sample1_ST_", "Mouse_Brain_Sample2_ST_"


class Files:
    """A slide's files, to damage."""

    def __init__(self, root: Path, slide: str):
        self.image = root / f"ST/image/{slide}.png"
        self.coord = root / f"ST/coord/{slide}_coord.csv"
        self.counts = root / f"ST/gene_exp/{slide}_count.csv"
        self.labels = root / f"annotation/{slide}_anno.csv"

    def edit(self, path: Path, change) -> None:
        """Pass a table to a function that changes it, or returns another."""
        table = pd.read_csv(path, index_col=0)
        changed = change(table)
        (table if changed is None else changed).to_csv(path)

    def move(self, change) -> None:
        """Set x and y to what a function of x, y and the image's size says."""
        width, height = self.pixels().size

        def moved(table):
            table["xaxis"], table["yaxis"] = change(table["xaxis"].copy(), table["yaxis"].copy(), width, height)

        self.edit(self.coord, moved)

    def shrink(self, times: float) -> None:
        """Make the image, and its coordinates with it, so many times smaller."""
        image = self.pixels()
        self.save(image.resize((round(image.width / times), round(image.height / times))))
        self.edit(self.coord, lambda table: table / times)

    def pixels(self) -> Image.Image:
        return Image.open(self.image).convert("RGB")

    def save(self, image: Image.Image) -> None:
        image.save(self.image, "PNG")


def rename_genes(counts, share):
    n = int(len(counts.columns) * share)
    counts.columns = [f"ENSG{k:011d}" if k < n else name for k, name in enumerate(counts.columns)]


def only_mitochondrial(counts):
    counts.columns = ["MT-" + name if k < 280 else name for k, name in enumerate(counts.columns)]


def two_empty(counts):
    counts.iloc[:2] = 0


def other_ids(labels):
    return labels.rename(lambda spot: f"x{spot}")


def last_twice(coord):
    return pd.concat([coord, coord[-1:]])


def larger_first(coord):
    coord.iloc[0, coord.columns.get_loc("r")] *= 1.001


def three_renamed(counts):
    return counts.rename({spot: f"{spot}_" for spot in counts.index[:3]})


def thinned(counts):
    counts.iloc[:] = np.random.default_rng(0).binomial(counts.to_numpy(), 0.1)


def crooked(x, y, width, height):
    rng = np.random.default_rng(0)
    return (x + rng.normal(0, 15, len(x))).clip(0, width - 1), (y + rng.normal(0, 15, len(y))).clip(0, height - 1)


FAULTS = {  # slide: what is done, the check that finds it, its status, and words of the message
    HUMAN + "A1": (lambda f: f.image.unlink(), "files", "fail", "the image is missing"),
    HUMAN + "A2": (lambda f: f.image.write_bytes(f.image.read_bytes()[:-2000]), "files", "fail", "is damaged"),
    HUMAN + "B1": (lambda f: f.coord.write_text("a,b\n"), "files", "fail", "has no column"),
    HUMAN + "B2": (lambda f: f.counts.write_text(f.counts.read_text()[:-2000]), "files", "fail", "genes"),
    HUMAN + "C1": (lambda f: f.save(f.pixels().convert("L")), "image", "warn", "no colour"),
    HUMAN + "C2": (lambda f: f.edit(f.counts, three_renamed), "ids", "fail", "3 spots are only in the coord"),
    MOUSE + "H1": (lambda f: f.edit(f.labels, other_ids), "annotation", "warn", "labels are"),
    HUMAN + "D2": (lambda f: f.edit(f.coord, last_twice), "duplicates", "fail", "1 ids occur again"),
    HUMAN + "E1": (lambda f: f.move(lambda x, y, w, h: (x.mask(x == x.iloc[9], 2 * w), y)), "inside", "fail", "1 of"),
    HUMAN + "F1": (lambda f: f.edit(f.coord, larger_first), "radius", "warn", "r is 1"),
    HUMAN + "G1": (lambda f: f.move(crooked), "lattice", "fail", "that of ST is square"),
    HUMAN + "H1": (lambda f: f.edit(f.coord, lambda t: t.assign(r=t.r * 0.6)), "scale", "fail", "known ratios are 4"),
    MOUSE + "A1": (lambda f: f.save(f.pixels().filter(ImageFilter.GaussianBlur(4))), "sharpness", "warn", "focus"),
    MOUSE + "A2": (lambda f: f.edit(f.counts, lambda t: t * 1.1), "counts", "fail", "no whole numbers"),
    MOUSE + "B2": (lambda f: f.edit(f.counts, two_empty), "empty spots", "warn", "2 of"),
    MOUSE + "C1": (lambda f: f.edit(f.counts, thinned), "library", "warn", "is it the right file"),
    MOUSE + "C2": (lambda f: f.edit(f.counts, only_mitochondrial), "mitochondrial", "warn", "are mitochondrial"),
    MOUSE + "D1": (lambda f: f.edit(f.counts, lambda t: rename_genes(t, 0.5)), "genes", "warn", "are Ensembl ids"),
    MOUSE + "G1": (lambda f: f.shrink(2.5), "resolution", "warn", "too coarse"),
    MOUSE + "D2": (lambda f: f.edit(f.counts, lambda t: t.drop(columns=t.columns[3])), "meta", "fail", "gene_num is"),
}  # fmt: skip


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Path:
    large = {"genes": 300, "slides_per_study": 12, "st_side": 12, "visium_side": 14, "hd_side": 24}
    return once(tmp_path_factory, "checks", lambda folder: make_sample(folder / "root", **large)) / "root"


def check(root: Path, out: Path, *options) -> tuple[int, dict[tuple[str, str], tuple[str, str]]]:
    """Run the script; return its exit code, and status and message by slide and check, of all that is not passed."""
    done = run(SCRIPT, root, "--out", out, *options)
    assert "Traceback" not in done.stderr, done.stderr
    rows = list(csv.DictReader((out / "findings.csv").open(newline="")))
    assert f"\n{len({row['slide'] for row in rows}):,} slide" in f"\n{done.stdout}"  # of all, not of kinds of status
    bad = [row for row in rows if row["status"] in ("fail", "warn")]
    return done.returncode, {(r["slide"], r["check"]): (r["status"], r["message"], r["remedy"]) for r in bad}


@pytest.mark.slow
def test_a_sound_collection_passes(whole, tmp_path):
    code, found = check(whole, tmp_path)
    assert code == 0 and found.keys() == {(HUMAN + "D1", "annotation")}  # some spots have no label
    result = json.loads((tmp_path / "results.json").read_text())
    assert result["overall"] == {"fail": 0, "warn": 1, "pass": 48} and len(result["slides"]) == 49
    assert result["slides"][HUMAN + "A1"]["checks"].keys() == {*CHECKS, "twins"}
    assert pq.read_table(tmp_path / "findings.parquet").num_rows == 49 * (len(CHECKS) + 1)
    picture = np.asarray(Image.open(tmp_path / f"pictures/{HUMAN}A1.jpg"))
    assert max(picture.shape) >= 1280 and picture.std() > 20
    small = Image.open(tmp_path / f"thumbnails/{HUMAN}A1.jpg")
    assert small.size == (144, 144) and f'"thumbnail": "thumbnails/{HUMAN}A1.jpg"' in (
        tmp_path / "report.html"
    ).read_text(encoding="utf-8")


@pytest.mark.slow
def test_each_fault_is_found_and_nothing_else(whole, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(whole, root)
    for slide, (damage, *_) in FAULTS.items():
        damage(Files(root, slide))
    twin = Files(root, MOUSE + "E1"), Files(root, MOUSE + "F1")
    twin[1].image.write_bytes(twin[0].image.read_bytes())
    width, height = twin[0].pixels().size
    twin[1].move(lambda x, y, *_: (x.clip(0, width - 1), y.clip(0, height - 1)))
    code, found = check(root, tmp_path / "out")
    assert code == 1
    found.pop((HUMAN + "D1", "annotation"))
    for other in (MOUSE + "E1", MOUSE + "F1"):
        assert found.pop((other, "twins"))[:2] == (
            "warn",
            f"the same image as {MOUSE}{'E1' if 'F1' in other else 'F1'}",
        )
    found = {key: value for key, value in found.items() if key[0] != MOUSE + "F1"}  # its tissue is another's
    assert found.keys() == {(slide, name) for slide, (_, name, *_) in FAULTS.items()}
    for slide, (_, name, status, words) in FAULTS.items():
        assert found[slide, name][0] == status and words in " ".join(found[slide, name]), found[slide, name]
    assert {name for _, name, *_ in FAULTS.values()} | {"tissue", "twins"} == CHECKS.keys() | {"twins"}


MOVES = {  # what brings the coordinates back, how they were moved, and words of the remedy
    "mirrored left to right": (lambda x, y: (900 - x, y), "turn the coordinates back"),
    "swapped (x is y and y is x)": (lambda x, y: (y, x), "turn the coordinates back"),
    "multiplied by 2": (lambda x, y: (x / 2, y / 2), "times smaller"),
    "multiplied by 0.5": (lambda x, y: (x * 2, y * 2), "times larger"),
    "multiplied by 0.8": (lambda x, y: (x / 0.8, y / 0.8), "times larger"),
    "shifted by dx=-": (lambda x, y: (x + 90, y), "or give the whole image"),
}


@pytest.mark.parametrize("words", MOVES)
def test_coordinates_that_are_moved(tmp_path, words):
    """A slide whose tissue is a triangle: moved coordinates are found, and how they were moved."""
    root, rng = tmp_path / "root", np.random.default_rng(0)
    y, x = (a.ravel() + 20 for a in np.mgrid[0:860:20, 0:860:20])
    on = (x > 300) & (y < 500) & (y < 1.2 * (x - 300) + 60)
    x, y = x[on], y[on]
    rows, columns = np.mgrid[0:900, 0:900]
    tissue = (columns > 290) & (rows < 510) & (rows < 1.2 * (columns - 290) + 70) & (columns < 880)
    colours = np.where(tissue[..., None], [190, 90, 160], [240, 238, 242])
    pixels = np.clip(colours + rng.normal(0, 12, colours.shape), 0, 255)
    move, remedy = MOVES[words]
    moved = move(x, y)
    r = 5.0 * (moved[1].max() / y.max())
    for folder in ("coord", "gene_exp", "image"):
        (root / "ST" / folder).mkdir(parents=True)
    pd.DataFrame({"yaxis": moved[1], "xaxis": moved[0], "r": r}, [f"s{i}" for i in range(len(x))]).to_csv(
        root / "ST/coord/S_coord.csv")  # fmt: skip
    pd.DataFrame(rng.poisson(9, (len(x), 30)), [f"s{i}" for i in range(len(x))]).add_prefix("G").to_csv(
        root / "ST/gene_exp/S_count.csv")  # fmt: skip
    Image.fromarray(pixels.astype(np.uint8)).save(root / "ST/image/S.png")
    code, found = check(root, tmp_path / "out")
    status, message, advice = found["S", "tissue"]
    assert code == 1 and status == "fail" and f"if the coordinates were {words}" in message and remedy in advice


def test_colours_and_choice(sample, tmp_path):
    for colour in ("annotation", "ERBB2"):
        code, found = check(sample, tmp_path / colour, "--slides", HUMAN + "A1", "--colour", colour)
        assert code == 0 and not found
    one, two = (np.asarray(Image.open(tmp_path / c / f"pictures/{HUMAN}A1.jpg")) for c in ("annotation", "ERBB2"))
    assert one.shape != two.shape or np.abs(one.astype(int) - two).mean() > 1


@pytest.mark.slow
def test_real_slides(shared, tmp_path):
    code, found = check(shared / "real", tmp_path)
    assert code == 0 and {(slide[-2:], name) for slide, name in found} == {
        (s, "annotation") for s in ("B4", "C2", "C3")
    }
    assert any(message.startswith("61 of 283 spots have no label") for _, message, _ in found.values())
    result = json.loads((tmp_path / "results.json").read_text())
    for slide in result["slides"].values():
        values = slide["checks"]["scale"][2]
        assert values["um_per_px"] == pytest.approx(200 / slide["checks"]["lattice"][2]["pitch"], rel=0.03)
        assert values["um_per_px_from_r"] == pytest.approx(values["um_per_px"], rel=0.03)


def test_real_visium(shared, tmp_path):
    code, found = check(shared / "real_visium", tmp_path)
    (slide,) = json.loads((tmp_path / "results.json").read_text())["slides"].values()
    assert slide["checks"]["lattice"][2]["kind"] == "hexagonal"
    assert slide["checks"]["scale"][2]["um_per_px"] == pytest.approx(7.02, abs=0.01)
    assert code == 0 and any("too coarse" in message for _, message, _ in found.values())


def test_marks_are_a_slide_list(many, tmp_path):
    (tmp_path / "marks.csv").write_text('slide,mark,comment\n"S1","accept",""\n"S2","reject","blurred"\n')
    options = {"data_dir": str(many), "split": "train", "streaming": True, "slides": str(tmp_path / "marks.csv")}
    assert {e["slide"] for e in load_dataset("stimage_1k4m", "ST", **options)} == {"S1"}
    done = run("data_process/build_shards.py", many, tmp_path / "out", "--slides", tmp_path / "marks.csv")
    assert done.returncode == 0 and len(list(tmp_path.glob("out/data/ST/train/*"))) == 1


def test_names_and_labels_are_no_html(tmp_path):
    write_slide(tmp_path / "root", "S'<i>", "ST")
    run(SCRIPT, tmp_path / "root", "--out", tmp_path / "out")
    page = (tmp_path / "out/report.html").read_text()
    assert "<i>" not in page and "\\u003ci>" in page
    assert json.loads(page.split('id="data">')[1].split("</script>")[0])[0]["slide"] == "S'<i>"


def test_a_slide_without_a_row_of_the_meta_file_fails(tmp_path):
    """What the builder refuses, the checks may not pass."""
    for name in ("Slide_A", "Slide_B"):
        write_slide(tmp_path / "root", name, "ST")
    meta = tmp_path / "root/meta/meta_all_gene.csv"
    meta.write_text("".join(line for line in meta.read_text().splitlines(True) if "Slide_B" not in line))
    code, found = check(tmp_path / "root", tmp_path / "out")
    assert code == 1 and "has no row for slide 'Slide_B'" in found["Slide_B", "files"][1]
    assert ("Slide_A", "files") not in found
