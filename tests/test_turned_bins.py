"""Bins of a slide whose lattice is turned in its image: a cell is counted in the bin whose turned square it lies in."""

import numpy as np
import pytest

import stimage
import stimage_1k4m
from stimage.cells.features import nuclei_of_slides
from tests.nuclei import Nuclei, cellvit, write, write_root
from tests.roots import write_csv

NUCLEI = Nuclei(pitch=14)
SIDE = 20.0


@pytest.mark.parametrize("turn", [0.0, 0.02, 0.3, -0.7])
def test_each_cell_is_in_one_bin(tmp_path, turn):
    root = write_root(tmp_path / "root", NUCLEI)
    (root / "ST").rename(root / "VisiumHD")
    meta = root / "meta/meta_all_gene.csv"
    meta.write_text(meta.read_text().replace(",ST,", ",VisiumHD,"))
    along = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])  # rows: the two sides of a bin
    places = [(i, j) for i in range(-8, 9) for j in range(-8, 9)]
    centres = {place: np.array([300.0, 300]) + SIDE * (np.array(place) @ along) for place in places}
    ids = {place: f"Slide_A_{place[0] + 8}x{place[1] + 8}" for place in places}
    write_csv(root / "VisiumHD/coord/Slide_A_coord.csv", [["", "yaxis", "xaxis", "r"], *(
        [ids[place], y, x, SIDE / 2] for place, (x, y) in centres.items())])  # fmt: skip
    write_csv(root / "VisiumHD/gene_exp/Slide_A_count.csv", [["", "A"], *([one, 1] for one in ids.values())])
    stimage.import_cells(root, "Slide_A", write(root / "cells.json", cellvit(NUCLEI, points=True)), unchecked=True)
    bins = np.floor((NUCLEI.xy - 300) @ along.T / SIDE + 0.5).astype(int).tolist()
    expected = {one: bins.count(list(place)) for place, one in ids.items()}
    counts = stimage.count_cells(root).iloc[:, 4:].sum(axis=1)
    assert counts.to_dict() == {one: expected[one] for one in counts.index} and len(counts) == len(ids)
    assert sum(expected.values()) > 200
    told = stimage_1k4m.load("VisiumHD", root, cells=True, columns=["spot_id", "cells"])
    assert {one["spot_id"]: sum(one["cells"].values()) for one in told} == expected
    (slide,) = stimage.open_root(root).slides
    nuclei, _ = nuclei_of_slides(str(root), [slide])
    some = np.arange(0, len(places), 37)  # far from one another: they tell no lattice
    xy = np.array([centres[place] for place in places])
    found = nuclei.features(slide, xy[some], np.full(len(some), SIDE / 2))
    assert np.expm1(found[:, 0]) == pytest.approx([expected[ids[places[k]]] for k in some], abs=1e-3)
