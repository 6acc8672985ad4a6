"""Croissant metadata of a published folder: valid by mlcroissant, which reads the spots through it."""

import json
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import stimage
from stimage.core.errors import DataError
from tests.roots import write_slide
from tests.test_scripts import run

SCRIPT = "data_process/write_croissant.py"


@pytest.fixture
def folder(tmp_path):
    write_slide(tmp_path / "root", "Slide_A", "ST")
    write_slide(tmp_path / "root", "Slide_B", "Visium", side=4, seed=1)
    return stimage.publish(tmp_path / "root", tmp_path / "out").folder


def columns(metadata: dict) -> dict[str, list[str]]:
    return {one["@id"]: [field["name"] for field in one["field"]] for one in metadata["recordSet"]}


def test_it_names_every_file_and_column(folder):
    done = run(SCRIPT, folder, "--license", "mit")
    assert done.returncode == 0 and "metadata.json" in done.stdout, done.stderr
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["license"] == "mit" and "url" not in metadata
    named = {path for one in metadata["distribution"] for path in folder.glob(one["includes"])}
    assert named == {*folder.glob("data/**/*.parquet"), folder / "slides.parquet", folder / "genes.parquet"}
    found = columns(metadata)
    assert list(found) == ["ST", "Visium", "slides", "genes"]
    for tech in ("ST", "Visium"):
        (shard,) = folder.glob(f"data/{tech}/*/*.parquet")
        assert found[tech] == pq.read_schema(shard).names
    assert found["genes"] == pq.read_schema(folder / "genes.parquet").names
    images = [f for one in metadata["recordSet"] for f in one["field"] if f["dataType"] == "sc:ImageObject"]
    assert [one["@id"] for one in images] == ["ST/image", "Visium/image"]


def test_of_the_hub(folder):
    stimage.write_croissant(folder, repo="user/spots")
    metadata = json.loads((folder / "metadata.json").read_text())
    repository, *sets = metadata["distribution"]
    assert repository["contentUrl"] == metadata["url"] == "https://huggingface.co/datasets/user/spots"
    assert all(one["containedIn"] == {"@id": repository["@id"]} for one in sets)


def test_it_is_gone_when_shards_are_made_anew(folder, tmp_path):
    stimage.write_croissant(folder)
    stimage.publish(tmp_path / "root", folder)
    assert (folder / "metadata.json").exists()  # nothing was to be made
    write_slide(tmp_path / "root", "Slide_C", "ST", seed=2)
    stimage.publish(tmp_path / "root", folder)
    assert not (folder / "metadata.json").exists()


def test_a_folder_that_is_not_finished(folder):
    (folder / "README.md").unlink()
    done = run(SCRIPT, folder)
    assert done.returncode == 1 and "is no finished published folder" in done.stderr
    with pytest.raises(DataError, match="no finished published folder"):
        stimage.write_croissant(folder / "none")


@pytest.mark.parametrize("repo", [None, "user/spots"])
def test_mlcroissant_finds_no_fault(folder, repo):
    mlcroissant = pytest.importorskip("mlcroissant", reason="the extra croissant has it")
    path = stimage.write_croissant(folder, repo=repo, license="mit")
    issues = mlcroissant.Dataset(jsonld=str(path)).metadata.issues
    assert not issues.errors and not issues.warnings


def test_mlcroissant_reads_the_spots(folder):
    mlcroissant = pytest.importorskip("mlcroissant", reason="the extra croissant has it")
    data = mlcroissant.Dataset(jsonld=str(stimage.write_croissant(folder)))
    spots = pq.read_table(next(folder.glob("data/ST/*/*.parquet"))).to_pylist()
    for read, spot in zip(islice(data.records("ST"), 9), spots, strict=True):
        assert read["ST/spot_id"].decode() == spot["spot_id"] and read["ST/x"] == np.float32(spot["x"])
        assert list(read["ST/counts"]) == spot["counts"] and read["ST/image"].size == (10, 10)
    assert len(list(data.records("genes"))) == 4


def test_columns_of_structs_have_a_field_a_member(folder):
    path = next(folder.glob("data/ST/*/*.parquet"))
    table = pq.read_table(path)
    cells = pa.array([{"Neoplastic": k, "Dead": 2 * k} for k in range(len(table))])
    pq.write_table(table.append_column("cells", cells), path)
    written = stimage.write_croissant(folder)
    assert columns(json.loads(written.read_text()))["ST"][-2:] == ["cells/Neoplastic", "cells/Dead"]
    mlcroissant = pytest.importorskip("mlcroissant", reason="the extra croissant has it")
    read = mlcroissant.Dataset(jsonld=str(written)).records("ST")
    assert [one["ST/cells/Dead"] for one in read] == [2 * k for k in range(9)]


@pytest.mark.parametrize("name", ["Immune cells", "a.b", 'é "q"', "", "1"])
def test_classes_of_any_name(folder, name):
    path = next(folder.glob("data/ST/*/*.parquet"))
    table = pq.read_table(path)
    cells = pa.array([{"Dead": k, name: 2 * k} for k in range(len(table))])
    pq.write_table(table.append_column("cells", cells), path)
    written = stimage.write_croissant(folder)
    assert columns(json.loads(written.read_text()))["ST"][-2:] == ["cells/Dead", f"cells/{name}"]
    mlcroissant = pytest.importorskip("mlcroissant", reason="the extra croissant has it")
    read = mlcroissant.Dataset(jsonld=str(written)).records("ST")
    assert [(one["ST/cells/Dead"], one["ST/cells/1"]) for one in read] == [(k, 2 * k) for k in range(9)]


def test_mlcroissant_tells_a_fault(folder, monkeypatch):
    pytest.importorskip("mlcroissant", reason="the extra croissant has it")
    from stimage.publishing import croissant

    monkeypatch.setattr(croissant, "_data_type", lambda kind: "sc:NoSuchType")
    with pytest.raises(DataError, match=r"metadata.json: is no valid Croissant metadata"):
        stimage.write_croissant(folder)
