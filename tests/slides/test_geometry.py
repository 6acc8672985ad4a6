"""Coordinates, patches of a physical size, lattices and scale."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from stimage.errors import DataError
from stimage.slides.coordinates import Coordinates, read_coordinates
from stimage.slides.patches import Patch, square_boxes
from stimage.slides.scale import Scale, estimate_scale, measure_lattice

STABLE = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
FLOATS = st.floats(-1e6, 1e6)


SPOT = st.tuples(FLOATS, FLOATS, st.floats(1e-3, 1e5))
COLUMNS = st.permutations(["yaxis", "xaxis", "r", "extra"])


@given(st.lists(SPOT, min_size=1, max_size=9), COLUMNS, st.sampled_from(["\n", "\r\n"]), st.booleans())
@STABLE
def test_coordinates_are_read_as_written(tmp_path, spots, columns, end, bom):
    table = pd.DataFrame(spots, columns=["yaxis", "xaxis", "r"], index=[f"S, {i}x{i}" for i in range(len(spots))])
    table["extra"] = "text"
    text = table[columns].to_csv(lineterminator=end)
    (tmp_path / "c.csv").write_bytes((b"\xef\xbb\xbf" if bom else b"") + text.encode())
    got = read_coordinates(str(tmp_path / "c.csv"))
    assert got.ids.to_pylist() == list(table.index)
    for values, column in ((got.x, "xaxis"), (got.y, "yaxis"), (got.r, "r")):
        assert np.array_equal(values, table[column])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        (",yaxis,xaxis,r\n", "lists no spot"),
        (",yaxis,xaxis\na,1,2\n", "no column 'r'"),
        ("\tyaxis\txaxis\tr\na\t1\t2\t3\n", "no column 'xaxis'"),
        (",yaxis,xaxis,r\na,1,2,3\nb,1,2\n", "no CSV table of 4 columns"),
        (",yaxis,xaxis,r\na,1,2,3\nb,nan,2,3\n", r"'b' \(line 3\): yaxis is 'nan'"),
        (",yaxis,xaxis,r\na,1,2,3\nb,1,-inf,3\n", r"'b' \(line 3\): xaxis is '-inf'"),
        (",yaxis,xaxis,r\na,1,2,3\nb,1,,3\nc,1,,3\n", r"'b' \(line 3\): xaxis is ''.*2 such"),
        (",yaxis,xaxis,r\na,1,2,0\n", r"'a' \(line 2\): r is 0"),
    ],
)
def test_bad_coordinates(tmp_path, text, why):
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(DataError, match=f"c.csv: .*{why}"):
        read_coordinates(str(tmp_path / "c.csv"))


@given(FLOATS, FLOATS, st.floats(0.1, 1e4))
@STABLE
def test_boxes_are_those_of_pillow(x, y, r):
    (box,) = square_boxes(np.array([x]), np.array([y]), np.array([r]))
    assert box.tolist() == [round(v) for v in (x - r, y - r, x + r, y + r)]  # Python rounds half to even, as Pillow


def scale_of(um_per_px) -> Scale:
    return Scale(um_per_px, um_per_px, 4.0, "trusted", None)


@given(st.floats(-30, 130), st.floats(-30, 110), st.floats(20, 90), st.integers(3, 20))
@STABLE
def test_physical_patches_equal_pillow_on_the_whole_image(tmp_path, x, y, side, px):
    path = tmp_path / "slide.png"
    if not path.exists():
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 100, 3), np.uint8)).save(path)
    (patch,) = Patch(side * 0.5, px).cut(str(path), *(np.array([v]) for v in (x, y, 5.0)), scale_of(0.5))
    around = 200
    padded = Image.new("RGB", (100 + 2 * around, 80 + 2 * around))
    padded.paste(Image.open(path), (around, around))
    box = [x - side / 2 + around, y - side / 2 + around, x + side / 2 + around, y + side / 2 + around]
    want = np.asarray(padded.resize((px, px), Image.Resampling.BICUBIC, box), int)
    assert patch.shape == (px, px, 3) and np.abs(patch - want).max() <= 1


def test_physical_patches_are_refused_with_the_reason():
    with pytest.raises(
        DataError, match=r"s.png: a patch of 112 µm in 224 px would up-sample: at 0.7 µm/px it is 160.0 px"
    ):
        Patch(112, 224).source_px("s.png", scale_of(0.7))
    with pytest.raises(DataError, match=r"needs a scale, and this slide's is not trusted: why"):
        Patch(112, 224).source_px("s.png", Scale(None, 0.7, 4.0, "not trusted: why", None))
    assert Patch(112, 224).source_px("s.png", scale_of(0.5)) == 224


def test_what_a_patch_is_read_from():
    assert Patch.of(None) == Patch.of("original") == Patch()
    assert Patch.of({"um": 112, "px": 224}) == Patch.of(Patch(112, 224)) == Patch(112, 224)
    for bad in ("112", 5, {"um": 1}, {"um": 1, "px": 2, "z": 3}, {"um": 0, "px": 2}, {"um": 1, "px": 2.5}):
        with pytest.raises(ValueError, match="um"):
            Patch.of(bad)


def lattice(kind: str, n: int, pitch: float) -> np.ndarray:
    i, j = (a.ravel() for a in np.mgrid[0:n, 0:n])
    if kind == "square":
        return np.stack([j, i], 1) * pitch
    return np.stack([j + i % 2 / 2, i * np.sqrt(3) / 2], 1) * pitch


def coordinates(points: np.ndarray, r: float, ids=None) -> Coordinates:
    ids = ids or [f"s{i}" for i in range(len(points))]
    return Coordinates(pa.chunked_array([ids], pa.string()), *points.T, np.full(len(points), r))


KIND = st.sampled_from(["square", "hexagonal"])


@given(KIND, st.floats(3, 400), st.floats(0, 360), st.floats(0, 0.07), st.floats(0, 0.4), st.integers(0, 99))
@STABLE
def test_lattices_are_measured(kind, pitch, degrees, jitter, missing, seed):
    rng = np.random.default_rng(seed)
    points = lattice(kind, 16, pitch)
    points = points[rng.random(len(points)) >= missing] + 1000
    points += rng.normal(0, jitter * pitch, points.shape)
    turn = np.radians(degrees)
    points = points @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    found = measure_lattice(*points.T)
    assert found.kind == kind and found.order > 0.8
    assert found.pitch == pytest.approx(pitch, rel=0.025)


def test_no_lattice():
    rng = np.random.default_rng(0)
    assert measure_lattice(*rng.random((500, 2)).T).kind == "none"
    assert measure_lattice(np.arange(5.0), np.zeros(5)) is None
    assert measure_lattice(np.zeros(50), np.zeros(50)) is None


@pytest.mark.parametrize(
    ("tech", "kind", "ratio", "um"),
    [("ST", "square", 4.0, 200), ("ST", "square", 4.27, 200), ("Visium", "hexagonal", 2.857, 100),
     ("Visium", "hexagonal", 3.07, 100), ("Visium", "hexagonal", 3.317, 100), ("VisiumHD", "square", 2.0, 8)],
)  # fmt: skip
def test_scale_from_the_pitch(tech, kind, ratio, um):
    scale = estimate_scale(coordinates(lattice(kind, 12, 50), 50 / ratio), tech)
    assert scale.um_per_px == scale.from_pitch == pytest.approx(um / 50)
    assert scale.ratio == pytest.approx(ratio) and scale.reason.startswith("trusted")


def test_scale_that_is_not_trusted():
    square = lattice("square", 12, 367)
    for points, r, tech, why in (
        (square, 45.13, "ST", "pitch and r disagree: known ratios are 4, 4.27"),  # GSM4284316, where 91.75 is right
        (square, 100, "Visium", "the lattice is square .* but Visium's is hexagonal"),
        (square * [1, 1.15], 91.75, "ST", "stretched by 15%"),
        (np.random.default_rng(0).random((300, 2)) * 999, 9, "ST", "the lattice is none"),
        (square[:5], 91.75, "ST", "5 spots are too few"),
    ):
        scale = estimate_scale(coordinates(points, r), tech)
        assert scale.um_per_px is None
        with pytest.raises(DataError, match=why):
            Patch(100, 10).source_px("s.png", scale)
    assert estimate_scale(coordinates(square, 91.75), "ST").um_per_px == pytest.approx(200 / 367)


def test_the_bin_of_visium_hd_is_read_from_the_ids():
    ids = [f"S_s_016um_{i:05d}_00000-1" for i in range(144)]
    assert estimate_scale(coordinates(lattice("square", 12, 32), 16, ids), "VisiumHD").um_per_px == pytest.approx(0.5)


def test_scale_of_real_slides(shared):
    for path in sorted((shared / "real/ST/coord").iterdir()):
        spots = read_coordinates(str(path))
        column, row = np.array([list(map(int, i.rsplit("_", 1)[1].split("x"))) for i in spots.ids.to_pylist()]).T
        design = np.stack([column, row, np.ones(len(row))], 1)
        fitted = np.linalg.lstsq(design, np.stack([spots.x, spots.y], 1), rcond=None)[0]
        pitch = np.hypot(*fitted[:2].T).mean()
        scale = estimate_scale(spots, "ST")
        assert scale.um_per_px == pytest.approx(200 / pitch, rel=0.03) and "94 µm" in scale.reason
    (path,) = (shared / "real_visium/Visium/coord").iterdir()
    scale = estimate_scale(read_coordinates(str(path)), "Visium")
    assert scale.um_per_px == pytest.approx(7.02, abs=0.005) and "not of the nominal 55 µm" in scale.reason
