"""Lattices: their geometry, and the scale that they give back."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from stimage.formats.alone.lattice import NOMINAL, LatticePlan
from stimage.slides.catalog import Slide
from stimage.slides.coordinates import Coordinates
from stimage.slides.scale.scale import slide_scale

TECHS = some.sampled_from(sorted(NOMINAL))


def laid(plan: LatticePlan, width: int, height: int) -> Coordinates:
    """Lay all of a lattice."""
    names, xs, ys = [], [], []
    for row, places, x, y in plan.rows(width, height):
        names += plan.names(row, places)
        xs += x.tolist()
        ys += [y] * len(x)
    return Coordinates(pa.chunked_array([names]), np.array(xs), np.array(ys), np.full(len(xs), plan.r))


def nominal(tech: str, um: float) -> LatticePlan:
    pitch, spot = NOMINAL[tech]
    return LatticePlan(tech, pitch, pitch / um, spot / 2 / um)


@settings(max_examples=60, deadline=None)
@given(TECHS, some.floats(0.2, 4), some.floats(6, 30), some.floats(6, 30))
def test_geometry(tech, um, across, down):
    plan = nominal(tech, um)
    width, height = (int(n * plan.pitch) for n in (across, down))
    at = laid(plan, width, height)
    xy = np.stack([at.x, at.y], 1)
    assert (xy >= plan.r - 1e-6).all() and (xy <= np.array([width, height]) - plan.r + 1e-6).all()
    assert len(set(at.ids.to_pylist())) == len(at)
    middle = xy[np.hypot(*(xy - xy.mean(0)).T).argmin()]
    bonds = (xy - middle)[np.hypot(*(xy - middle).T).argsort()][1:]
    near = bonds[np.hypot(*bonds.T) < 1.1 * plan.pitch]
    assert len(near) == (6 if tech == "Visium" else 4)
    assert np.hypot(*near.T) == pytest.approx(plan.pitch, rel=1e-3)
    step = 60 if tech == "Visium" else 90
    turns = np.degrees(np.arctan2(near[:, 1], near[:, 0])) / step
    assert turns == pytest.approx(np.rint(turns), abs=1e-6)
    edge = (2 * (width + height) * plan.pitch + 4 * plan.pitch**2) / plan.cell  # what a cut edge may take
    assert abs(len(at) - width * height / plan.cell) <= edge


@settings(max_examples=40, deadline=None)
@given(TECHS, some.floats(0.2, 4))
def test_the_lattice_gives_the_scale_back(tech, um):
    plan = nominal(tech, um)
    at = laid(plan, int(20 * plan.pitch), int(20 * plan.pitch))
    scale = slide_scale(at, Slide("Mine", tech, "", "", ""))
    assert scale.verdict == "pass" and scale.um_per_px == pytest.approx(um, rel=1e-3)


def test_array_coordinates_are_visiums(tmp_path):
    rows = [(row, places.tolist()) for row, places, _, _ in LatticePlan("Visium", 100, 10, 2).rows(44, 30)]
    assert rows == [(0, [0, 2, 4, 6, 8]), (1, [1, 3, 5, 7]), (2, [0, 2, 4, 6, 8]), (3, [1, 3, 5, 7])]
