"""AnnData's counts that are dense or by columns: the same rows as by rows, from a copy that is made once."""

from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csc_matrix, csr_matrix

import stimage_1k4m
from stimage.core.errors import DataError
from stimage.slides.counts import by_rows as module
from stimage.slides.counts.by_rows import by_rows
from stimage.slides.counts.count_file import index_rows, read_counts, read_names, rows_at
from tests.roots import write_slide

GENES = [f"G{k}" for k in range(9)]
IDS = [f"S_{k}x0" for k in range(13)]
COUNTS = np.random.default_rng(0).poisson(0.7, (13, 9)) * (np.arange(13) != 4)[:, None]


def write(path: Path, x) -> str:
    obs, var = (pd.DataFrame(index=pd.Index(names, dtype=object)) for names in (IDS, GENES))
    anndata.AnnData(x, obs=obs, var=var).write_h5ad(path)
    return str(path)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(module, "BLOCK", 20)  # several blocks, whose ends lie within rows and columns


@pytest.mark.parametrize("kind", [np.float32, np.int64, csc_matrix, "old"])
def test_the_rows_are_those_of_counts_by_rows(tmp_path, kind):
    dense = COUNTS.astype(np.float32)
    x = csc_matrix(dense) if kind is csc_matrix else dense if kind == "old" else dense.astype(kind)
    path = write(tmp_path / "S_count.h5ad", x)
    if kind == "old":  # as anndata wrote before 0.7
        with h5py.File(path, "r+") as file:
            file["X"].attrs.clear()
    want = write(tmp_path / "csr.h5ad", csr_matrix(dense))
    assert by_rows(want) == want and by_rows(path).startswith(str(tmp_path / "cache"))
    assert read_names(path) == GENES
    (got,), (expected,) = list(read_counts(path)), list(read_counts(want))
    assert list(got.ids) == IDS and (got.indptr == expected.indptr).all()
    assert (got.columns == expected.columns).all() and (got.values == expected.values).all()
    index, order = index_rows(path), [12, 4, 0, 7]
    rows = rows_at(path, GENES, index.start[order], index.end[order])
    assert (rows.dense(np.arange(9), 9) == COUNTS[order]).all()


def test_a_root_with_dense_counts(tmp_path):
    write_slide(tmp_path / "root", "S", "ST", side=5)
    want = list(stimage_1k4m.load("ST", tmp_path / "root"))
    table = pd.read_csv(csv := tmp_path / "root/ST/gene_exp/S_count.csv", index_col=0)
    csv.unlink()
    obs, var = (pd.DataFrame(index=pd.Index(list(names), dtype=object)) for names in (table.index, table.columns))
    anndata.AnnData(table.to_numpy(np.float32), obs=obs, var=var).write_h5ad(csv.with_suffix(".h5ad"))
    assert list(stimage_1k4m.load("ST", tmp_path / "root")) == want


def test_the_copy_is_made_anew_when_the_file_changes(tmp_path):
    path = write(tmp_path / "S_count.h5ad", COUNTS.astype(np.float32))
    first = by_rows(path)
    assert by_rows(path) == first
    write(tmp_path / "S_count.h5ad", COUNTS.astype(np.float32) * 2)
    (rows,) = read_counts(path)
    assert by_rows(path) != first and rows.values.sum() == 2 * COUNTS.sum()


@pytest.mark.parametrize(("value", "said"), [(np.nan, "has nan of gene 'G3'"), (-1, "has -1 of gene 'G3'")])
def test_what_is_no_count_is_named(tmp_path, value, said):
    dense = COUNTS.astype(np.float32)
    dense[6, 3] = value
    for k, x in enumerate((dense, csc_matrix(dense))):
        path = write(tmp_path / f"{k}_count.h5ad", x)
        with pytest.raises(DataError, match=f"{k}_count.h5ad: spot 'S_6x0' {said}"):
            list(read_counts(path))


def change_values(name: str, change):
    def apply(file: h5py.File) -> None:
        values = change(file["X"][name][:])
        del file["X"][name]
        file["X"][name] = values

    return apply


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change_values("indptr", lambda values: values[:-1]), "its X contradicts itself"),
        (change_values("indptr", lambda values: values[::-1].copy()), "its X contradicts itself"),
        (change_values("data", lambda values: values[1:]), "its X contradicts itself"),
        (change_values("indices", lambda values: values + 13), "has a count of spot 2[0-9] of 13"),
        (lambda file: file["X"].pop("indices"), "its X has no indices"),
    ],
)
def test_columns_that_contradict_themselves(tmp_path, change, said):
    path = write(tmp_path / "S_count.h5ad", csc_matrix(COUNTS.astype(np.float32)))
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(DataError, match=said):
        index_rows(path)
    assert not list((tmp_path / "cache").rglob("*S_count.h5ad*"))
