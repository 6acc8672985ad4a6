"""What the check writes for the image that can be zoomed: how much, of which genes; and damaged cells."""

import json
from pathlib import Path

import pytest

import stimage
from tests.collection.test_zoom import write_root
from tests.test_scripts import run


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("files") / "root"
    write_root(root)
    return root


def layers(out: Path, slide: str) -> dict:
    return json.loads((out / f"layers/{slide}.js").read_text().removeprefix("stimageLayers(").removesuffix(");\n"))


def test_genes_that_are_asked_for(root, tmp_path):
    found = stimage.check(root, tmp_path, genes=["CD3E", "NONE"])
    spots = layers(tmp_path, "Elm")["spots"]
    assert [one["name"] for one in spots["values"]] == ["total count", "CD3E, count"] and spots["missing"] == ["NONE"]
    sizes = found.attrs["zoomed"]
    assert sizes.keys() == {"Ash", "Elm"}
    assert sizes["Elm"] == sum(
        path.stat().st_size for path in [*tmp_path.glob("tiles/Elm/image/*/*.jpg"), tmp_path / "layers/Elm.js"]
    )


def test_a_gene_by_which_pictures_are_coloured_is_a_layer(root, tmp_path):
    stimage.check(root, tmp_path, colour="CD3E", genes=())
    assert [one["name"] for one in layers(tmp_path, "Ash")["spots"]["values"]] == ["total count", "CD3E, count"]


def test_no_zoom_writes_no_tiles(root, tmp_path):
    done = run("data_collection/check_spots.py", root, "--out", tmp_path, "--zoom", "0")
    assert "page: " in done.stdout and "zoomed" not in done.stdout
    assert not (tmp_path / "tiles").exists() and not (tmp_path / "layers").exists()
    assert (tmp_path / "pictures/Ash.jpg").is_file()


def test_a_zoom_is_a_number_of_pixels(root, tmp_path):
    with pytest.raises(ValueError, match="zoom"):
        stimage.check(root, tmp_path, zoom=-1)
    assert run("data_collection/check_spots.py", root, "--out", tmp_path, "--zoom", "much").returncode == 2


def test_of_many_spots_and_cells_a_share_is_shown_and_told(root, tmp_path, monkeypatch):
    monkeypatch.setattr("stimage.collection.page.layers.MOST", 30)
    stimage.check(root, tmp_path)
    spots = layers(tmp_path, "Ash")["spots"]
    assert (spots["n"], spots["of"]) == (22, 64)
    assert layers(tmp_path, "Ash")["cells"]["n"] == 3 and layers(tmp_path, "Elm")["cells"] is None


def test_damaged_cells_are_a_fault_of_the_slide_s_files(tmp_path):
    write_root(tmp_path / "root")
    path = tmp_path / "root/cells/Ash.parquet"
    path.write_bytes(path.read_bytes()[:100])
    found = stimage.check(tmp_path / "root", tmp_path / "out").set_index(["slide", "check"])
    status, message = found.loc[("Ash", "files"), ["status", "message"]]
    assert status == "fail" and "cells/Ash.parquet" in message and "import them anew" in message
    assert found.loc[("Elm", "files"), "status"] == "pass" and layers(tmp_path / "out", "Ash")["cells"] is None


def test_an_image_without_counts_has_layers(tmp_path):
    write_root(tmp_path / "root")
    for path in (tmp_path / "root/ST/gene_exp").glob("Ash*"):
        path.unlink()
    found = stimage.check(tmp_path / "root", tmp_path / "out")
    assert (found[found.slide == "Ash"].status == "fail").any()
    assert layers(tmp_path / "out", "Ash")["spots"]["values"] == []
