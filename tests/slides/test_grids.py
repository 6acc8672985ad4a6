"""Which grid a slide is on: barcodes, array coordinates, r and the table of known slides tell; its name does not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.slides.lattices import SOME, array_ids, bins, checkerboard, lattice, not_trusted, scale_of, turned, worn


@pytest.mark.parametrize("name", ["S", "CRC_vs_008um_rerun", "Bregma_150um_A", "s_016um", "X_s_016um"])
@pytest.mark.parametrize(("size", "um"), [("002", 2), ("008", 8), ("016", 16), ("050", 50)])
def test_the_bin_of_visium_hd_is_read_from_its_barcodes_whatever_the_slide_is_called(name, size, um):
    points = turned(lattice("square", 12, 30), 1)
    for ids in (bins(len(points), size, name), bins(len(points), size, "other"), bins(len(points), size, name.upper())):
        assert scale_of(points, 15, "VisiumHD", ids, name).um_per_px == pytest.approx(um / 30)


@pytest.mark.parametrize("name", ["S", "CRC_vs_008um_rerun", "X_s_008um"])
def test_bins_whose_barcodes_do_not_say_their_size(name):
    """Numbers, half of the barcodes, several sizes, or what looks like a barcode with the slide's name before it."""
    points = lattice("square", 12, 30)
    n = len(points)
    for ids in (
        [f"{name}_{i}" for i in range(n)],
        [f"{name}_{i:05d}_00012-1" for i in range(n)],
        [*bins(n - 1, "008", name), f"{name}_7"],
        [*bins(n - 1, "008", name), *bins(1, "016", name)],
    ):
        scale = scale_of(points, 15, "VisiumHD", ids, name)
        assert scale.um_per_px is None and scale.from_pitch is None and scale.verdict == "warn"
        assert "2, 8 or 16 µm" in scale.reason and "one of 0.0667, 0.267, 0.533 µm/px" in scale.reason


@pytest.mark.parametrize("name", ["Mouse_Brain_Bregma_150um_A", "X_020um_section", "A_s_016um_00001_00002-1", "A_5x9"])
def test_nothing_is_read_out_of_a_name(name):
    points = lattice("hexagonal", 12, 200)
    ids = [f"{name}_AAAC{i}-1" for i in range(len(points))]
    assert scale_of(points, 200 / 3.07, "Visium", ids, name).um_per_px == pytest.approx(0.5)
    points = lattice("square", 12, 200)
    for ids in ([f"{name}_{i}" for i in range(len(points))], array_ids(points / 200 + 1, name)):
        assert scale_of(points, 50, "ST", ids, name).um_per_px == pytest.approx(1)


@given(st.floats(5, 300), st.floats(0, 360), st.floats(0, 0.06), st.booleans(), st.booleans(), st.integers(0, 9999))
@SOME
def test_a_checkerboard_is_told_by_its_array_coordinates(unit, degrees, jitter, fractions, swapped, seed):
    """However it is turned, mirrored, jittered: neighbours lie diagonally, 141 or 150 µm apart; r may tell which."""
    array = checkerboard(24, 26)
    places = worn(array, 1, jitter, 0, seed)
    ids = array_ids(places[:, ::-1] if swapped else places) if fractions else array_ids(array)
    points, pitch = turned(places, degrees) * unit, np.sqrt(2) * unit
    for ratio in (4.0, 4.27, 2.0, 141.4 / 50, 3.0):
        scale = not_trusted(points, pitch / ratio, "ST", ids)
        assert scale.from_pitch is None and scale.verdict == "warn" and "141 or 150 µm" in scale.reason
        assert scale.either == pytest.approx((141.4 / pitch, 150 / pitch), rel=0.03)
    scale = scale_of(points, pitch / 2.727, "ST", ids)
    assert scale.um_per_px == pytest.approx(150 / pitch, rel=0.02) and "110 µm spot" in scale.reason


@pytest.mark.parametrize("degrees", [0, 30, 45])
def test_a_checkerboard_without_array_coordinates_is_told_by_r_alone(degrees):
    points = turned(checkerboard(24, 26) * 100, degrees)
    scale = not_trusted(points, 50, "ST")
    assert "or is it a checkerboard (2k array) of 141 or 150 µm" in scale.reason and scale.verdict == "warn"
    assert scale_of(points, np.sqrt(2) * 100 * 55 / 150, "ST").um_per_px == pytest.approx(1.5 / np.sqrt(2))


@given(st.floats(5, 300), st.floats(0, 360), st.floats(0, 0.06), st.booleans(), st.integers(0, 9999))
@SOME
def test_a_plain_array_agrees_with_its_array_coordinates(pitch, degrees, jitter, fractions, seed):
    array = lattice("square", 14, 1) + 3
    places = worn(array, 1, jitter, 0, seed)
    points = turned(places[:, ::-1], degrees) * pitch
    ids = array_ids(places, form=".2f") if fractions else array_ids(array)
    assert scale_of(points, pitch / 4, "ST", ids).um_per_px == pytest.approx(200 / pitch, rel=0.02)
    assert scale_of(points, pitch / 2.727, "ST", ids).um_per_px == pytest.approx(150 / pitch, rel=0.02)


def test_places_that_contradict_array_coordinates_are_not_trusted():
    array = lattice("square", 14, 1) + 3
    shuffled = np.random.default_rng(0).permutation(array)
    for ids, why in (
        (array_ids(shuffled), "spots are not where the array coordinates"),
        (array_ids(array * 2), "2.00 steps apart"),
    ):
        scale = not_trusted(array * 50, 12.5, "ST", ids)
        assert why in scale.reason and scale.verdict == "fail"


@pytest.mark.parametrize(("rows", "columns", "first"), [(50, 50, 1), (96, 96, 0), (40, 20, 0), (12, 12, 30)])
@pytest.mark.parametrize("named", [True, False])
def test_a_grid_that_no_array_of_st_has_is_not_trusted(rows, columns, first, named):
    """DBiT-seq has pixels of half of its pitch of 50 or 100 µm: pitch / r is 4, as on an ST array of 200 µm."""
    if not named and rows < 20:
        pytest.skip("without array coordinates nothing tells a part of a DBiT-seq chip from an ST array")
    array = np.stack([a.ravel() for a in np.mgrid[first : first + rows, first : first + columns]], 1).astype(float)
    scale = not_trusted(array * 80 + 40, 20, "ST", array_ids(array) if named else None)
    assert "such as DBiT-seq's" in scale.reason and scale.verdict == "warn"
    given = scale_of(array * 80 + 40, 20, "ST", um_per_px=1.25)
    assert given.um_per_px == 1.25 and given.verdict in ("pass", "warn")


def test_more_spots_than_any_visium_slide_has():
    points = lattice("hexagonal", 121, 20)
    assert "14,641 spots are more than" in not_trusted(points, 20 / 2.857, "Visium").reason
    assert scale_of(points[:14000], 20 / 2.857, "Visium").um_per_px == 5


@pytest.mark.parametrize("name", ["Human_Colon_10X_03252024_VisiumHD", "mouse_brain_10x_03292024_visiumhd"])
def test_bins_of_the_collections_own_slides_are_known(name):
    points = lattice("square", 12, 30)
    scale = scale_of(points, 15, "VisiumHD", [f"{name}_{i}" for i in range(len(points))], name)
    assert scale.um_per_px == pytest.approx(8 / 30) and scale.source == "known" and "10x Genomics" in scale.reason
    scale = scale_of(points, 15, "VisiumHD", bins(len(points), "016", name), name)
    assert scale.um_per_px is None and "the barcodes say bins of 16 µm" in scale.reason and scale.verdict == "fail"


@pytest.mark.parametrize("number", range(4284316, 4284328))
def test_the_grid_of_gse144239_is_known(number):
    """A checkerboard or not: neighbours are 150 µm apart."""
    name = f"GSE144239_GSM{number}"
    for array, pitch in ((checkerboard(40, 40), 141.4), (lattice("square", 20, 1) + 1, 100)):
        scale = scale_of(array * 100, pitch / 2.727, "ST", array_ids(array, name), name)
        assert scale.um_per_px == pytest.approx(150 / pitch, rel=1e-3) and scale.source == "known"
