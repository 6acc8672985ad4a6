"""µm per pixel from made lattices, whose pitch is known, and from real slides."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stimage.slides.catalog import Slide
from stimage.slides.coordinates import read_coordinates
from stimage.slides.scale.scale import slide_scale
from tests.slides.lattices import KIND, KINDS, SOME, lattice, not_trusted, scale_of, turned

REAL = pytest.mark.skipif(not os.environ.get("STIMAGE_REAL"), reason="STIMAGE_REAL names no folder of real slides")
KNOWN = [("ST", 4.0, 200, "100 µm spot"), ("ST", 4.27, 200, "94 µm spot"), ("ST", 2.727, 150, "110 µm spot"),
         ("Visium", 2.857, 100, "70 µm spot"), ("Visium", 3.07, 100, "65 µm spot"),
         ("Visium", 3.317, 100, "60 µm spot"), ("Visium", 3.636, 100, "nominal 55 µm spot"),
         ("VisiumHD", 2.0, 8, "half of a")]  # fmt: skip
NOMINAL_UM = {"ST": 200, "Visium": 100, "VisiumHD": 8}


@pytest.mark.parametrize(("tech", "ratio", "um", "reading"), KNOWN)
@given(st.floats(3, 400), st.floats(0, 360), st.floats(-0.02, 0.02))
@SOME
def test_a_scale_is_trusted_where_pitch_and_r_agree(tech, ratio, um, reading, pitch, degrees, off):
    points = turned(lattice(KIND[tech], 12, pitch), degrees)
    scale = scale_of(points, pitch / ratio * (1 + off), tech)
    assert scale.um_per_px == scale.from_pitch == pytest.approx(um / pitch, rel=1e-6)
    assert (scale.source, scale.verdict) == ("lattice", "pass")
    assert scale.ratio == pytest.approx(ratio / (1 + off))
    assert scale.reason.startswith(f"trusted: {KIND[tech]} lattice") and reading in scale.reason


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
