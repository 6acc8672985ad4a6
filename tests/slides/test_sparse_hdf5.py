"""Count files in sparse HDF5 against the wide CSV of the same counts, and what is wrong with such files."""

import csv
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

import stimage_1k4m
from stimage.core.errors import DataError
from stimage.core.storage import cache_folder
from stimage.slides.counts import count_file, sparse_hdf5
from stimage.slides.counts.rows import CountRows
from stimage.slides.counts.writing import write_csv, write_h5
from tests.faults import Handler, serving
from tests.roots import GENES, write_slide

CSV = "ST/gene_exp/S_count.csv"


def rows_of(path: Path) -> tuple[list[str], list[str], np.ndarray]:
    """Return genes, ids and counts of a CSV."""
    table = pd.read_csv(path, index_col=0)
    return list(table.columns), list(table.index), table.to_numpy(float)


def as_rows(ids: list[str], dense: np.ndarray) -> CountRows:
    matrix = csr_matrix(dense)
    return CountRows(matrix.indptr, matrix.indices, matrix.data, ids)


def write_h5ad(path: Path, genes: list[str], ids: list[str], dense: np.ndarray, **var) -> None:
    obs, table = (pd.DataFrame(index=pd.Index(names, dtype=object)) for names in (ids, genes))
    anndata.AnnData(csr_matrix(dense), obs=obs, var=table.assign(**var)).write_h5ad(path)


def sparse_root(root: Path, form: str) -> Path:
    """Make a root whose only slide has its counts in another form."""
    write_slide(root, "S", "ST", side=5)
    genes, ids, dense = rows_of(root / CSV)
    (root / CSV).unlink()
    path = root / f"ST/gene_exp/S_count.{form}"
    if form == "h5":
        write_h5(path, genes, [as_rows(ids[:7], dense[:7]), as_rows(ids[7:], dense[7:])])
    elif form == "h5ad":
        write_h5ad(path, genes, ids, dense)
    else:
        write_csv(path, genes, [as_rows(ids, dense)])
    return path


def read(root: Path, **options) -> list[dict]:
    return list(stimage_1k4m.load("ST", root, **options))


@pytest.mark.parametrize("form", ["csv", "h5", "h5ad"])
def test_the_same_examples_from_each_form(tmp_path, form):
    write_slide(tmp_path / "csv", "S", "ST", side=5)
    sparse_root(tmp_path / "other", form)
    for options in ({}, {"panel": [GENES[2], GENES[0]]}, {"columns": ["spot_id", "counts", "gene_ids"]}):
        assert read(tmp_path / "other", **options) == read(tmp_path / "csv", **options)
    prepared = [stimage_1k4m.load("ST", tmp_path / one, streaming=False) for one in ("csv", "other")]
    assert prepared[0].to_list() == prepared[1].to_list() and len(prepared[0]) == 25


def test_other_programs_read_what_is_written(tmp_path):
    scanpy = pytest.importorskip("scanpy")
    path = sparse_root(tmp_path, "h5")
    write_slide(tmp_path / "csv", "S", "ST", side=5)
    data = scanpy.read_10x_h5(path)
    genes, ids, dense = rows_of(tmp_path / "csv" / CSV)
    assert list(data.var_names) == genes and list(data.obs_names) == ids and (data.X.toarray() == dense).all()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_rows_in_any_order_are_those_of_the_matrix(tmp_path_factory, data):
    n, width = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 5))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    dense = rng.poisson(0.7, (n, width)) * rng.choice([1, 1, 300_000], (n, width))
    folder, genes, ids = tmp_path_factory.mktemp("sparse"), [f"G{k}" for k in range(width)], [f"s{k}" for k in range(n)]
    picked = np.array(data.draw(st.lists(st.integers(0, n - 1), max_size=20)), int)
    write_h5(folder / "a_count.h5", genes, [as_rows(ids, dense)])
    write_h5ad(folder / "a_count.h5ad", genes, ids, dense)
    for path in map(str, folder.iterdir()):
        index = count_file.index_rows(path)
        assert index.ids.to_pylist() == ids and count_file.read_genes(path) == genes
        some = count_file.rows_at(path, genes, index.start[picked], index.end[picked])
        assert (some.dense(np.arange(width), width) == dense[picked]).all() and some.values.all()
        whole = list(count_file.read_counts(path))
        assert (np.vstack([rows.dense(np.arange(width), width) for rows in whole]) == dense).all()
        assert [one for rows in whole for one in rows.ids] == ids


def test_chunks_are_decoded_once_and_only_where_rows_are(tmp_path, monkeypatch):
    monkeypatch.setattr(sparse_hdf5, "STEP", 4)
    dense, ids = np.arange(1, 41).reshape(10, 4), [f"s{k}" for k in range(10)]
    path = str(tmp_path / "a_count.h5")
    write_h5(Path(path), GENES, [as_rows(ids, dense)])
    with h5py.File(path, "r+") as file:  # in chunks of a row
        for name in ("data", "indices"):
            values = file["matrix"][name][:]
            del file["matrix"][name]
            file["matrix"].create_dataset(name, data=values, chunks=(4,))
    index, opened = count_file.index_rows(path), []
    usual = h5py.Dataset.read_direct
    monkeypatch.setattr(h5py.Dataset, "read_direct", lambda self, *some: opened.append(some[1]) or usual(self, *some))
    for picked in ([7, 2], [2, 7], [2, 3], [3]):
        rows = count_file.rows_at(path, GENES, index.start[picked], index.end[picked])
        assert (rows.dense(np.arange(4), 4) == dense[picked]).all()
    assert sorted({part.start for part in opened}) == [8, 12, 28] and len(opened) == 6


def test_columns_in_no_order_and_a_gene_twice(tmp_path):
    path = sparse_root(tmp_path, "h5")
    with h5py.File(path, "r+") as file:
        group = file["matrix"]
        for name in ("data", "indices", "indptr"):
            del group[name]
        n = len(group["barcodes"])
        group["data"], group["indices"] = np.tile([5, 1, 2, 0], n), np.tile([3, 0, 3, 1], n)
        group["indptr"] = np.arange(n + 1) * 4
    assert {(*e["gene_ids"], *e["counts"]) for e in read(tmp_path)} == {(0, 3, 1.0, 7.0)}


def test_features_that_are_no_genes_are_left_out(tmp_path):
    path = sparse_root(tmp_path, "h5")
    with h5py.File(path, "r+") as file:
        kinds = np.array([b"Antibody Capture", *[b"Gene Expression"] * 3])
        del file["matrix/features/feature_type"]
        file["matrix/features/feature_type"] = kinds
    assert count_file.read_genes(str(path)) == GENES[1:]
    write_slide(tmp_path / "csv", "S", "ST", side=5)
    got, all_of = (read(root, panel=GENES[1:]) for root in (tmp_path, tmp_path / "csv"))
    assert [e["expression"] for e in got] == [e["expression"] for e in all_of]


def test_two_count_files_of_a_slide_are_an_error(tmp_path):
    path = sparse_root(tmp_path, "h5")
    path.with_suffix(".csv").write_text("")
    with pytest.raises(DataError, match=r"already has .*; remove one"):
        read(tmp_path)


def set_values(path: Path, name: str, at: int, value) -> None:
    with h5py.File(path, "r+") as file:
        values = file[f"matrix/{name}"][:]
        del file[f"matrix/{name}"]
        values = values.astype(np.float64) if name == "data" else values
        values[at] = value
        file[f"matrix/{name}"] = values


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("data", -3, "spot 'S_4x4' has -3 of gene '.*', which is no number of 0 or more"),
        ("data", np.nan, "spot 'S_4x4' has nan of gene"),
        ("data", np.inf, "spot 'S_4x4' has inf of gene"),
        ("indices", 4, "has a count of gene 4, but there are 4"),
        ("indices", -1, "has a count of gene -1"),
        ("indptr", 1, "its matrix contradicts itself"),
        ("shape", 9, "says .* features and barcodes, but has 4 and 25"),
    ],
)
def test_what_is_wrong_is_told_with_file_spot_and_gene(tmp_path, name, value, message):
    path = sparse_root(tmp_path, "h5")
    set_values(path, name, 0, value)
    for reading in (lambda: read(tmp_path), lambda: list(count_file.read_counts(str(path)))):
        with pytest.raises(DataError, match=f"S_count.h5: .*{message}"):
            reading()


def test_files_that_cannot_be_read(tmp_path):
    path = sparse_root(tmp_path, "h5ad")
    whole = path.read_bytes()
    for content in (b"", b"no HDF5", whole[:3000], whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="S_count"):
            read(tmp_path)
    genes, ids, dense = [*"AB"], ["S_0x0", "S_0x1"], np.eye(2)
    obs, var = (pd.DataFrame(index=pd.Index(names, dtype=object)) for names in (ids, genes))
    data = anndata.AnnData(dense, obs=obs, var=var)
    del data.X
    data.write_h5ad(path)
    with pytest.raises(DataError, match="it has no X"):
        read(tmp_path)


def test_a_file_that_changes_while_it_is_read_is_told(tmp_path):
    path = sparse_root(tmp_path, "h5")
    index = count_file.index_rows(str(path))
    genes, ids = GENES, index.ids.to_pylist()
    write_h5(path, genes, [as_rows(ids, np.full((25, 4), 2))])
    with pytest.raises(DataError, match="changed while it was read; start again"):
        count_file.rows_at(str(path), genes, index.start, index.end)


def test_names_are_those_of_the_csv(tmp_path):
    """Genes twice, with commas, quotes and no name at all: called as in a CSV, but by an id that is there."""
    genes, ids, dense = ["A", "A", 'x,"y"', "É"], ["s0", "s1"], np.eye(2, 4)
    write_h5(tmp_path / "a_count.h5", genes, [as_rows(ids, dense)], gene_ids=["E1", "E2", "E3", "E4"])
    write_csv(tmp_path / "a_count.csv", genes, [as_rows(ids, dense)])
    lines = [count_file.header_line(str(path)) for path in sorted(tmp_path.iterdir())]
    assert lines[0] == lines[1] and count_file.read_genes(str(tmp_path / "a_count.h5")) == ["A", "A-1", 'x,"y"', "É"]
    write_h5(tmp_path / "b_count.h5", ["A", ""], [as_rows(ids, np.eye(2))], gene_ids=["E1", "E2"])
    assert count_file.read_genes(str(tmp_path / "b_count.h5")) == ["A", "E2"]
    with pytest.raises(DataError, match=r"cannot hold 1.5: this form is for raw counts"):
        write_h5(tmp_path / "c_count.h5", ["A", "B"], [as_rows(ids, np.eye(2) * 1.5)])
    assert not (tmp_path / "c_count.h5").exists()


@pytest.mark.parametrize("handler", [Handler, SimpleHTTPRequestHandler])
def test_over_http_names_are_read_alone(tmp_path, handler, monkeypatch):
    """And the whole file where the server gives no parts of one."""
    path = sparse_root(tmp_path / "root", "h5")
    with h5py.File(path, "r+") as file:
        file["padding"] = np.random.default_rng(0).integers(0, 256, 1 << 21, np.uint8)
    want = read(tmp_path / "root")
    monkeypatch.setattr(handler, "log_message", lambda *some: None)
    with serving(tmp_path / "root", handler=handler) as server:
        assert stimage_1k4m.gene_names(server.url) == GENES
        fetched = list((cache_folder() / "files").rglob("S_count.h5"))
        assert bool(fetched) == (handler is SimpleHTTPRequestHandler)
        assert read(server.url) == want


@given(st.data())
def test_wide_csv_that_is_written(tmp_path_factory, data):
    """Any counts under any names come back, from the library's reader and from Python's."""
    names = st.lists(st.text('ab," é1-', min_size=1), min_size=1, max_size=5, unique=True)
    spots, genes = data.draw(names), data.draw(names)
    n = len(spots) * len(genes)
    numbers = data.draw(st.lists(st.just(0) | st.integers(0, 2**24), min_size=n, max_size=n))
    table = np.array(numbers).reshape(len(spots), len(genes))
    path = tmp_path_factory.mktemp("csv") / "S_count.csv"
    write_csv(path, genes, [as_rows(spots, table)])
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [["", *genes], *([spot, *map(str, row)] for spot, row in zip(spots, table.tolist()))]
    assert len(count_file.read_genes(str(path))) == len(genes)
    assert sum(rows.values.sum() for rows in count_file.read_counts(str(path))) == table.sum()


def test_a_file_that_another_takes_the_place_of(tmp_path):
    """While it is read: its counts never come under the other's places."""
    path, other = tmp_path / "S_count.h5", tmp_path / "other.h5"
    for k, one in enumerate((path, other)):
        write_h5(one, ["A", "B"], [as_rows(["a", "b"], np.array([[1, 2], [0, 3]]) + k)])
    stat = path.stat()
    decoded = sparse_hdf5._Decoded(str(path), stat.st_size, stat.st_mtime_ns)
    other.replace(path)
    with (
        pytest.raises(DataError, match=r"S_count.h5: changed while it was read; start again"),
        decoded.whole(str(path), np.array([0]), np.array([2])),
    ):
        pass
