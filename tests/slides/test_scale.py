"""µm per pixel from made lattices, whose pitch is known, and from real slides."""

import os

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stimage.slides import Slide
from stimage.slides.coordinates import Coordinates, read_coordinates
from stimage.slides.lattice import measure_lattice
from stimage.slides.scale import Scale, slide_scale

STABLE = settings(max_examples=60, deadline=None, derandomize=True)
REAL = pytest.mark.skipif(not os.environ.get("STIMAGE_REAL"), reason="STIMAGE_REAL names no folder of real slides")
KINDS = ["square", "hexagonal"]
KNOWN = [("ST", 4.0, 200, "100 µm spot"), ("ST", 4.27, 200, "94 µm spot"), ("ST", 2.727, 150, "110 µm spot"),
         ("Visium", 2.857, 100, "70 µm spot"), ("Visium", 3.07, 100, "65 µm spot"),
         ("Visium", 3.317, 100, "60 µm spot"), ("Visium", 3.636, 100, "nominal 55 µm spot"),
         ("VisiumHD", 2.0, 8, "half of a")]  # fmt: skip
KIND = {"ST": "square", "Visium": "hexagonal", "VisiumHD": "square"}
NOMINAL_UM = {"ST": 200, "Visium": 100, "VisiumHD": 8}


def lattice(kind: str, side: int, pitch: float) -> np.ndarray:
    """Return side x side points (x, y), whose nearest neighbours are a pitch apart."""
    i, j = (a.ravel() for a in np.mgrid[0.0:side, 0:side])
    if kind == "square":
        return np.stack([j, i], 1) * pitch
    return np.stack([j + i % 2 / 2, i * np.sqrt(3) / 2], 1) * pitch


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return points @ np.array([[cos, sin], [-sin, cos]])


def worn(points: np.ndarray, pitch: float, jitter: float, missing: float, seed: int) -> np.ndarray:
    """Shift each point by up to a share of the pitch in x and in y, and leave a share of the points out."""
    rng = np.random.default_rng(seed)
    points = points + rng.uniform(-jitter, jitter, points.shape) * pitch
    return points[rng.random(len(points)) >= missing]


def spots(points: np.ndarray, r: float, ids: list[str] | None = None) -> Coordinates:
    ids = ids or [f"S_{i}" for i in range(len(points))]
    return Coordinates(pa.chunked_array([ids], pa.string()), *points.T, np.full(len(points), r))


def scale_of(points: np.ndarray, r: float, tech: str, ids: list[str] | None = None, name: str = "S", **given) -> Scale:
    """Return the scale of a slide whose bins, if it is of Visium HD, are of 8 µm, if ids do not say otherwise."""
    if tech == "VisiumHD" and not ids:
        ids = bins(len(points), "008")
    return slide_scale(spots(points, r, ids), Slide(name, tech, "", "", "", **given))


def bins(n: int, um: str, name: str = "S") -> list[str]:
    return [f"{name}_s_{um}um_{i:05d}_00012-1" for i in range(n)]


@pytest.mark.parametrize("kind", KINDS)
@given(st.floats(2, 500), st.floats(0, 360), st.floats(0, 0.08), st.floats(0, 0.4), st.integers(0, 9999))
@example(367, 30, 0.08, 0.4, 1)
@example(14.25, 45, 0.08, 0.4, 2)
@STABLE
def test_lattices_are_measured(kind, pitch, degrees, jitter, missing, seed):
    points = turned(worn(lattice(kind, 32, pitch), pitch, jitter, missing, seed), degrees)
    found = measure_lattice(*points.T)
    assert found.kind == kind
    assert found.pitch == pytest.approx(pitch, rel=0.01)
    assert found.order > 0.8 and found.stretch < 0.05


@pytest.mark.parametrize("kind", KINDS)
@given(st.floats(0, 360), st.floats(-1e5, 1e5), st.floats(-1e5, 1e5), st.floats(0.1, 10), st.integers(0, 9999))
@STABLE
def test_neither_place_nor_turn_nor_size_matter(kind, degrees, x, y, zoom, seed):
    points = worn(lattice(kind, 12, 50), 50, 0.05, 0.2, seed)
    one, other = measure_lattice(*points.T), measure_lattice(*(turned(points, degrees) * zoom + [x, y]).T)
    assert other.kind == one.kind == kind
    assert other.pitch == pytest.approx(one.pitch * zoom, rel=1e-6)
    assert (other.order, other.stretch) == pytest.approx((one.order, one.stretch), abs=1e-6)


@given(st.integers(7, 2000), st.integers(0, 9999))
@STABLE
def test_random_points_are_no_lattice(n, seed):
    points = np.random.default_rng(seed).uniform(0, 9000, (n, 2))
    found = measure_lattice(*points.T)
    assert found is None or found.kind == "none"
    for tech in KIND:
        assert scale_of(points, 10, tech).um_per_px is None


ALONE = np.stack([2.0 ** np.arange(9), 3.0 ** np.arange(9)], 1)


@pytest.mark.parametrize("points", [np.zeros((0, 2)), np.zeros((50, 2)), lattice("square", 2, 9), ALONE])
def test_too_few_neighbours_to_tell(points):
    assert measure_lattice(*points.T) is None


def test_a_row_of_spots_is_no_lattice():
    for points in (np.stack([np.arange(60) * 50, np.zeros(60)], 1), turned(lattice("square", 60, 50)[:60], 30)):
        assert scale_of(points, 12.5, "ST").um_per_px is None


@pytest.mark.parametrize(("tech", "ratio", "um", "reading"), KNOWN)
@given(st.floats(3, 400), st.floats(0, 360), st.floats(-0.02, 0.02))
@STABLE
def test_a_scale_is_trusted_where_pitch_and_r_agree(tech, ratio, um, reading, pitch, degrees, off):
    points = turned(lattice(KIND[tech], 12, pitch), degrees)
    scale = scale_of(points, pitch / ratio * (1 + off), tech)
    assert scale.um_per_px == scale.from_pitch == pytest.approx(um / pitch, rel=1e-6)
    assert (scale.source, scale.verdict) == ("lattice", "pass")
    assert scale.ratio == pytest.approx(ratio / (1 + off))
    assert scale.reason.startswith(f"trusted: {KIND[tech]} lattice") and reading in scale.reason


def not_trusted(points: np.ndarray, r: float, tech: str, ids: list[str] | None = None) -> Scale:
    scale = scale_of(points, r, tech, ids)
    assert scale.um_per_px is None and scale.reason.startswith("not trusted: ")
    assert "give um_per_px" in scale.reason and scale.source is None and scale.verdict != "pass"
    return scale


@pytest.mark.parametrize(("tech", "ratio"), [("ST", r) for r in (2, 2.857, 3.7, 4.13, 4.6, 8.13)]
                         + [("Visium", r) for r in (2, 2.7, 2.96, 3.19, 3.48, 3.8, 4)]
                         + [("VisiumHD", r) for r in (1, 1.9, 2.1, 4)])  # fmt: skip
def test_a_scale_is_not_trusted_where_pitch_and_r_disagree(tech, ratio):
    scale = not_trusted(lattice(KIND[tech], 12, 50), 50 / ratio, tech)
    assert scale.from_pitch == pytest.approx(NOMINAL_UM[tech] / 50) and scale.ratio == pytest.approx(ratio)
    assert "pitch and r disagree" in scale.reason and f"pitch / r = {ratio:.3f}" in scale.reason


def test_the_wrong_r_of_a_real_slide_is_seen():
    """GSE144239_GSM4284316 had r = 45.13, where 91.75, half of a 110 µm spot on its pitch of 150 µm, was right."""
    points, name = lattice("square", 20, 150 / 55 * 91.75), "GSE144239_GSM4284316"
    wrong = scale_of(points, 45.13, "ST", name=name)
    assert wrong.um_per_px is None and "pitch and r disagree" in wrong.reason and wrong.verdict == "fail"
    assert scale_of(points, 91.75, "ST", name=name).um_per_px == pytest.approx(55 / 91.75)


@pytest.mark.parametrize(("tech", "ratio", "_", "__"), KNOWN)
@pytest.mark.parametrize("degrees", [0, 15, 30])
def test_the_lattice_of_another_technology_is_seen(tech, ratio, _, __, degrees):
    (other,) = set(KINDS) - {KIND[tech]}
    points = turned(lattice(other, 12, 50), degrees)
    assert f"the lattice is {other} " in not_trusted(points, 50 / ratio, tech).reason


@pytest.mark.parametrize("longer", [1.08, 1.15, 1.2, 1.3, 1.5, 2.0])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("degrees", [0, 10, 45])
@pytest.mark.parametrize(("tech", "ratio"), [("ST", 4.0), ("Visium", 3.07), ("VisiumHD", 2.0)])
def test_a_stretched_lattice_is_not_trusted(tech, ratio, axis, longer, degrees):
    """However the lattice lies: stretched along its diagonal, a square lattice still has four equal neighbours."""
    points = turned(lattice(KIND[tech], 20, 50), degrees)
    points[:, axis] *= longer
    assert "lattice" in not_trusted(points, 50 / ratio, tech).reason


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_few_spots_are_not_trusted(n):
    scale = not_trusted(lattice("square", 3, 50)[:n], 12.5, "ST")
    assert f"{n} spots are too few" in scale.reason and scale.lattice is None


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


def array_ids(array: np.ndarray, name: str = "S", form: str = "g") -> list[str]:
    return [f"{name}_{a:{form}}x{b:{form}}" for a, b in array]


def checkerboard(rows: int, columns: int) -> np.ndarray:
    """Return array coordinates of every other place."""
    a, b = (one.ravel() for one in np.mgrid[1 : rows + 1, 1 : columns + 1])
    return np.stack([a, b], 1)[(a + b) % 2 == 0].astype(float)


@given(st.floats(5, 300), st.floats(0, 360), st.floats(0, 0.06), st.booleans(), st.booleans(), st.integers(0, 9999))
@STABLE
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
@STABLE
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


GIVEN = {"um_per_px": 0.5, "um_per_px_source": "Space Ranger (microns_per_pixel)"}


@pytest.mark.parametrize(("pitch", "verdict", "words"), [
    (200, "pass", "; the lattice gives 0.5: "), (208, "pass", "; the lattice gives 0.4808: "),
    (400, "fail", "; but the lattice gives 0.25, 2 times less: "), (100, "fail", "1, 2 times as much: "),
])  # fmt: skip
def test_a_given_scale_rules_and_the_lattice_is_its_witness(pitch, verdict, words):
    points = lattice("hexagonal", 12, pitch)
    scale = scale_of(points, pitch / 3.07, "Visium", **GIVEN)
    assert (scale.um_per_px, scale.source, scale.verdict) == (0.5, GIVEN["um_per_px_source"], verdict)
    assert scale.reason.startswith("trusted: 0.5 µm/px by Space Ranger (microns_per_pixel); ") and words in scale.reason


def test_a_given_scale_where_the_lattice_tells_nothing():
    few = scale_of(lattice("hexagonal", 2, 9), 3, "Visium", um_per_px=0.5)
    assert few.um_per_px == 0.5 and few.source == "the user" and few.verdict == "pass"
    assert "the lattice does not tell: 4 spots are too few" in few.reason and "give um_per_px" not in few.reason
    r_is_wrong = scale_of(lattice("square", 12, 400), 170, "ST", um_per_px=0.5)
    assert r_is_wrong.um_per_px == 0.5 and r_is_wrong.verdict == "warn" and "pitch and r disagree" in r_is_wrong.reason
    bins_of = [f"S_{i}" for i in range(144)]
    for um, verdict in ((0.274, "pass"), (0.55, "pass"), (0.4, "warn")):
        given = scale_of(lattice("square", 12, 29.2), 14.6, "VisiumHD", bins_of, um_per_px=um)
        assert (given.um_per_px, given.verdict) == (um, verdict)


@REAL
def test_real_st_slides_agree_with_their_array_coordinates(shared):
    paths = sorted((shared / "real/ST/coord").iterdir())
    assert len(paths) == 4
    for path in paths:
        found = read_coordinates(str(path))
        array = np.array([list(map(int, i.rsplit("_", 1)[1].split("x"))) for i in found.ids.to_pylist()])
        design = np.column_stack([array, np.ones(len(array))])
        fitted = np.linalg.lstsq(design, np.stack([found.x, found.y], 1), rcond=None)[0]
        pitch = np.hypot(*fitted[:2].T).mean()
        scale = slide_scale(found, Slide(path.name.removesuffix("_coord.csv"), "ST", "", "", ""))
        assert scale.lattice.kind == "square" and scale.lattice.pitch == pytest.approx(pitch, rel=0.03)
        assert scale.um_per_px == pytest.approx(200 / pitch, rel=0.03)


@REAL
def test_a_real_visium_slide(shared):
    (path,) = (shared / "real_visium/Visium/coord").iterdir()
    scale = slide_scale(read_coordinates(str(path)), Slide("Mouse_Embryo", "Visium", "", "", ""))
    assert scale.lattice.kind == "hexagonal" and scale.lattice.pitch == pytest.approx(14.25, abs=0.01)
    assert scale.um_per_px == pytest.approx(7.02, abs=0.01) and "70 µm spot" in scale.reason
