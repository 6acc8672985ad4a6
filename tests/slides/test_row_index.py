"""Row offsets that are kept in the cache: read once a file, safe whatever happens to file and cache."""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import anndata
import datasets
import pandas as pd
import pytest

import stimage_1k4m
from stimage.core.errors import DataError
from stimage.formats.written.anndata_files import write_h5ad
from stimage.slides import spots
from stimage.slides.catalog import read_catalog
from stimage.slides.counts import row_index
from tests.roots import write_slide

COUNTS = "ST/gene_exp/S_count.csv"


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(row_index, "KEPT_FROM", 0)
    write_slide(tmp_path / "root", "S", "ST", side=5)
    spots._open_spots.cache_clear()
    return tmp_path / "root"


@pytest.fixture
def scans(monkeypatch) -> list[str]:
    """Names of the files whose rows are looked for."""
    found, index_rows = [], row_index.index_rows
    monkeypatch.setattr(row_index, "index_rows", lambda path: found.append(path) or index_rows(path))
    return found


def read(root) -> dict[str, tuple]:
    """Read a root as a new process does, which remembers no slide."""
    spots._open_spots.cache_clear()
    return {e["spot_id"]: (e["gene_ids"], e["counts"]) for e in stimage_1k4m.load("ST", root)}


def kept(root):
    (file,) = (root.parent / "cache").rglob("rows/*.arrow")
    return file


def test_rows_are_looked_for_once(root, scans):
    want = read(root)
    assert read(root) == want and len(want) == 25 and len(scans) == 1


def test_another_file_is_another_index(root, scans):
    read(root)
    lines = (root / COUNTS).read_text().splitlines()
    (root / COUNTS).write_text("\n".join([lines[0], *reversed(lines[1:]), ""]))
    state = os.stat(root / COUNTS)
    os.utime(root / COUNTS, ns=(state.st_atime_ns, state.st_mtime_ns + 10**9))
    read(root)
    assert len(scans) == 2 and kept(root).exists()  # one index a file


@pytest.mark.parametrize("damage", ["cut", "empty", "bit", "text"])
def test_a_damaged_index_is_made_again(root, scans, damage):
    want, file = read(root), kept(root)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes({"cut": bytes(content[: len(content) // 2]), "empty": b"", "bit": content, "text": b"no"}[damage])
    assert read(root) == want and len(scans) == 2
    assert read(root) == want and len(scans) == 2


def test_a_file_changed_in_place_with_its_size_and_time_is_noticed(root):
    want = read(root)
    path, state = root / COUNTS, os.stat(root / COUNTS)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], *reversed(lines[1:])]))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(DataError, match=r"S_count\.csv: changed while it was read; start again"):
        read(root)
    assert read(root) == want  # as the error says: start again


def test_whoever_reads_counts_notices_it(root, tmp_path):
    read(root)
    path, state = root / COUNTS, os.stat(root / COUNTS)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], *reversed(lines[1:])]))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    spots._open_spots.cache_clear()
    with pytest.raises(DataError, match=r"S_count\.csv: changed while it was read; start again"):
        write_h5ad(read_catalog(str(root)).slides, tmp_path / "S.h5ad")
    write_h5ad(read_catalog(str(root)).slides, tmp_path / "S.h5ad")
    written, want = anndata.read_h5ad(tmp_path / "S.h5ad"), pd.read_csv(path, index_col=0)
    assert (written.X.toarray() == want.loc[written.obs_names, written.var_names].to_numpy()).all()


def test_a_cache_that_cannot_be_written(root, scans, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(row_index.pa.ipc, "new_file", full)
    want = read(root)
    assert read(root) == want and len(scans) == 2


def _ids_in_a_process(path: str, cache: str) -> int:
    datasets.config.HF_DATASETS_CACHE, row_index.KEPT_FROM = cache, 0
    return hash(tuple(row_index.kept_index(path).end.tolist()))


@pytest.mark.slow
def test_many_processes_at_once(root):
    with ProcessPoolExecutor(4, get_context("spawn")) as pool:
        task = [str(root / COUNTS)] * 8, [str(root.parent / "cache")] * 8
        assert len(set(pool.map(_ids_in_a_process, *task))) == 1
    assert not list(kept(root).parent.glob(".*"))
    assert len(read(root)) == 25
