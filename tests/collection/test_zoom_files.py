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


def test_symbols_of_ensembl_ids(tmp_path):
    ids = [f"ENSG0000000000{k}" for k in range(3)]
    write_root(tmp_path / "root")
    counts = tmp_path / "root/ST/gene_exp/Ash_count.csv"
    counts.write_text(counts.read_text().replace(",ERBB2,CD3E,MT-CO1", f",{','.join(ids)}"))
    table = tmp_path / "features.tsv"
    table.write_text("".join(f"{one}\t{symbol}\n" for one, symbol in zip(ids, ["ERBB2", "CD3E", "MT-CO1"])))
    pictures, asked = [], {"colour": "CD3E", "genes": ["ERBB2", ids[1], "NONE"]}
    for given in ({"gene_table": table}, {}):
        stimage.check(tmp_path / "root", tmp_path / "out", **asked, **given)
        ash, elm = (layers(tmp_path / "out", slide)["spots"] for slide in ("Ash", "Elm"))
        pictures.append((tmp_path / "out/pictures/Ash.jpg").read_bytes())
        names = [f"CD3E ({ids[1]})", f"ERBB2 ({ids[0]})"] if given else [ids[1]]
        assert [one["name"] for one in ash["values"]] == ["total count", *(f"{name}, count" for name in names)]
        assert ash["missing"] == (["NONE"] if given else ["CD3E", "ERBB2", "NONE"])
        assert {one["name"] for one in elm["values"]} == {"total count", "CD3E, count", "ERBB2, count"}
    assert pictures[0] != pictures[1]
    table.write_text("gene_id,symbol,species\nENSG00000000001,A,mouse\n")
    done = run("data_collection/check_spots.py", tmp_path / "root", "--gene-table", table, "--out", tmp_path / "none")
    assert done.returncode and "features.tsv: has no gene of the species" in done.stderr


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
