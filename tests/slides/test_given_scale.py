"""µm per pixel that a user gives, through the front door: options, the meta file, scripts, and what they write."""

import csv
import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from datasets import load_dataset
from PIL import Image

import stimage
import stimage_1k4m  # noqa: F401
from stimage.slides.images.patches import Patch
from tests.roots import META, write_csv, write_slide
from tests.test_scripts import run


def stream(root: Path, config: str = "ST", **options):
    return load_dataset("stimage_1k4m", config, data_dir=str(root), split="train", streaming=True, **options)


def scales(root: Path, config: str = "ST", **options) -> dict[str, float | None]:
    return {spot["slide"]: spot["um_per_px"] for spot in stream(root, config, **options)}


@pytest.fixture
def two(tmp_path) -> Path:
    """A root of two ST slides whose lattice gives 10 µm/px."""
    for k, name in enumerate(("Slide_A", "Slide_B")):
        write_slide(tmp_path / "root", name, "ST", side=5, seed=k)
    return tmp_path / "root"


def give(root: Path, **cells: str) -> None:
    """Write cells into all rows of the root's meta file, in columns behind those that it has."""
    path = root / "meta/meta_all_gene.csv"
    rows = list(csv.DictReader(path.open(newline="")))
    columns = list(dict.fromkeys([*rows[0], *cells]))
    write_csv(path, [columns, *([(row | cells)[column] for column in columns] for row in rows)])


def test_a_number_or_a_mapping_or_a_table(two, tmp_path):
    assert scales(two) == {"Slide_A": 10, "Slide_B": 10}
    assert scales(two, um_per_px=9.5) == scales(two, um_per_px=np.float32(9.5)) == {"Slide_A": 9.5, "Slide_B": 9.5}
    assert scales(two, um_per_px={"slide_a": 9.75}) == {"Slide_A": 9.75, "Slide_B": 10}
    table = tmp_path / "scales.csv"
    table.write_text("slide,um_per_px,note\nSlide_B,9.25,by hand\nSlide_A,,not known\n")
    assert scales(two, um_per_px=str(table)) == scales(two, um_per_px=table) == {"Slide_A": 10, "Slide_B": 9.25}
    assert scales(two, um_per_px=table, slides="Slide_A") == {"Slide_A": 10}


def test_a_slide_that_others_know_is_given(two):
    """In the meta file, though its files are not here: a table of the whole collection serves a part of it."""
    give(two)
    with (two / "meta/meta_all_gene.csv").open("a") as file:
        file.write("Slide_C" + "," * (len(META) - 1) + "\n")
    assert scales(two, um_per_px={"Slide_B": 9, "Slide_C": 0.5}) == {"Slide_A": 10, "Slide_B": 9}


@pytest.mark.parametrize(("given", "words"), [
    (0, "0 is no µm per pixel"), (-0.5, "-0.5 is no µm"), (float("nan"), "nan is no µm"), (True, "True is no µm"),
    ("0", "0.0 is no µm"), ([0.5], "is no µm per pixel; pass a number above 0, or by slide"),
    ({"Slide_A": "half"}, "um_per_px of 'Slide_A': 'half' is no µm"), ({"Slide_A": 0}, "0 is no µm"),
    ({"Slide_A": 1, "slide_a": 1}, "occurs twice"), ({"Slide_X": 1}, "has no slide 'slide_x'; did you mean"),
    ("lost.csv", "lost.csv: cannot be read"),
])  # fmt: skip
def test_what_is_no_scale_is_refused(two, given, words):
    with pytest.raises(ValueError) as caught:
        scales(two, um_per_px=given)
    assert words in str(caught.value)


@pytest.mark.parametrize(("text", "words"), [
    ("slide,um_per_px\nSlide_A,0\n", "row 1: um_per_px is '0'"), ("slide,um\nSlide_A,1\n", "has no column 'um_per_px'"),
    ("slide,um_per_px\nSlide_A,1\nSlide_A,1\n", "row 2: slide 'Slide_A' occurs twice"),
    ('slide,um_per_px\nSlide_A,"0,5"\n', "row 1: um_per_px is '0,5'"),
])  # fmt: skip
def test_a_table_that_is_none_is_refused_by_file_and_row(two, tmp_path, text, words):
    (tmp_path / "scales.csv").write_text(text)
    with pytest.raises(ValueError) as caught:
        scales(two, um_per_px=str(tmp_path / "scales.csv"))
    assert f"{tmp_path / 'scales.csv'}: {words}" in str(caught.value)


@pytest.mark.parametrize("source", ["", "user", "Space Ranger (microns_per_pixel)"])
def test_the_meta_file_gives_scales_and_the_option_is_before_it(two, source):
    give(two, um_per_px="9.5", um_per_px_source=source)
    assert scales(two) == {"Slide_A": 9.5, "Slide_B": 9.5}
    assert scales(two, um_per_px={"Slide_B": 10.5}) == {"Slide_A": 9.5, "Slide_B": 10.5}


@pytest.mark.parametrize("cell", ["0", "-1", "half", "nan", "inf", "1_0", "0,5"])
def test_a_meta_file_with_a_bad_scale_is_refused_by_file_and_row(two, cell):
    give(two, um_per_px=cell)
    with pytest.raises(ValueError, match=f"meta_all_gene.csv: row 1: um_per_px is '{cell}'"):
        scales(two)


def test_a_scale_that_contradicts_the_lattice_is_told(two, caplog):
    with caplog.at_level(logging.WARNING):
        assert scales(two, um_per_px=9.5)
        assert "µm/px" not in caplog.text
        assert scales(two, um_per_px={"Slide_B": 3}) == {"Slide_A": 10, "Slide_B": 3}
    assert "Slide_B: trusted: 3 µm/px by the user" in caplog.text and "gives 10, 3.33 times as much" in caplog.text
    assert "Slide_A" not in caplog.text


def test_checks_say_what_loading_does(two, tmp_path):
    (tmp_path / "scales.csv").write_text("slide,um_per_px\nSlide_A,3\nSlide_B,9.5\n")
    done = run("data_collection/check_spots.py", two, "--out", tmp_path, "--um-per-px", tmp_path / "scales.csv")
    found = pd.read_csv(tmp_path / "findings.csv").set_index(["slide", "check"])
    assert done.returncode == 1 and found.loc[("Slide_A", "scale"), "status"] == "fail"
    assert "3.33 times as much" in found.loc[("Slide_A", "scale"), "message"]
    assert found.loc[("Slide_B", "scale"), "status"] == "pass"
    assert json.loads(found.loc[("Slide_B", "scale"), "values"])["um_per_px"] == 9.5


def test_shards_have_it_and_say_who_gives_it(two, tmp_path):
    done = run("data_process/build_shards.py", two, tmp_path / "out", "--um-per-px", 9.5, "--patch-um", 100,
               "--patch-px", 20, "--upsample")  # fmt: skip
    assert done.returncode == 0, done.stderr
    slides = pd.read_parquet(tmp_path / "out/slides.parquet")
    assert set(slides["um_per_px"]) == {9.5} and set(slides["um_per_px_source"]) == {"the user (option um_per_px)"}
    assert slides["um_per_px_reason"].str.startswith("trusted: 9.5 µm/px by the user").all()
    assert (
        "100 µm as 20 x 20 pixels, enlarged where the slide's image is coarser"
        in (tmp_path / "out/README.md").read_text()
    )
    assert json.loads((tmp_path / "out/.build/options.json").read_text())["patch"]["upsample"] is True
    spots = load_dataset(str(tmp_path / "out"), split="train", streaming=True)
    assert {(spot["um_per_px"], spot["image"].size) for spot in spots} == {(9.5, (20, 20))}
    done = run("data_process/build_shards.py", two, tmp_path / "out", "--um-per-px", 9, "--patch-um", 100,
               "--patch-px", 20, "--upsample")  # fmt: skip
    assert done.returncode == 0 and set(pd.read_parquet(tmp_path / "out/slides.parquet")["um_per_px"]) == {9}


def test_other_scripts_take_it(two, tmp_path):
    shown = run("data_process/show_spots.py", two, "--slide", "Slide_A", "--um-per-px", 9.5, "--out", tmp_path)
    assert "9.5; trusted: 9.5 µm/px by the user (option um_per_px); the lattice gives 10" in shown.stdout
    done = run("data_process/export_slides.py", two, "--um-per-px", 9.5, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    import anndata

    assert set(anndata.read_h5ad(tmp_path / "Slide_A.h5ad").obs["um_per_px"]) == {9.5}
    wrong = run("data_process/show_spots.py", two, "--slide", "Slide_A", "--um-per-px", "lost.csv")
    assert wrong.returncode == 1 and "lost.csv: cannot be read" in wrong.stderr


def test_a_given_scale_cuts_physical_patches(two):
    """At 2 µm/px 20 µm are 10 pixels: what the original's square of 2r = 10 is."""
    a, b = (list(stream(two, um_per_px=2, **options)) for options in ({}, {"patch": {"um": 20, "px": 10}}))
    assert all(np.array_equal(np.asarray(x["image"]), np.asarray(y["image"])) for x, y in zip(a, b, strict=True))


def test_up_sampling_is_refused_unless_it_is_asked_for(two):
    patch = {"um": 100, "px": 20}
    with pytest.raises(ValueError, match="or pass upsample=True"):
        list(stream(two, patch=patch))
    spots = list(stream(two, patch=patch, upsample=True))
    spot = spots[len(spots) // 2]
    with Image.open(two / f"ST/image/{spot['slide']}.png") as image:
        box = (spot["x"] - 5, spot["y"] - 5, spot["x"] + 5, spot["y"] + 5)
        want = image.convert("RGB").resize((20, 20), Image.Resampling.BICUBIC, box)
    assert np.abs(np.asarray(spot["image"]) - np.asarray(want).astype(int)).max() <= 1
    with pytest.raises(ValueError, match=r"upsample= \(--upsample\) works only with .* in µm: pass its µm and output"):
        stream(two, upsample=True)


@pytest.mark.parametrize(("um", "px"), [(16.0, None), (None, 8)])
def test_half_a_patch_is_refused_with_both_options(um, px):
    with pytest.raises(ValueError, match=rf"{um} µm and {px} px: pass both .*\(--patch-um, --patch-px\), or neither"):
        Patch(um, px)


def test_a_prepared_data_set_is_renewed_when_a_table_of_scales_changes(two, tmp_path):
    table, found = tmp_path / "scales.csv", []
    for um in ("9.5", "9.75"):
        table.write_text(f"slide,um_per_px\nSlide_A,{um}\nSlide_B,9\n")
        options = {"data_dir": str(two), "split": "train", "cache_dir": str(tmp_path / "cache")}
        found.append(set(load_dataset("stimage_1k4m", "ST", um_per_px=str(table), **options)["um_per_px"]))
    assert found == [{9.5, 9.0}, {9.75, 9.0}]


def test_the_list_of_slides_says_by_whom(two):
    """Files are not opened: a scale that no one gave is told to be measured, not left out without a word."""
    root = stimage.open_root(two, um_per_px={"Slide_A": 9.75})
    table = stimage.list_slides(root)
    assert table.um_per_px["Slide_A"] == 9.75 and table.um_per_px_by["Slide_A"].startswith("the user")
    assert np.isnan(table.um_per_px["Slide_B"])
    assert table.um_per_px_by["Slide_B"].startswith("not given: measured on the lattice")
