"""Cells of segmenters taken into a root: all forms tell the same cells; what is damaged or elsewhere is refused."""

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely
import tifffile
from scipy.spatial import cKDTree

import stimage
from stimage.cells.cells import read_cells
from stimage.core.errors import DataError
from tests.nuclei import UM, Nuclei, cellvit, cellvit_json, hovernet, qupath, space_ranger, write, write_root
from tests.test_scripts import run

NUCLEI = Nuclei()
AREA = np.pi * NUCLEI.radius**2 * UM**2


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_root(tmp_path_factory.mktemp("nuclei"), NUCLEI)


@pytest.fixture
def opened(root):
    return stimage.open_root(root, um_per_px=UM)


def as_npy(path: Path) -> Path:
    np.save(path, NUCLEI.labels())
    return path.with_suffix(".npy")


def as_tiff(path: Path, **how) -> Path:
    tifffile.imwrite(path, NUCLEI.labels().astype(np.uint16), **how)
    return path


FORMS = {
    "CellViT's outlines": lambda path: write(path, cellvit(NUCLEI)),
    "CellViT's outlines as a collection": lambda path: write(
        path, {"type": "FeatureCollection", "features": cellvit(NUCLEI)}
    ),
    "CellViT's centres": lambda path: write(path, cellvit(NUCLEI, points=True)),
    "CellViT's JSON": lambda path: write(path, cellvit_json(NUCLEI)),
    "CellViT's JSON with outlines": lambda path: write(path, cellvit_json(NUCLEI, contours=True)),
    "HoVer-Net": lambda path: write(path, hovernet(NUCLEI)),
    "QuPath": lambda path: write(path, qupath(NUCLEI)),
    "Space Ranger": lambda path: write(path, space_ranger(NUCLEI)),
    "npy": as_npy,
    "tiff": as_tiff,
    "compressed tiff": lambda path: as_tiff(path, compression="zlib", tile=(64, 64)),
}
CENTRES = ("CellViT's centres", "CellViT's JSON")
UNNAMED = ("Space Ranger", "npy", "tiff", "compressed tiff")


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_tell_the_same_cells(form, opened, tmp_path):
    file = FORMS[form](tmp_path / "file")
    cells = stimage.import_cells(opened, "Slide_A", file, classes="pannuke" if form == "HoVer-Net" else None)
    table = cells.table.to_pandas()
    far, truth = cKDTree(NUCLEI.xy).query(table[["x", "y"]])
    assert {*truth.tolist()} == {*range(len(NUCLEI))} and far.max() < (0.2 if form in UNNAMED[1:] else 0.05)
    named = [None if one is None or one != one else one for one in table["class"]]
    assert named == ([None] * len(NUCLEI) if form in UNNAMED else [NUCLEI.classes[k] for k in truth])
    if form in CENTRES:
        assert table.area.isna().all() and table.polygon.isna().all()
    else:
        outlines = shapely.from_wkb(table.polygon.to_numpy())
        assert np.abs(table.area / AREA - 1).max() < 0.06
        assert np.abs(shapely.area(outlines) * UM**2 / AREA - 1).max() < 0.06
        assert shapely.contains_xy(outlines, *NUCLEI.xy[truth].T).all()
    assert cells.area_unit == "µm²" and cells.image_size == NUCLEI.size


def test_ids_are_those_of_the_file(opened, tmp_path):
    ids = {form: stimage.import_cells(opened, "Slide_A", FORMS[form](tmp_path / "file")).table["id"].to_pylist()
           for form in ("Space Ranger", "QuPath", "tiff", "CellViT's outlines")}  # fmt: skip
    assert [one[0] for one in ids.values()] == ["cellid_000000001-1", "uuid-0", "1", "0"]
    assert all(len({*one}) == len(NUCLEI) for one in ids.values())


def test_an_older_qupath_writes_the_kind_of_an_object_as_its_id(opened, tmp_path):
    told = qupath(NUCLEI)
    for one in told["features"]:
        one["id"] = "PathDetectionObject" if one.get("id") else "PathAnnotationObject"
    cells = stimage.import_cells(opened, "Slide_A", write(tmp_path / "file", told))
    assert cells.table["id"].to_pylist() == [str(k) for k in range(len(NUCLEI))]


def test_a_file_compressed_by_gzip_is_named_so(opened, tmp_path):
    (tmp_path / "cells.geojson").write_bytes(gzip.compress(b"{}"))
    with pytest.raises(DataError, match="compressed by gzip; unpack it first"):
        stimage.import_cells(opened, "Slide_A", tmp_path / "cells.geojson")


def test_what_is_written_is_read_by_us_and_by_geopandas(root, opened, tmp_path):
    geopandas = pytest.importorskip("geopandas")
    made = stimage.import_cells(opened, "Slide_A", FORMS["CellViT's outlines"](tmp_path / "file"))
    again = read_cells(str(root), opened.slides[0])
    assert again.table.equals(made.table) and again.region == made.region and again.source == made.source == "GeoJSON"
    assert again.um_per_px == UM and again.classes == sorted({*NUCLEI.classes})
    frame = geopandas.read_parquet(root / "cells/Slide_A.parquet")
    assert frame.geometry.geom_type.unique().tolist() == ["Polygon"] and len(frame) == len(NUCLEI)
    script = run("data_process/import_cells.py", root, tmp_path / "file", "--slide", "Slide_A", "--um-per-px", UM)
    assert script.returncode == 0, script.stderr
    assert script.stdout.startswith(f"Slide_A: {len(NUCLEI)} cells from GeoJSON: ")
    assert pd.read_parquet(root / "cells/Slide_A.parquet").equals(made.table.to_pandas())


def test_without_a_scale_areas_are_in_pixels(tmp_path):
    root = write_root(tmp_path / "root", NUCLEI)
    path = root / "ST/coord/Slide_A_coord.csv"
    path.write_text(path.read_text().replace(",55.0", ",20.0"))  # which contradicts the pitch
    cells = stimage.import_cells(root, "Slide_A", FORMS["QuPath"](tmp_path / "file"))
    assert cells.um_per_px is None and cells.area_unit == "px²"
    assert cells.table["area"].to_numpy().mean() == pytest.approx(AREA / UM**2, rel=0.05)


def test_parts_holes_and_points_in_space(opened, tmp_path):
    told = qupath(NUCLEI)
    x, y = (float(c) for c in NUCLEI.xy[0])
    square = [[[x - 6, y - 6], [x + 6, y - 6], [x + 6, y + 6], [x - 6, y + 6]]]
    hole = [[x - 3, y - 3], [x + 3, y - 3], [x + 3, y + 3], [x - 3, y + 3]]
    apart = [[[x + 8, y], [x + 9, y], [x + 9, y + 1], [x + 8, y + 1]]]
    told["features"][1]["geometry"] = {"type": "MultiPolygon", "coordinates": [[*square, hole], apart]}
    cells = stimage.import_cells(opened, "Slide_A", write(tmp_path / "file", told))
    first = shapely.from_wkb(cells.table["polygon"][0].as_py())
    assert first.geom_type == "MultiPolygon" and first.area == 144 - 36 + 1 and len(cells) == len(NUCLEI)
    assert cells.table["area"][0].as_py() == pytest.approx(109 * UM**2)
    told["features"][2]["geometry"]["coordinates"] = [[[1, 2, 3]] * 4]
    with pytest.raises(DataError, match=r"feature 3 is none of .* \(points are no pairs \[x, y\]\)"):
        stimage.import_cells(opened, "Slide_A", write(tmp_path / "file", told))


@pytest.mark.parametrize(
    ("ring", "said"),
    [
        ([], "has less than 3 points"),
        ([[5, 5], [5, 5], [5, 5], [5, 5]], "has less than 3 points"),
        ([[5, 5], [9, 9], [5, 5]], "has less than 3 points"),
        ([[5, 5], [9, float("nan")], [5, 9]], "has a point that is no number"),
    ],
)
def test_broken_outlines_are_refused_or_left_out(opened, tmp_path, ring, said):
    told = qupath(NUCLEI)
    told["features"][4]["geometry"]["coordinates"] = [ring]
    told["features"][6]["geometry"]["coordinates"] = [ring]
    file = write(tmp_path / "file", told)
    with pytest.raises(
        DataError, match=rf"cell 4 {said} \(2 of {len(NUCLEI)} cells have such faults\); pass drop_broken"
    ):
        stimage.import_cells(opened, "Slide_A", file)
    cells = stimage.import_cells(opened, "Slide_A", file, drop_broken=True)
    kept = [f"uuid-{k}" for k in range(len(NUCLEI)) if k not in (3, 5)]
    assert cells.table["id"].to_pylist() == kept
    whole = stimage.import_cells(opened, "Slide_A", write(tmp_path / "file", qupath(NUCLEI))).table.to_pandas()
    assert cells.table.to_pandas().equals(whole[whole.id.isin(kept)].reset_index(drop=True))


@pytest.mark.parametrize("ring", [[[5, 5], [7, 7], [9, 9]], [[5, 5], [9, 9], [9, 5], [5, 9]]])
def test_outlines_without_an_area_are_kept_and_told(opened, tmp_path, caplog, ring):
    told = qupath(NUCLEI)
    stimage.import_cells(opened, "Slide_A", write(tmp_path / "file", told))
    assert "no area" not in caplog.text
    told["features"][4]["geometry"]["coordinates"] = [ring]
    cells = stimage.import_cells(opened, "Slide_A", write(tmp_path / "file", told))
    assert len(cells) == len(NUCLEI) and cells.table["area"][3].as_py() == 0
    assert f"1 of {len(NUCLEI)} outlines have no area, as their points lie on a line, or they cross" in caplog.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("[]", "has no cells"),
        ('{"type": "FeatureCollection", "features": []}', "has no cells"),
        ('{"mag": 40, "nuc": {}}', "has no cells"),
        ('{"cells": []}', "has no cells"),
        (json.dumps(qupath(NUCLEI))[:5000], "is cut off .at character 5,000 of 5,000: "),
        (json.dumps(hovernet(NUCLEI))[:3017], "is cut off .at character 3,0.. of 3,017: "),
        ('[{"a": 1},,]', "is no JSON .at character 10 of 12"),
        ('{"a": [1, 2]}', "is none of cells.geojson"),
        ("[" * 100_000, "is no JSON"),
        ("cells", "is none of cells.geojson, .* nor a label image"),
        (json.dumps({"features": qupath(NUCLEI)["features"][:1]}), "has 1 regions .annotations., and no cells"),
        ('[{"geometry": null, "properties": {}}]', "feature 1 is none of"),
        ('[{"geometry": {"type": "LineString", "coordinates": []}, "properties": {}}]', "its geometry is a LineString"),
        ('{"nuc": {"1": {"centroid": [1, 1%s]}}}' % ("0" * 400), "cell 1 is none of .*too large"),
        ('{"nuc": {"1": {"centroid": [1, 1], "type": Infinity}}}', "cell 1 is none of .*infinity"),
        ('{"nuc": {"1": {"centroid": [1, 1%s]}}}' % ("0" * 5000), "is no JSON .*limit"),
        ('{"nuc": {"1": {"centroid": [1, "a"]}}}', "cell 1 is none of .*could not convert"),
    ],
)
def test_files_that_are_none_are_told(opened, tmp_path, text, said):
    (tmp_path / "file.json").write_text(text)
    with pytest.raises(DataError, match=rf"file\.json: .*{said}"):
        stimage.import_cells(opened, "Slide_A", tmp_path / "file.json")


def test_other_files_are_told(opened, tmp_path):
    def refused(file, said):
        with pytest.raises(DataError, match=said):
            stimage.import_cells(opened, "Slide_A", file)

    refused(tmp_path / "no.json", r"no\.json: cannot be read \(No such file")
    refused(tmp_path, "is a folder; name the file of cells in it")
    (tmp_path / "a.json.snappy").write_bytes(b"\x82SNAPPY\0")
    refused(tmp_path / "a.json.snappy", r"is compressed; run python -m snappy -d a\.json\.snappy a\.json")
    np.save(tmp_path / "seg.npy", {"masks": NUCLEI.labels()}, allow_pickle=True)
    refused(tmp_path / "seg.npy", r"is a dictionary, as Cellpose's _seg\.npy is; save its masks")
    np.save(tmp_path / "rgb.npy", NUCLEI.pixels())
    refused(tmp_path / "rgb.npy", r"is no label image: .* the shape \(600, 800, 3\) of uint8")
    np.save(tmp_path / "none.npy", np.zeros(NUCLEI.size[::-1], int))
    refused(tmp_path / "none.npy", "has no cells")
    np.save(tmp_path / "minus.npy", NUCLEI.labels() - 1)
    refused(tmp_path / "minus.npy", "has the label -1")
    np.save(tmp_path / "part.npy", NUCLEI.labels()[:, :400])
    refused(tmp_path / "part.npy", "400 x 600 pixels, and the slide's image 800 x 600: it is of another image, or of a")
    (tmp_path / "cut.npy").write_bytes(as_npy(tmp_path / "cut").read_bytes()[:9000])
    refused(tmp_path / "cut.npy", r"cut\.npy: is damaged or cut off")
    with pytest.raises(ValueError, match="factor=0: pass what places are multiplied by, a number above 0"):
        stimage.import_cells(opened, "Slide_A", tmp_path / "file", factor=0)
    with pytest.raises(DataError, match="Slide_B"):
        stimage.import_cells(opened, "Slide_B", tmp_path / "file")


def test_a_label_image_whose_rows_are_columns(root):
    path = root / "labels.npy"
    np.save(path, np.ascontiguousarray(NUCLEI.labels().T))
    with pytest.raises(DataError, match=r"labels.npy: has 600 x 800 pixels.*: rows are columns; pass swap=True"):
        stimage.import_cells(root, "Slide_A", path)
    cells = stimage.import_cells(root, "Slide_A", path, swap=True)
    assert len(cells) == len(NUCLEI) and cells.region == (0, 0, 800, 600)
    assert np.abs(cells.xy[np.argsort(cells.table["id"].to_numpy().astype(int))] - NUCLEI.xy).max() < 1
