"""Which slides a root has: the newest meta file, names in any Unicode form, and files that are none of ours."""

import csv
import logging
import re
import shutil
import subprocess
import sys
import unicodedata
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from datasets import load_dataset
from hypothesis import given
from hypothesis import strategies as st

import stimage_1k4m  # noqa: F401
from stimage.core.errors import DataError
from stimage.slides.catalog import Filters, read_catalog
from stimage.slides.meta_file import newest_meta
from stimage.slides.names import fold_name
from tests.building import ended
from tests.outs import write_outs
from tests.roots import write_slide
from tests.test_scripts import SCRIPTS, run

DATED = "meta_all_gene02122025.csv"


def load(root: Path, config: str = "ST", **options) -> list[dict]:
    return list(load_dataset("stimage_1k4m", config, data_dir=str(root), split="train", streaming=True, **options))


def rows_of(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {row["slide"]: row for row in csv.DictReader(file)}


@pytest.fixture
def two_metas(tiny) -> Path:
    """A root whose newer meta file has another tissue than its older one."""
    meta = tiny / "meta"
    text = (meta / "meta_all_gene.csv").read_text()
    (meta / DATED).write_text(text.replace("breast", "brain"))
    (meta / "meta_all_gene12312024.csv").write_text(text.replace("breast", "skin"))
    return tiny


def test_the_newest_meta_file_is_read(two_metas):
    assert {spot["tissue"] for spot in load(two_metas, tissue="brain")} == {"brain"}
    assert read_catalog(str(two_metas)).meta_file == f"meta/{DATED}"


@given(st.lists(st.dates(date(1000, 1, 1)), unique=True), st.booleans(), st.randoms())
def test_the_newest_is_that_of_the_latest_date(dates, undated, random):
    names = {day.strftime("meta_all_gene%m%d") + f"{day.year:04}.csv": day for day in dates}
    files = [*names, "bib.txt", "notes.csv", *(["meta_all_gene.csv"] if undated else [])]
    random.shuffle(files)
    newest = max(names, key=names.get) if names else "meta_all_gene.csv" if undated else None
    assert newest_meta(files, "meta") == newest


@pytest.mark.parametrize("number", ["20250212", "2122025", "02302025", "1"])
def test_a_number_that_is_no_date_is_refused(tiny, number):
    shutil.copy(tiny / "meta/meta_all_gene.csv", tiny / f"meta/meta_all_gene{number}.csv")
    with pytest.raises(ValueError, match=rf"meta_all_gene{number}\.csv: its number is no date MMDDYYYY.*rename it"):
        load(tiny)


@pytest.mark.parametrize("name", ["meta_all_gene_old.csv", "Meta_all_gene01012099.csv"])
def test_another_meta_file_is_told_to_be_left_alone(tiny, caplog, name):
    shutil.copy(tiny / "meta/meta_all_gene.csv", tiny / f"meta/{name}")
    with caplog.at_level(logging.WARNING):
        assert len(load(tiny)) == 9
    assert f"{name}: is not read" in caplog.text


def test_page_results_and_card_say_which_meta_file(two_metas, tmp_path):
    assert run("data_collection/check_spots.py", two_metas, "--out", tmp_path / "checked").stdout
    for name in ("report.html", "results.json"):
        assert f"meta/{DATED}" in (tmp_path / "checked" / name).read_text()
    assert run("data_process/build_shards.py", two_metas, tmp_path / "out").returncode == 0
    assert f"`meta/{DATED}`" in (tmp_path / "out/README.md").read_text()


def test_the_file_that_is_read_is_written(two_metas, tmp_path):
    write_outs(tmp_path)
    before = (two_metas / "meta/meta_all_gene.csv").read_bytes()
    done = run("data_collection/add_slide.py", tmp_path / "outs", "--out", two_metas, "--slide", "Mine")
    assert done.returncode == 0, done.stderr
    assert rows_of(two_metas / "meta" / DATED).keys() == {"Slide_A", "Mine"}
    assert (two_metas / "meta/meta_all_gene.csv").read_bytes() == before
    assert {spot["slide"] for spot in load(two_metas, "all")} == {"Slide_A", "Mine"}
    make = ("data_collection/make_meta.py", two_metas, "--allow-unknown")
    assert f"{DATED} exists" in run(*make).stderr
    hidden = run(*make, "--out", two_metas / "meta/meta_all_gene.csv")
    assert hidden.returncode and f"{DATED} beside it is newer" in hidden.stderr
    assert run(*make, "--out", two_metas / "meta" / DATED).returncode == 0
    assert rows_of(two_metas / "meta" / DATED)["Mine"]["tissue"] == ""


def test_a_folder_that_is_no_root_is_told(tmp_path):
    write_slide(tmp_path, "A", "ST", side=2)
    for folder, why in ((tmp_path / "typo", "there is no such folder"),
                        (tmp_path / "ST", f"name the folder above, {tmp_path}")):  # fmt: skip
        with pytest.raises(DataError, match=re.escape(f"{folder}: has no slides; expected") + f".*; {why}$"):
            read_catalog(str(folder))


@pytest.mark.slow
def test_slides_added_at_once_are_all_there(tmp_path):
    write_outs(tmp_path)
    names = [f"Mine_{i}" for i in range(3)]
    command = [sys.executable, SCRIPTS / "data_collection/add_slide.py", tmp_path / "outs", "--out", tmp_path / "root"]
    runs = [subprocess.Popen([*command, "--slide", name], stderr=subprocess.PIPE, text=True) for name in names]
    assert [ended(one) for one in runs] == [([], 0)] * 3
    assert list(rows_of(tmp_path / "root/meta/meta_all_gene.csv")) and load(tmp_path / "root", "Visium")
    assert rows_of(tmp_path / "root/meta/meta_all_gene.csv").keys() == set(names)


def test_hidden_files_are_no_slides(tiny):
    want = load(tiny)
    for folder, name in (
        ("coord", "._Slide_A_coord.csv"), ("gene_exp", ".123.Slide_A_count.csv"), ("image", "._Slide_A.png"),
        ("image", ".DS_Store"), ("coord", ".Slide_B_coord.csv"),
    ):  # fmt: skip
        (tiny / "ST" / folder / name).write_bytes(b"\0\5\26\7")
    (tiny / "meta/._meta_all_gene01012030.csv").write_bytes(b"\0\5\26\7")
    (tiny / "annotation").mkdir()
    (tiny / "annotation/._Slide_A_anno.csv").write_bytes(b"\0\5\26\7")
    assert load(tiny) == want


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_meet_whatever_their_unicode_form(tmp_path, form):
    """A Mac's disk has NFD, a table that somebody typed NFC; and the other way round."""
    other = "NFD" if form == "NFC" else "NFC"
    name, root = "Lübeck_Haut_É1", tmp_path / "root"
    write_slide(root, unicodedata.normalize(form, name), "ST")
    meta = root / "meta/meta_all_gene.csv"
    meta.write_text(unicodedata.normalize(other, meta.read_text()))
    ids = [unicodedata.normalize(form, f"{name}_{i}x{j}") for i in range(3) for j in range(3)]
    (root / "annotation").mkdir()
    (root / "annotation" / unicodedata.normalize(other, f"{name}_anno.csv")).write_text(f",V2\n{ids[0]},tumour\n")
    for wanted in (unicodedata.normalize(form, name), unicodedata.normalize(other, name), name.upper()):
        spots = load(root, slides=wanted)
        assert {spot["slide"] for spot in spots} == {unicodedata.normalize("NFC", name)}
        assert [spot["spot_id"] for spot in spots] == ids and spots[0]["annotation"] == "tumour"
    assert run("data_collection/check_spots.py", root, "--out", tmp_path / "out").returncode == 0
    done = run("data_process/build_shards.py", root, tmp_path / "shards", "--slides", name)
    assert done.returncode == 0, done.stderr
    spots = load_dataset(str(tmp_path / "shards"), split="train", streaming=True)
    assert [spot["spot_id"] for spot in spots] == ids


@given(st.text())
def test_folding_is_done_once(text):
    for form in ("NFC", "NFD"):
        assert fold_name(unicodedata.normalize(form, text)) == fold_name(text) == fold_name(fold_name(text))


def test_slides_of_one_name_in_two_forms_are_refused(tmp_path):
    write_slide(tmp_path, unicodedata.normalize("NFC", "Ü"), "ST")
    write_slide(tmp_path, unicodedata.normalize("NFD", "Ü"), "Visium")
    (tmp_path / "meta/meta_all_gene.csv").unlink()
    with pytest.raises(ValueError, match="is in ST and in Visium; rename one"):
        load(tmp_path, "all")


def test_a_hidden_name_is_refused(tmp_path):
    write_outs(tmp_path)
    done = run("data_collection/add_slide.py", tmp_path / "outs", "--out", tmp_path / "root", "--slide", ".Mine")
    assert done.returncode and "is no slide name" in done.stderr and not (tmp_path / "root").exists()


def test_filters_take_values_of_numpy(tiny):
    catalog = read_catalog(str(tiny))
    assert catalog.select(Filters(pmid=np.int64(111), involve_cancer=np.bool_(True))) == list(catalog.slides)
