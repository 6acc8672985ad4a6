"""Gene ids: which ones a root's genes have, and that they never change unseen."""

import csv
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import datasets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stimage_1k4m
from stimage.core.errors import DataError
from stimage.core.storage import first_line
from stimage.genes import headers
from tests.building import NUMBER, load
from tests.roots import first_counts, write_genes
from tests.test_scripts import run

scandir = os.scandir


@pytest.fixture
def new_cache(tmp_path, monkeypatch):
    """Give a new cache each time that it is called."""

    def change() -> Path:
        new_cache = tmp_path / f"cache{len(list(tmp_path.iterdir()))}"
        new_cache.mkdir()
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", new_cache)
        return new_cache

    change()
    return change


NAMES = st.text("aAbB1éß_-", min_size=1, max_size=4)
GENES = st.lists(st.text('abé1-."', min_size=1, max_size=3), min_size=1, max_size=4)


@given(
    st.lists(st.tuples(NAMES, GENES), min_size=1, max_size=4, unique_by=lambda slide: slide[0].casefold()),
    st.integers(0, 9),
)
@settings(max_examples=30)
def test_ids_follow_from_the_slides_names_in_any_order(tmp_path_factory, slides, seed):
    folder, want = tmp_path_factory.mktemp("order"), {}
    for k, (name, genes) in enumerate(slides):
        write_genes(folder / "root", name, genes, ("ST", "Visium", "VisiumHD")[(seed + k) % 3])
    for _, genes in sorted(slides, key=lambda slide: slide[0].casefold()):
        seen: dict[str, None] = {}
        for gene in genes:  # repeated names get suffixes that are free
            k, name = 1, gene
            while name in seen or (name != gene and name in genes):
                k, name = k + 1, f"{gene}-{k}"
            seen[name] = None
        want |= seen
    for shuffle in (sorted, lambda found: sorted(found, reverse=True), random.Random(seed).sample):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / str(shuffle))
            patch.setattr(os, "scandir", lambda path, shuffle=shuffle: _Shuffled(path, shuffle))
            assert stimage_1k4m.gene_names(folder / "root") == list(want)


class _Shuffled:
    """A folder's entries in another order."""

    def __init__(self, path, shuffle):
        found = {entry.name: entry for entry in scandir(path)}
        names = shuffle(list(found), len(found)) if "sample" in str(shuffle) else shuffle(found)
        self.entries = [found[name] for name in names]

    def __iter__(self):
        return iter(self.entries)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.mark.slow
def test_processes_of_other_caches_locales_and_seeds_agree(root, tmp_path):
    write_genes(root, "é", ["e1"])
    write_genes(root, "Z", ["z1"], "Visium")
    code = f"import stimage_1k4m; print(stimage_1k4m.gene_names({str(root)!r}))"
    found = set()
    for k, locale in enumerate(("C", "C.UTF-8")):
        new = {"PYTHONHASHSEED": str(k), "LC_ALL": locale, "HF_HOME": str(tmp_path / f"home{k}")}
        done = subprocess.run([sys.executable, "-c", code], env=os.environ | new, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found.add(done.stdout.strip())
    assert found == {str(["b1", "both", "b2", "d1", "z1", "e1"])} == {str(stimage_1k4m.gene_names(root))}


def test_a_slide_that_lacks_a_file_takes_no_part(root):
    write_genes(root, "A", ["a1"])
    assert stimage_1k4m.gene_names(root)[0] == "a1"
    (root / "ST/image/A.png").unlink()
    assert stimage_1k4m.gene_names(root) == ["b1", "both", "b2", "d1"]


@pytest.mark.parametrize("damage", [b"", b'"' * 9, b"\xff\xfe,\0", b"SLIDE\n"])
def test_a_header_that_cannot_be_read_is_an_error_and_leaves_nothing(root, damage):
    path = write_genes(root, "A", ["a1", "both"])
    whole, listed = path.read_bytes(), path.stat()
    path.write_bytes(damage)
    os.utime(path, ns=(listed.st_atime_ns, listed.st_mtime_ns))
    for _ in range(2):
        with pytest.raises(DataError, match=rf"A_count.csv: .*number-genes {root} --slides"):
            load(root, streaming=True, slides="B")
    done = run(NUMBER, root, "--slides", "B", "D")  # the remedy
    assert done.returncode == 0, done.stderr
    assert first_counts(load(root, streaming=True, slides="B"), stimage_1k4m.gene_names(root))["B"]["b1"] == 1
    (root / "genes.parquet").unlink()
    path.write_bytes(whole)
    assert stimage_1k4m.gene_names(root) == ["a1", "both", "b1", "b2", "d1"]


def test_a_line_that_failed_is_read_again_though_its_stamp_is_the_same(root):
    path = write_genes(root, "A", ["a1", "xx"])
    whole, stat = path.read_bytes(), path.stat()
    path.write_bytes(b'"' * len(whole))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(DataError, match=r"A_count.csv: line 1 names no gene"):
        stimage_1k4m.gene_names(root)
    path.write_bytes(whole)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert stimage_1k4m.gene_names(root)[:2] == ["a1", "xx"]


def test_a_new_slide_costs_one_header(root, new_cache, monkeypatch):
    asked = []
    monkeypatch.setattr(headers, "header_line", lambda url, *more: asked.append(url) or first_line(url, *more))
    stimage_1k4m.gene_names(root)
    assert len(asked) == 2
    new = write_genes(root, "C", ["c1"])
    assert stimage_1k4m.gene_names(root) == ["b1", "both", "b2", "c1", "d1"]
    assert asked[2:] == [str(new)]
    stimage_1k4m.gene_names(root)
    assert len(asked) == 3


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-3], lambda data: data[::-1]])
def test_a_damaged_cache_is_made_again(root, new_cache, damage):
    names, cache = stimage_1k4m.gene_names(root), new_cache()
    assert stimage_1k4m.gene_names(root) == names
    kept = [path for path in cache.rglob("*") if path.is_file()]
    assert len(kept) == 5  # of each file a line and what it is called; the vocabulary
    for path in kept:
        path.write_bytes(damage(path.read_bytes()))
        assert stimage_1k4m.gene_names(root) == names
    for path in kept:
        path.write_bytes(damage(path.read_bytes()))
    assert stimage_1k4m.gene_names(root) == names


def test_threads_make_one_vocabulary(root, new_cache):
    for k in range(20):
        write_genes(root, f"E{k}", [f"e{k}", "both"])
    want = stimage_1k4m.gene_names(root)
    cache = new_cache()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(stimage_1k4m.gene_names, [root] * 8)) == [want] * 8
    assert not [path for path in cache.rglob(".*") if path.is_file()]


HEADERS = st.lists(st.text("ab,é\" '-", max_size=3), min_size=1, max_size=5)


@given(HEADERS, st.booleans(), st.sampled_from(["\n", "\r\n"]), st.booleans())
@settings(max_examples=60)
def test_headers_of_any_form_give_the_names_that_csv_does(tmp_path_factory, genes, bom, end, quoted):
    root = tmp_path_factory.mktemp("form") / "root"
    path = write_genes(root, "A", ["x"])
    with path.open("w", newline="", encoding="utf-8-sig" if bom else "utf-8") as file:
        quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
        csv.writer(file, lineterminator=end, quoting=quoting).writerow(["", *genes])
    names = stimage_1k4m.gene_names(root)
    once = [gene for gene in genes if genes.count(gene) == 1]
    assert len(names) == len(genes) and set(genes) <= set(names)
    assert [name for name, gene in zip(names, genes) if gene in once] == once
