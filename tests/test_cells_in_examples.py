"""Cells as features of examples: streamed, prepared, published and loaded again, as count_cells has them."""

import json
import os

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import stimage
import stimage_1k4m
from stimage.core.errors import DataError
from stimage.slides.catalog import read_catalog
from tests.nuclei import CLASSES, UM, Nuclei, cellvit, qupath, write, write_root
from tests.roots import write_slide
from tests.test_count_cells import lattice
from tests.test_scripts import run

NUCLEI = Nuclei()
OPTIONS = {"columns": ["spot_id", "slide", "cells", "cells_per_mm2"], "um_per_px": UM}


@pytest.fixture
def root(tmp_path):
    """A slide whose spots partly lie outside what was segmented, and one without cells."""
    root = write_root(tmp_path / "root", NUCLEI)
    lattice(root, 33.0, 40.0)
    stimage.import_cells(root, "Slide_A", write(root / "cells.geojson", cellvit(NUCLEI, points=True)))
    write_slide(root, "Slide_B", "ST")
    return root


def told(root) -> dict:
    """Return spot id → cells and density, as count_cells says them."""
    one = stimage.open_root(root, slides="Slide_A", um_per_px=UM)
    counts = stimage.count_cells(one)[list(CLASSES)].astype(int)
    density = counts.sum(axis=1) / (np.pi * (33 * UM / 1000) ** 2)
    return {spot: (row, density[spot]) for spot, row in counts.to_dict("index").items()}


def check(spots, root) -> None:
    expected, seen = told(root), 0
    for spot in spots:
        cells, density = spot["cells"], spot["cells_per_mm2"]
        if spot["spot_id"] not in expected:
            assert cells is None and density is None, spot
            continue
        seen += 1
        assert cells == expected[spot["spot_id"]][0] and density == pytest.approx(expected[spot["spot_id"]][1])
    assert seen == len(expected) > 50


def test_streamed_prepared_and_by_ranges(root, tmp_path, monkeypatch):
    check(stimage_1k4m.load("ST", root, cells=True, **OPTIONS), root)
    prepared = stimage_1k4m.load("ST", root, streaming=False, cells=True, cache_dir=tmp_path / "cache", **OPTIONS)
    check(prepared, root)
    assert prepared.features["cells"] == {name: datasets.Value("int32") for name in CLASSES}
    monkeypatch.setattr(stimage_1k4m, "SPOTS_PER_SHARD", 40)
    check(stimage_1k4m.load("ST", root, cells=True, **OPTIONS), root)
    assert "cells" not in stimage_1k4m.load("ST", root).features
    whole = next(iter(stimage_1k4m.load("ST", root, cells=True)))
    assert {"cells", "cells_per_mm2", "image", "counts"} <= whole.keys()


def test_a_prepared_data_set_is_made_anew_when_cells_change(root, tmp_path):
    def load():
        return stimage_1k4m.load("ST", root, streaming=False, cells=True, cache_dir=tmp_path / "cache", **OPTIONS)

    first = load()
    unclassed = qupath(NUCLEI)
    for feature in unclassed["features"]:
        feature["properties"].pop("classification", None)
    stimage.import_cells(root, "Slide_A", write(root / "cells.geojson", unclassed))
    again = load()
    assert list(first.features["cells"]) == list(CLASSES) and list(again.features["cells"]) == ["unclassed"]
    assert sum(one["unclassed"] for one in again["cells"] if one) == sum(
        sum(one.values()) for one in first["cells"] if one)  # fmt: skip


def test_published_and_loaded_by_datasets_alone(root, tmp_path):
    done = run("data_process/build_shards.py", root, tmp_path / "out", "--cells", "--um-per-px", str(UM))
    assert done.returncode == 0, done.stderr
    plain = datasets.load_dataset(str(tmp_path / "out"), "ST", split="train", cache_dir=tmp_path / "cache")
    check(plain, root)
    assert list(plain.features["cells"]) == list(CLASSES)
    check(stimage_1k4m.load("ST", tmp_path / "out", cells=True, columns=OPTIONS["columns"]), root)
    assert "cells" not in next(iter(stimage_1k4m.load("ST", tmp_path / "out")))
    panel = stimage_1k4m.load("ST", tmp_path / "out", cells=True, panel=["A"], slides="Slide_A")
    assert next(iter(panel)).keys() >= {"expression", "cells"}
    assert "| `cells_per_mm2` | cells of all classes per mm²" in (tmp_path / "out/README.md").read_text()
    done = run("data_process/build_shards.py", root, tmp_path / "out", "--um-per-px", str(UM))
    assert done.returncode == 1 and "was made with cells=['Neoplastic'," in done.stderr
    stimage.publish(root, tmp_path / "without")
    with pytest.raises(DataError, match=r"without: has no cells; publish with cells=True \(--cells\) into another"):
        stimage_1k4m.load("ST", tmp_path / "without", cells=True)
    marker = json.loads(next((tmp_path / "without/.build/done").glob("*.json")).read_text())
    stimage.detect_cells(stimage.open_root(root, slides="Slide_A", um_per_px=UM))
    stimage.publish(root, tmp_path / "without")  # cells that are not published make no shard anew
    assert marker == json.loads(next((tmp_path / "without/.build/done").glob("*.json")).read_text())


def test_bad_input(root, tmp_path):
    with pytest.raises(ValueError, match="cells='yes': pass True or False"):
        stimage_1k4m.load("ST", root, cells="yes")
    with pytest.raises(ValueError, match=r"columns= has 'cells': name some of .* \(with cells=True, also"):
        stimage_1k4m.load("ST", root, columns=["cells"])
    path = root / "cells/Slide_A.parquet"
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(DataError, match=r"the files of cells have no cell; .* or leave out cells= \(--cells\)"):
        stimage_1k4m.load("ST", root, cells=True, **OPTIONS)
    path.write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"Slide_A.parquet: is no file of cells, or damaged"):
        stimage_1k4m.load("ST", root, cells=True, **OPTIONS)
    (root / "cells/Slide_A.parquet").unlink()
    with pytest.raises(DataError, match=r"no slide has cells; add them by import_cells or detect_cells, or leave out"):
        stimage_1k4m.load("ST", root, cells=True, **OPTIONS)


def test_files_of_other_folders_are_no_cells(root):
    (root / "annotation").mkdir()
    (root / "annotation/Slide_B.parquet").write_bytes(b"none")
    (root / "cells/Slide_A_anno.csv").write_text("none")
    slides = {slide.name: slide for slide in read_catalog(str(root)).slides}
    assert slides["Slide_A"].cells.endswith("cells/Slide_A.parquet") and slides["Slide_A"].annotation is None
    assert slides["Slide_B"].cells is None
    check(stimage_1k4m.load("ST", root, cells=True, **OPTIONS), root)


def test_shards_without_cells_do_not_mind_that_they_change(root, tmp_path, monkeypatch):
    from stimage.publishing import shards

    def write(path, tables, *rest):
        write_spots(path, tables, *rest)
        os.utime(root / "cells/Slide_A.parquet", (1, 1))

    write_spots = shards.write_spots
    monkeypatch.setattr(shards, "write_spots", write)
    stimage.publish(root, tmp_path / "without")
    with pytest.raises(DataError, match="Slide_A: one of its files changed while it was read"):
        os.utime(root / "cells/Slide_A.parquet", (2, 2))
        stimage.publish(root, tmp_path / "with", cells=True)


def test_they_come_as_arrow_tables_too(root):
    spots = stimage_1k4m.load("ST", root, cells=True, **OPTIONS).with_format("arrow")
    table = pa.concat_tables(list(spots.iter(64)))
    assert table["cells"].null_count == len(table) - len(told(root))


def test_cells_that_come_while_a_root_is_open_are_in_its_examples(tmp_path):
    root = write_root(tmp_path / "root", NUCLEI)
    lattice(root, 33.0, 40.0)
    opened = stimage.open_root(root, um_per_px=UM)
    stimage.read_slide(opened, "Slide_A")
    stimage.import_cells(root, "Slide_A", write(root / "cells.geojson", cellvit(NUCLEI, points=True)))
    check(list(stimage_1k4m.load("ST", root, cells=True, um_per_px=UM)), root)
