"""A slide that is an image alone: it loads, with null for what is made of counts, and never with empty lists."""

import csv

import datasets
import pytest

import stimage
import stimage_1k4m
from stimage.core.errors import DataError
from tests.alone import mixed, write_alone
from tests.roots import write_slide

COUNTED = ("gene_ids", "counts")


def examples(root, streaming: bool, **options) -> dict[str, list[dict]]:
    """Return slide → its examples."""
    found: dict[str, list[dict]] = {}
    for one in stimage_1k4m.load("all", root, streaming=streaming, image_format="png", **options):
        found.setdefault(one["slide"], []).append(one)
    return found


@pytest.mark.parametrize("streaming", [True, False])
def test_counts_are_null_of_it_alone(tmp_path, streaming):
    found = examples(mixed(tmp_path), streaming)
    assert [len(found[name]) for name in ("Slide_A", "Slide_B", "Slide_C")] == [9, 9, 9]
    assert all(one[name] is None for one in found["Slide_B"] for name in COUNTED)
    assert all(one[name] is not None for slide in ("Slide_A", "Slide_C") for one in found[slide] for name in COUNTED)
    assert all(one["image"].size == (10, 10) for one in found["Slide_B"])


@pytest.mark.parametrize("streaming", [True, False])
def test_a_panels_expression_is_null_of_it_alone(tmp_path, streaming):
    found = examples(mixed(tmp_path), streaming, panel=["ESR1", "ERBB2"], normalise="median-log1p")
    assert all(one["expression"] is None for one in found["Slide_B"])
    assert all(len(one["expression"]) == 2 for one in (*found["Slide_A"], *found["Slide_C"]))


@pytest.mark.parametrize("streaming", [True, False])
def test_a_root_of_images_alone(tmp_path, streaming):
    write_alone(tmp_path, "Slide_B")
    assert {one["gene_ids"] for one in examples(tmp_path, streaming)["Slide_B"]} == {None}
    assert stimage.gene_names(tmp_path) == []
    assert {one["expression"] for one in examples(tmp_path, streaming, panel=["X"])["Slide_B"]} == {None}


def test_shuffled_and_interleaved(tmp_path):
    spots = stimage_1k4m.load("all", mixed(tmp_path))
    null = {one["spot_id"]: one["counts"] is None for one in spots.shuffle(seed=1, buffer_size=20)}
    assert sum(null.values()) == 9 and all(("Slide_B" in spot) == is_null for spot, is_null in null.items())
    parts = [stimage_1k4m.load("ST", tmp_path, slides=[name]) for name in ("Slide_B", "Slide_A")]
    slides = [(one["slide"], one["gene_ids"] is None) for one in datasets.interleave_datasets(parts)]
    assert slides[:2] == [("Slide_B", True), ("Slide_A", False)]


def test_it_adds_nothing_to_the_vocabulary(tmp_path):
    with_alone, without = mixed(tmp_path / "with"), tmp_path / "without"
    for name, seed in (("Slide_A", 1), ("Slide_C", 3)):
        write_slide(without, name, "ST", seed=seed)
    assert stimage.gene_names(with_alone) == stimage.gene_names(without)


def test_any_other_slide_without_counts_is_an_error(tmp_path):
    write_slide(tmp_path, "Slide_A", "ST")
    (tmp_path / "ST/gene_exp/Slide_A_count.csv").unlink()
    with pytest.raises(DataError, match=r"Slide_A_count\.csv: is missing"):
        stimage_1k4m.load("ST", tmp_path)


@pytest.mark.parametrize("gene_num", ["", "4", "none", "-0", "0.5"])
def test_only_a_gene_num_of_0_says_so(tmp_path, gene_num):
    write_alone(tmp_path, "Slide_A", gene_num=gene_num)
    with pytest.raises(DataError, match=r"Slide_A_count\.csv: is missing"):
        stimage_1k4m.load("ST", tmp_path)


def test_a_gene_num_as_pandas_writes_it(tmp_path):
    write_alone(tmp_path, "Slide_A", gene_num="0.0")
    assert examples(tmp_path, True)["Slide_A"][0]["counts"] is None


def test_counts_beside_a_gene_num_of_0_are_an_error(tmp_path):
    write_slide(tmp_path, "Slide_A", "ST", meta={"gene_num": "0"})
    with pytest.raises(DataError, match=r"gene_num of slide 'Slide_A' is 0.*Slide_A_count\.csv; correct gene_num"):
        stimage_1k4m.load("ST", tmp_path)
    assert "gene_num" in stimage.list_slides(tmp_path).problem["Slide_A"]


def test_a_spot_twice_is_still_an_error(tmp_path):
    write_alone(tmp_path, "Slide_A")
    path = tmp_path / "ST/coord/Slide_A_coord.csv"
    rows = list(csv.reader(path.open(newline="")))
    with path.open("a", newline="") as file:
        csv.writer(file).writerow(rows[1])
    with pytest.raises(DataError, match="occurs more than once"):
        next(iter(stimage_1k4m.load("ST", tmp_path)))


def test_spots_beyond_the_image_may_be_dropped(tmp_path):
    write_alone(tmp_path, "Slide_A")
    with (tmp_path / "ST/coord/Slide_A_coord.csv").open("a") as file:
        file.write("Slide_A_9x9,5000,5000,5\n")
    with pytest.raises(DataError, match="wholly outside"):
        next(iter(stimage_1k4m.load("ST", tmp_path)))
    assert len(examples(tmp_path, True, on_mismatch="drop")["Slide_A"]) == 9


def test_columns_without_counts(tmp_path):
    found = examples(mixed(tmp_path), True, columns=["spot_id", "slide", "counts"])
    assert found["Slide_B"][0] == {"spot_id": "Slide_B_0x0", "slide": "Slide_B", "counts": None}
    assert "counts" not in examples(tmp_path, True, columns=["slide", "image"])["Slide_B"][0]
