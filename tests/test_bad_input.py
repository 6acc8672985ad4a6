"""Damaged roots through the front door: each fault gives an error that names the file and says what to do."""

import re
from pathlib import Path

import numpy as np
import pytest
from datasets import load_dataset
from PIL import Image

import stimage_1k4m  # noqa: F401
from stimage.core.errors import DataError
from tests.roots import GENES, write_csv, write_slide

COORD, COUNTS, IMAGE = "ST/coord/Slide_A_coord.csv", "ST/gene_exp/Slide_A_count.csv", "ST/image/Slide_A.png"
META = "meta/meta_all_gene.csv"


def read(root: Path, **options) -> list[str]:
    dataset = load_dataset("stimage_1k4m", "ST", data_dir=str(root), split="train", streaming=True, **options)
    return [example["spot_id"] for example in dataset]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def refused(root: Path, *parts: str, **options) -> None:
    """Assert that reading fails with the project's error, and that its message has all these parts."""
    with pytest.raises(ValueError) as caught:
        read(root, **options)
    assert isinstance(caught.value, DataError)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("part", [COORD, COUNTS, IMAGE])
def test_missing_file(tiny, part):
    write_slide(tiny, "Slide_B", "ST")
    (tiny / part).unlink()
    refused(tiny, part, "is missing", "on_mismatch='drop'")
    assert {spot[:7] for spot in read(tiny, on_mismatch="drop")} == {"Slide_B"}
    assert {spot[:7] for spot in read(tiny, slides="Slide_B")} == {"Slide_B"}


@pytest.mark.parametrize("part", [COORD, COUNTS, IMAGE])
def test_empty_file(tiny, part):
    (tiny / part).write_bytes(b"")
    refused(tiny, part)


@pytest.mark.parametrize("part", [COORD, COUNTS])
def test_header_only(tiny, part):
    path = tiny / part
    path.write_text(path.read_text().split("\n")[0] + "\n")
    refused(tiny, part)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_image(tmp_path, kind, share):
    write_slide(tmp_path, "Slide_A", "ST", format=kind)
    assert len(read(tmp_path)) == 9
    path = tmp_path / IMAGE
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    refused(tmp_path, IMAGE)


@pytest.mark.parametrize(
    "content", [b"not an image at all\n" * 50, b"%PDF-1.4\n", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"]
)
def test_no_image(tiny, content):
    (tiny / IMAGE).write_bytes(content)
    refused(tiny, IMAGE, "is no PNG, JPEG or TIFF image")


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        (",yaxis,xaxis,r", ",yaxis,xaxis,radius", ["no column 'r'", "'radius'"]),
        ("Slide_A_1x1,40.0,40.0", "Slide_A_1x1,nan,40.0", ["'Slide_A_1x1'", "line 6", "yaxis", "no finite number"]),
        ("Slide_A_1x1,40.0,40.0", "Slide_A_1x1,40.0,inf", ["'Slide_A_1x1'", "line 6", "xaxis"]),
        ("Slide_A_1x1,40.0,40.0", "Slide_A_1x1,40.0,", ["'Slide_A_1x1'", "line 6", "xaxis"]),
        ("Slide_A_1x1,40.0,40.0", "Slide_A_1x1,40.0,forty", ["'Slide_A_1x1'", "line 6", "'forty'"]),
        ("Slide_A_1x1,40.0,40.0,5.0", "Slide_A_1x1,40.0,40.0,0", ["'Slide_A_1x1'", "line 6", "r is 0"]),
        ("Slide_A_1x1,40.0,40.0,5.0", "Slide_A_1x1,40.0,40.0,-5", ["'Slide_A_1x1'", "line 6", "r is -5"]),
        ("Slide_A_1x1,", "Slide_A_0x0,", ["'Slide_A_0x0'", "more than once"]),
        ("Slide_A_1x1,40.0,40.0,5.0", "Slide_A_1x1,40.0", ["is no CSV table of 4 columns"]),
    ],
)
def test_bad_coordinates(tiny, old, new, parts):
    edit(tiny / COORD, old, new)
    refused(tiny, COORD, *parts)


@pytest.mark.parametrize("cell", ["", "NA", "-1", "x", "nan", "1e999", "1_0"])
def test_bad_count(tiny, cell):
    path = tiny / COUNTS
    lines = path.read_text().splitlines()
    cells = lines[4].split(",")
    cells[3] = cell
    lines[4] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n")
    refused(tiny, COUNTS, "line 5 ", f"spot '{cells[0]}'", f"gene '{GENES[2]}'", repr(cell))


def test_counts_cut_in_the_middle_of_a_row(tiny):
    path = tiny / COUNTS
    path.write_bytes(path.read_bytes()[:-4])
    refused(tiny, COUNTS, "has 3 counts for 4 genes", "cut off")
    path.write_bytes(path.read_bytes()[:-20])
    refused(tiny, COORD, "'Slide_A_0x0'", "has no row in", COUNTS)


def test_spots_twice_in_the_counts(tiny):
    edit(tiny / COUNTS, "Slide_A_1x1,", "Slide_A_0x0,")
    refused(tiny, COUNTS, "'Slide_A_0x0'", "more than once")


def test_spots_that_only_one_file_has(tiny, caplog):
    edit(tiny / COUNTS, "Slide_A_1x1,", "Slide_A_9x9,")
    refused(tiny, COORD, "'Slide_A_1x1'", "has no row in", COUNTS, "1 of 9", "on_mismatch='drop'")
    spots = read(tiny, on_mismatch="drop")
    assert len(spots) == 8 and "Slide_A_1x1" not in spots
    assert caplog.text.count("left out") == 2 and "'Slide_A_9x9'" in caplog.text
    with pytest.raises(ValueError, match="pass one of"):
        read(tiny, on_mismatch="ignore")


def test_no_spot_in_common(tiny):
    path = tiny / COUNTS
    path.write_text(path.read_text().replace("Slide_A_", "Other_"))
    refused(tiny, "no spot is left", on_mismatch="drop")


def test_spots_wholly_outside(tiny):
    edit(tiny / COORD, "Slide_A_1x1,40.0,40.0", "Slide_A_1x1,40.0,400.0")
    refused(tiny, COORD, "'Slide_A_1x1'", "wholly outside the 90 x 80 image", "swapped")
    assert len(read(tiny, on_mismatch="drop")) == 8


def test_spots_partly_outside_are_black_there(tiny):
    edit(tiny / COORD, "Slide_A_0x0,20.0,20.0", "Slide_A_0x0,-2.0,1.0")
    dataset = load_dataset("stimage_1k4m", "ST", data_dir=str(tiny), split="train", streaming=True)
    pixels = np.asarray(next(iter(dataset))["image"])
    image = Image.open(tiny / IMAGE)
    assert np.array_equal(pixels, np.asarray(image.crop((-4, -7, 6, 3)))) and not pixels[:7].any()


def test_decompression_bomb(tiny):
    refused(tiny, IMAGE, "90 x 80 pixels", "max_image_pixels", max_image_pixels=7000)
    assert len(read(tiny, max_image_pixels=7200)) == 9


@pytest.mark.parametrize(
    "option",
    [{"pmid": 111.5}, {"species": 1.5}, {"splits": ["train"]}, {"splits": ""}, {"max_image_pixels": "9"}],
    ids=str,
)
def test_options_of_another_kind_are_refused_with_what_was_passed(tiny, option):
    (value,) = option.values()
    with pytest.raises(ValueError, match=re.escape(repr(value)) + ".*pass "):
        read(tiny, **option)


def test_slide_on_disk_but_not_in_the_meta_file(tiny):
    write_slide(tiny, "Slide_B", "ST")
    edit(tiny / META, "Slide_A", "Slide_C")
    refused(tiny, META, "no row for slide 'Slide_A'", "add one")
    assert len(read(tiny, slides="Slide_B")) == len(read(tiny, on_mismatch="drop")) == 9


def test_slide_in_the_meta_file_but_not_on_disk(tiny):
    text = (tiny / META).read_text()
    (tiny / META).write_text(text + text.splitlines(True)[1].replace("Slide_A", "Slide_B"))
    assert len(read(tiny)) == 9
    refused(tiny, "'Slide_B' is in meta/meta_all_gene.csv but has no files", slides="Slide_B")


def test_spelling_of_a_name_may_differ_in_upper_and_lower_case(tmp_path):
    write_slide(tmp_path, "Mouse_Brain_10X_VisiumHD", "VisiumHD", side=4)
    edit(tmp_path / META, "Mouse_Brain_10X_VisiumHD", "Mouse_Brain_10X_VIsiumHD")
    for name in ("Mouse_Brain_10X_VisiumHD", "Mouse_Brain_10X_VIsiumHD"):
        dataset = load_dataset(
            "stimage_1k4m", "VisiumHD", data_dir=str(tmp_path), split="train", streaming=True, slides=name
        )
        assert {e["slide"] for e in dataset} == {"Mouse_Brain_10X_VIsiumHD"}


@pytest.mark.parametrize("name", ["../Slide_A", "a/b", "..", "a\\b", ""])
def test_slide_names_that_lead_elsewhere(tiny, name):
    refused(tiny, "is no slide name", slides=name)
    edit(tiny / META, "Slide_A", name)
    refused(tiny, META, "row 1", "is no slide name")


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("True", "yes", ["row 1", "involve_cancer is 'yes'"]),
        ("species", "organism", ["no column 'species'"]),
    ],
)
def test_bad_meta(tiny, old, new, parts):
    edit(tiny / META, old, new)
    refused(tiny, META, *parts)


def test_meta_with_tabs(tiny):
    path = tiny / META
    path.write_text(path.read_text().replace(",", "\t"))
    refused(tiny, META, "comma-separated")


def test_no_meta_file(tiny):
    (tiny / META).unlink()
    dataset = load_dataset("stimage_1k4m", "ST", data_dir=str(tiny), split="train", streaming=True)
    example = next(iter(dataset))
    assert (example["slide"], example["tech"], example["species"], example["involve_cancer"]) == (
        "Slide_A",
        "ST",
        None,
        None,
    )
    refused(tiny, META, "is missing", species="human")


def test_slide_with_two_images(tiny):
    (tiny / "ST/image/Slide_A.tif").write_bytes((tiny / IMAGE).read_bytes())
    refused(tiny, "Slide_A.tif", "Slide_A.png", "remove one")


def test_annotation(tiny, caplog):
    path = tiny / "annotation" / "Slide_A_anno.csv"
    write_csv(path, [["", "V2"], ["Slide_A_1x1", "tumor"], ["Slide_A_1x2", ""], ["Slide_A_9x9", "stroma"]])
    dataset = load_dataset("stimage_1k4m", "ST", data_dir=str(tiny), split="train", streaming=True)
    assert {e["spot_id"]: e["annotation"] for e in dataset if e["annotation"]} == {"Slide_A_1x1": "tumor"}
    assert "1 of 3 labels are of spots that the slide does not have" in caplog.text
    write_csv(path, [["", "label"], ["Slide_A_1x1", "tumor"]])
    refused(tiny, "annotation/Slide_A_anno.csv", "no column 'V2'", "'label'")


def test_a_slide_without_the_scale_of_a_physical_patch(tiny, caplog):
    write_slide(tiny, "Slide_B", "ST", side=6)
    for part in (COORD, COUNTS):  # four spots are no lattice
        keep = [line for line in (tiny / part).read_text().splitlines() if "2" not in line[8:11]]
        (tiny / part).write_text("\n".join(keep) + "\n")
    patch = {"um": 100, "px": 8}
    refused(tiny, "ST/image/Slide_A.png", "needs a scale", "too few", patch=patch)
    assert {spot[:7] for spot in read(tiny, patch=patch, on_mismatch="drop")} == {"Slide_B"}
    assert "left out slide Slide_A" in caplog.text


@pytest.mark.parametrize("patch", [{"um": 100}, {"um": -1, "px": 8}, {"um": 100, "px": 0}, "square", 7])
def test_bad_patch(tiny, patch):
    with pytest.raises(ValueError, match=re.escape("um")):
        read(tiny, patch=patch)


def test_prepared_says_it_too(tiny):
    (tiny / IMAGE).write_bytes(b"text")
    with pytest.raises(Exception) as caught:
        load_dataset("stimage_1k4m", "ST", data_dir=str(tiny), split="train")
    assert IMAGE in str(caught.value)


def test_a_spot_without_a_pixel(tiny):
    edit(tiny / COORD, ",20.0,20.0,5.0", ",20.0,20.0,0.1")
    refused(tiny, IMAGE, "x=20, y=20 covers no pixel (r=0.1)")
