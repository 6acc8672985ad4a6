"""Ids that differ in digits alone are compared as numbers: with the same result as texts."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stimage.slides.counts import numbered_ids
from stimage.slides.counts.numbered_ids import extremes, find_rows, take_ids


def barcodes(numbers, um=2):
    return [f"A_s_{um:03d}um_{k // 40:05d}_{k % 40:05d}-1" for k in numbers]


def chunked(ids, size=7):
    """Ids in chunks, one of which is a slice, as a reader gives them."""
    parts = [pa.array(["x", *ids[k : k + size]], pa.string())[1:] for k in range(0, len(ids), size)]
    return pa.chunked_array(parts, pa.string())


@given(st.lists(st.integers(0, 1599), unique=True, min_size=1), st.lists(st.integers(0, 1599), min_size=1))
def test_rows_are_those_of_the_texts(among, ids):
    among, ids = chunked(barcodes(among)), chunked(barcodes(ids), 3)
    want = pc.fill_null(pc.index_in(ids, among), -1).to_pylist()
    found = find_rows(ids, among)
    assert found.dtype == np.int32 and found.tolist() == want


@pytest.mark.parametrize("among", [
    barcodes([5, 6, 5]), ["A_1", "A_22"], ["A_1x", "A_2y"], ["AACG-1", "AACT-1"], ["A_1", None], [""],
    ["1234567890123", "9876543210987"],
])  # fmt: skip
def test_other_ids_are_left_to_the_texts(among):
    among = pa.chunked_array([pa.array(among, pa.string())])
    assert find_rows(among, among) is None


def test_no_id_has_no_row():
    none = pa.chunked_array([], pa.string())
    assert find_rows(none, none) is None and extremes(none) is None


def test_a_prefix_that_differs_is_another_form():
    assert find_rows(chunked(barcodes([1, 2])), chunked([one.replace("A", "B") for one in barcodes([1, 2])])) is None


def test_extremes_say_what_all_say():
    low, high = extremes(chunked(barcodes([3, 17, 41]) + barcodes([90], 8)))
    assert (low.tobytes(), high.tobytes()) == (b"A_s_002um_00000_00000-1", b"A_s_008um_00002_00017-1")


@given(st.permutations(range(20)), st.integers(1, 20), st.booleans())
def test_ids_are_taken(order, n, alike):
    ids = chunked(barcodes(range(20)) if alike else [f"spot {k}" for k in range(20)])
    taken = take_ids(ids, np.array(order[:n]))
    taken.validate(full=True)
    assert taken.to_pylist() == [ids[k].as_py() for k in order[:n]]


def test_ids_of_many_letters_are_taken_as_texts(monkeypatch):
    monkeypatch.setattr(numbered_ids, "MOST_LETTERS", 1)
    assert take_ids(chunked(barcodes(range(9))), np.array([8, 2])).to_pylist() == barcodes([8, 2])


def test_all_ids_in_order_are_not_copied():
    ids = chunked(barcodes(range(20)))
    assert take_ids(ids, np.arange(20, dtype=np.int32)) is ids
