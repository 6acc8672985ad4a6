"""Sums and matrices of sparse rows, against SciPy's and against dense arithmetic."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.sparse import csr_matrix

from stimage.slides.counts.rows import CountRows

SHAPES = st.tuples(st.integers(0, 6), st.integers(1, 5))
FEW = st.sampled_from((0.0, 1.0, 2.0, 3.0))
MATRICES = SHAPES.flatmap(lambda shape: arrays.arrays(np.float64, shape, elements=FEW))


def rows_of(counts: np.ndarray) -> CountRows:
    matrix = csr_matrix(counts)
    return CountRows(matrix.indptr, matrix.indices, matrix.data)


@given(MATRICES)
def test_rows_one_by_one(counts):
    rows = rows_of(counts)
    assert len(rows) == len(counts)
    for k, (columns, values) in enumerate(rows):
        assert np.array_equal(counts[k, columns], values) and values.sum() == counts[k].sum()
        assert all(map(np.array_equal, rows[k], (columns, values)))


@given(MATRICES)
def test_totals(counts):
    rows = rows_of(counts)
    assert np.array_equal(rows.totals(), counts.sum(1))
    assert np.array_equal(rows.totals(rows.columns == 0), (counts[:, 0] > 0).astype(float))


@given(MATRICES, st.data())
def test_columns_numbered_anew_are_left_out_moved_and_added(counts, data):
    places = np.array(data.draw(st.lists(st.integers(-1, 3), min_size=counts.shape[1], max_size=counts.shape[1])))
    want = np.zeros((len(counts), 4))
    for column, place in enumerate(places.tolist()):
        if place >= 0:
            want[:, place] += counts[:, column]
    rows = rows_of(counts)
    assert np.array_equal(rows.dense(places, 4), want)
    assert np.array_equal(rows.sparse(places, 4).toarray(), want)
