"""Lattices are measured, and told from what is none."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stimage.slides.scale import lattice as measuring
from stimage.slides.scale.lattice import measure_lattice
from tests.slides.lattices import KIND, KINDS, SOME, lattice, scale_of, turned, worn


@pytest.mark.parametrize("kind", KINDS)
@given(st.floats(2, 500), st.floats(0, 360), st.floats(0, 0.08), st.floats(0, 0.4), st.integers(0, 9999))
@example(367, 30, 0.08, 0.4, 1)
@example(14.25, 45, 0.08, 0.4, 2)
@SOME
def test_lattices_are_measured(kind, pitch, degrees, jitter, missing, seed):
    points = turned(worn(lattice(kind, 32, pitch), pitch, jitter, missing, seed), degrees)
    found = measure_lattice(*points.T)
    assert found.kind == kind
    assert found.pitch == pytest.approx(pitch, rel=0.01)
    assert found.order > 0.8 and found.stretch < 0.05


@pytest.mark.parametrize("kind", KINDS)
@given(st.floats(0, 360), st.floats(-1e5, 1e5), st.floats(-1e5, 1e5), st.floats(0.1, 10), st.integers(0, 9999))
@SOME
def test_neither_place_nor_turn_nor_size_matter(kind, degrees, x, y, zoom, seed):
    points = worn(lattice(kind, 12, 50), 50, 0.05, 0.2, seed)
    one, other = measure_lattice(*points.T), measure_lattice(*(turned(points, degrees) * zoom + [x, y]).T)
    assert other.kind == one.kind == kind
    assert other.pitch == pytest.approx(one.pitch * zoom, rel=1e-6)
    assert (other.order, other.stretch) == pytest.approx((one.order, one.stretch), abs=1e-6)


@given(st.integers(7, 2000), st.integers(0, 9999))
@SOME
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


@pytest.mark.parametrize("kind", KINDS)
@given(st.floats(0, 360), st.floats(0, 0.08), st.floats(0, 0.6), st.integers(0, 9), st.integers(0, 9999))
@SOME
def test_of_many_spots_those_around_the_sample_tell_the_same(kind, degrees, jitter, missing, far, seed):
    points = turned(worn(lattice(kind, 60, 7.5), 7.5, jitter, missing, seed), degrees)
    rng = np.random.default_rng(seed)
    points = rng.permutation(np.concatenate([points, rng.uniform(-9e3, 9e3, (far, 2))]))
    whole = measure_lattice(*points.T)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measuring, "MANY", 100)
        patch.setattr(measuring, "BLOCK", 70)
        sampled = measure_lattice(*points.T)
    assert sampled.kind == whole.kind and abs(sampled.rows - whole.rows) <= 1
    assert (sampled.pitch, sampled.order, sampled.stretch) == pytest.approx(
        (whole.pitch, whole.order, whole.stretch), rel=1e-9, abs=1e-9
    )


@pytest.mark.parametrize("points", [np.zeros((500, 2)), np.repeat(ALONE, 60, 0), np.stack([np.arange(500.0)] * 2, 1)])
def test_many_spots_that_are_no_lattice(points, monkeypatch):
    whole = measure_lattice(*points.T)
    monkeypatch.setattr(measuring, "MANY", 100)
    assert measure_lattice(*points.T) == whole


def test_few_of_many_spots_are_looked_through(monkeypatch):
    x, y = lattice("square", 500, 7.5).T
    monkeypatch.setattr(measuring, "SAMPLE", 100)
    at = np.linspace(0, len(x) - 1, 100).astype(int)
    near, reach = measuring._around(np.stack([x[at], y[at]], 1), x, y)
    assert len(near) < 10_000 and 2 * 7.5 < reach < 4 * 7.5
    assert len(x) > measuring.MANY and measure_lattice(x, y).pitch == pytest.approx(7.5)
