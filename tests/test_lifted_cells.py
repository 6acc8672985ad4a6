"""Lists of places that are read as a table: the same cells as list by list, whatever the file; and what is not so."""

import json

import numpy as np
import pytest

from stimage.cells.reading import json_files
from stimage.cells.reading.json_files import read_json
from stimage.core.errors import DataError
from tests.nuclei import Nuclei, cellvit, cellvit_json, hovernet, qupath, space_ranger

NUCLEI = Nuclei(pitch=60)
FORMS = {
    "cellvit": cellvit(NUCLEI), "points": cellvit(NUCLEI, points=True), "json": cellvit_json(NUCLEI),
    "contours": cellvit_json(NUCLEI, contours=True), "hovernet": hovernet(NUCLEI), "qupath": qupath(NUCLEI),
    "space ranger": space_ranger(NUCLEI),
}  # fmt: skip
HOLES = [[[[0, 0], [9, 0], [9, 9], [0, 0]], [[2, 1], [4, 1], [4, 3], [2, 1]]], [[[20, 20], [29, 20], [29, 29]]]]
FORMS["holes"] = [{"type": "Feature", "geometry": {"type": "MultiPolygon", "coordinates": HOLES}, "properties": None}]


def same(found, other) -> None:
    assert (found.kind, found.classes, found.ids, len(found)) == (other.kind, other.classes, other.ids, len(other))
    assert (found.xy is None) == (other.xy is None) and (found.outlines is None) == (other.outlines is None)
    if found.xy is not None:
        assert np.array_equal(found.xy, other.xy)
    if found.outlines:
        for name in ("points", "ring_sizes", "polygon_of_ring", "cell_of_polygon"):
            assert np.array_equal(getattr(found.outlines, name), getattr(other.outlines, name), equal_nan=True), name
        assert found.outlines.broken() == other.outlines.broken()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("indent", [None, 1])
def test_the_same_cells(tmp_path, monkeypatch, form, indent):
    path = tmp_path / "cells.json"
    path.write_text("\ufeff" + json.dumps(FORMS[form], indent=indent), encoding="utf-8")
    plain = json_files._read_plainly(path)
    monkeypatch.setattr(json_files, "_read_plainly", lambda path: pytest.fail("it was read list by list"))
    same(read_json(path), plain)


def polygon(ring, kind="Polygon", **told) -> dict:
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": ring}, "properties": told}


RING = [[[0, 0], [9.5, 0], [9, 9], [0, 0]]]
ODD = {
    "two kinds": [polygon(RING), polygon([RING, RING], "MultiPolygon")],
    "a cell of parts": [polygon([RING, RING], "MultiPolygon", objectType="cell")],
    "an empty outline": [polygon(RING), polygon([[]])],
    "no ring": [polygon([])],
    "three numbers": [polygon([[[0, 0, 1], [9, 0, 1], [9, 9, 1]]])],
    "one number": [polygon([[[0], [9], [9]]])],
    "words": [polygon([[["a", "b"], [9, 0], [9, 9]]])],
    "null": [polygon(None)], "a number": [polygon(0)], "numbers among lists": [polygon(RING), polygon(0)],
    "not finite": [polygon([[[0, float("nan")], [9, 0], [9, 9]]])],
    "too large": [polygon([[[0, 10**400], [9, 0], [9, 9]]])],
    "true": [polygon([[[True, 0], [9, 0], [9, 9]]])],
    "a line": [polygon(RING[0], "LineString")],
    "a contour for some": {"nuc": {"1": {"centroid": [1, 2], "contour": RING[0]}, "2": {"centroid": [3, 4]}}},
    "a contour of rings": {"nuc": {"1": {"centroid": [1, 2], "contour": RING}}},
    "no cell": {"cells": []}, "a list": [], "regions": [polygon(RING, objectType="annotation")],
    "nucleus in a cell": [polygon(RING, objectType="cell") | {"nucleusGeometry": polygon(RING)["geometry"]}] * 3,
    "a name of a key": [polygon(RING, note='"coordinates": [[1, 2]]')],
    "a class for ever": [polygon(RING, classification="[1,2],[3,4]")],
}  # fmt: skip


def told(read, path):
    try:
        return read(path)
    except DataError as error:
        return str(error)


@pytest.mark.parametrize("what", ODD)
def test_odd_files_are_as_read_list_by_list(tmp_path, what):
    path = tmp_path / "cells.json"
    path.write_text(json.dumps(ODD[what]))
    ours, plain = told(read_json, path), told(json_files._read_plainly, path)
    if isinstance(plain, str):
        assert ours == plain and str(path) in plain
    else:
        same(ours, plain)


def test_cut_and_changed_files(tmp_path):
    path, whole = tmp_path / "cells.json", json.dumps(FORMS["qupath"])
    rng = np.random.default_rng(0)
    for k in rng.integers(0, len(whole), 60).tolist():
        for text in (whole[:k], whole[:k] + rng.choice(list('[],"{}x1 ')) + whole[k + 1 :]):
            path.write_text(text)
            ours, plain = told(read_json, path), told(json_files._read_plainly, path)
            assert isinstance(ours, str) == isinstance(plain, str), (k, ours, plain)
            if isinstance(plain, str):
                assert ours == plain
            else:
                same(ours, plain)


@pytest.mark.parametrize("blank", [" ", "\n", "  \t"])
def test_a_blank_within_a_number_is_no_number(tmp_path, blank):
    path = tmp_path / "cells.json"
    path.write_text(json.dumps({"cells": [{"centroid": [107.5, 3], "type": 1}]}).replace("07", f"{blank}7"))
    with pytest.raises(DataError, match=r"is no JSON \(at character"):
        read_json(path)
