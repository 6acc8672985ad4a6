"""µm per pixel from made lattices, whose pitch is known, and from real slides."""

import os

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stimage.slides.coordinates import Coordinates, read_coordinates
from stimage.slides.scale import Scale, estimate_scale, measure_lattice

STABLE = settings(max_examples=60, deadline=None, derandomize=True)
REAL = pytest.mark.skipif(not os.environ.get("STIMAGE_REAL"), reason="STIMAGE_REAL names no folder of real slides")
KINDS = ["square", "hexagonal"]
KNOWN = [("ST", 4.0, "100 µm spot"), ("ST", 4.27, "94 µm spot"), ("Visium", 2.857, "70 µm spot"),
         ("Visium", 3.07, "65 µm spot"), ("Visium", 3.317, "60 µm spot"), ("VisiumHD", 2.0, "half of a")]  # fmt: skip
KIND = {"ST": "square", "Visium": "hexagonal", "VisiumHD": "square"}
PITCH_UM = {"ST": 200, "Visium": 100, "VisiumHD": 8}


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
    ids = ids or [f"s{i}" for i in range(len(points))]
    return Coordinates(pa.chunked_array([ids], pa.string()), *points.T, np.full(len(points), r))


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
        assert estimate_scale(spots(points, 10), tech).um_per_px is None


ALONE = np.stack([2.0 ** np.arange(9), 3.0 ** np.arange(9)], 1)


@pytest.mark.parametrize("points", [np.zeros((0, 2)), np.zeros((50, 2)), lattice("square", 2, 9), ALONE])
def test_too_few_neighbours_to_tell(points):
    assert measure_lattice(*points.T) is None


def test_a_row_of_spots_is_no_lattice():
    for points in (np.stack([np.arange(60) * 50, np.zeros(60)], 1), turned(lattice("square", 60, 50)[:60], 30)):
        assert estimate_scale(spots(points, 12.5), "ST").um_per_px is None


@pytest.mark.parametrize(("tech", "ratio", "reading"), KNOWN)
@given(st.floats(3, 400), st.floats(0, 360), st.floats(-0.02, 0.02))
@STABLE
def test_a_scale_is_trusted_where_pitch_and_r_agree(tech, ratio, reading, pitch, degrees, off):
    points = turned(lattice(KIND[tech], 12, pitch), degrees)
    scale = estimate_scale(spots(points, pitch / ratio * (1 + off)), tech)
    assert scale.um_per_px == scale.from_pitch == pytest.approx(PITCH_UM[tech] / pitch, rel=1e-6)
    assert scale.ratio == pytest.approx(ratio / (1 + off))
    assert scale.reason.startswith(f"trusted: {KIND[tech]} lattice") and reading in scale.reason


def not_trusted(points: np.ndarray, r: float, tech: str) -> Scale:
    scale = estimate_scale(spots(points, r), tech)
    assert scale.um_per_px is None and scale.reason.startswith("not trusted: ")
    return scale


@pytest.mark.parametrize(("tech", "ratio"), [("ST", r) for r in (2, 2.857, 3.7, 4.13, 4.6, 8.13)]
                         + [("Visium", r) for r in (2, 2.7, 2.96, 3.19, 3.5, 4)]
                         + [("VisiumHD", r) for r in (1, 1.9, 2.1, 4)])  # fmt: skip
def test_a_scale_is_not_trusted_where_pitch_and_r_disagree(tech, ratio):
    scale = not_trusted(lattice(KIND[tech], 12, 50), 50 / ratio, tech)
    assert scale.from_pitch == pytest.approx(PITCH_UM[tech] / 50) and scale.ratio == pytest.approx(ratio)
    assert "pitch and r disagree" in scale.reason and f"pitch / r = {ratio:.3f}" in scale.reason


def test_the_wrong_r_of_a_real_slide_is_seen():
    """GSM4284316 had r = 45.13, where 91.75 was right."""
    points = lattice("square", 20, 4 * 91.75)
    assert "pitch and r disagree" in not_trusted(points, 45.13, "ST").reason
    assert estimate_scale(spots(points, 91.75), "ST").um_per_px == pytest.approx(200 / 367)


@pytest.mark.parametrize(("tech", "ratio", "_"), KNOWN)
@pytest.mark.parametrize("degrees", [0, 15, 30])
def test_the_lattice_of_another_technology_is_seen(tech, ratio, _, degrees):
    (other,) = set(KINDS) - {KIND[tech]}
    points = turned(lattice(other, 12, 50), degrees)
    assert f"the lattice is {other} " in not_trusted(points, 50 / ratio, tech).reason


@pytest.mark.parametrize("longer", [1.08, 1.15, 1.2, 1.3, 1.5, 2.0])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("tech", "ratio"), [("ST", 4.0), ("Visium", 3.07), ("VisiumHD", 2.0)])
def test_a_stretched_lattice_is_not_trusted(tech, ratio, axis, longer):
    points = lattice(KIND[tech], 20, 50)
    points[:, axis] *= longer
    assert "lattice" in not_trusted(points, 50 / ratio, tech).reason


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_few_spots_are_not_trusted(n):
    scale = not_trusted(lattice("square", 3, 50)[:n], 12.5, "ST")
    assert f"{n} spots are too few" in scale.reason and scale.lattice is None


@pytest.mark.parametrize(("name", "um"), [("002", 2), ("008", 8), ("016", 16)])
def test_the_bin_of_visium_hd_is_read_from_the_ids(name, um):
    points = turned(lattice("square", 12, 30), 1)
    ids = [f"Slide_VisiumHD_s_{name}um_{i:05d}_00012-1" for i in range(len(points))]
    assert estimate_scale(spots(points, 15, ids), "VisiumHD").um_per_px == pytest.approx(um / 30)


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
        scale = estimate_scale(found, "ST")
        assert scale.lattice.kind == "square" and scale.lattice.pitch == pytest.approx(pitch, rel=0.03)
        assert scale.um_per_px == pytest.approx(200 / pitch, rel=0.03)


@REAL
def test_a_real_visium_slide(shared):
    (path,) = (shared / "real_visium/Visium/coord").iterdir()
    scale = estimate_scale(read_coordinates(str(path)), "Visium")
    assert scale.lattice.kind == "hexagonal" and scale.lattice.pitch == pytest.approx(14.25, abs=0.01)
    assert scale.um_per_px == pytest.approx(7.02, abs=0.01) and "70 µm spot" in scale.reason
