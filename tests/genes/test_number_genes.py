"""`genes.parquet`: made, added to by every program that adds slides, and never changed otherwise."""

import json
import subprocess
import sys

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from scipy.sparse import csr_matrix

import stimage_1k4m
from stimage.core.errors import DataError
from stimage.genes.numbering import ids_digest
from stimage.genes.vocabulary import names_digest
from stimage.slides.catalog import Filters, read_catalog
from tests.building import BUILD, NUMBER, load
from tests.outs import write_matrix, write_outs
from tests.roots import first_counts, write_genes
from tests.test_scripts import SCRIPTS, run


def test_number_genes(root, tmp_path):
    names = stimage_1k4m.gene_names(root)
    done = run(NUMBER, root)
    assert done.returncode == 0 and "2 slides: 0 genes were numbered, 4 are added" in done.stdout
    assert stimage_1k4m.gene_names(root) == names
    before = (root / "genes.parquet").read_bytes()
    assert "4 genes were numbered, 0 are added" in run(NUMBER, root).stdout
    assert (root / "genes.parquet").read_bytes() == before
    write_genes(root, "A", ["a1"])
    with pytest.raises(DataError, match=r"A_count.csv: gene 'a1' has no id in .*; run .*number-genes ROOT"):
        list(load(root, streaming=True))
    assert list(load(root, streaming=True, slides=["B", "D"]))
    out = tmp_path / "elsewhere.parquet"
    done = run(NUMBER, root, "--out", out)
    assert "3 slides: 4 genes were numbered, 1 are added" in done.stdout
    assert (root / "genes.parquet").read_bytes() == before
    assert pq.read_table(out)["name"].to_pylist() == [*names, "a1"]
    out.write_bytes(before)
    assert "1 are added" in run(NUMBER, root, "--out", out).stdout
    pq.write_table(pa.table({"id": [0], "name": ["d1"]}), out)
    done = run(NUMBER, root, "--out", out)
    assert done.returncode == 1 and "has other ids than" in done.stderr
    done = run(NUMBER, root, "--out", root)
    assert done.returncode == 1 and "is a folder; name a file in it" in done.stderr


@pytest.mark.parametrize(
    "names, message",
    [(["b1", "b1"], "gene 'b1' has two ids"), (["b1", None], "must have a name"), (None, "is no vocabulary"),
     ("flipped", "is damaged|is no vocabulary")],
)  # fmt: skip
def test_a_damaged_numbering_is_refused_and_stays(root, names, message):
    path = root / "genes.parquet"
    if names == "flipped":
        assert run(NUMBER, root).returncode == 0
        path.write_bytes(path.read_bytes().replace(b"oth", b"ath"))
    elif names:
        pq.write_table(pa.table({"id": range(len(names)), "name": names}), path)
    else:
        path.write_bytes(b"PAR1")
    before = path.read_bytes()
    done = run(NUMBER, root)
    assert done.returncode == 1 and f"{path}: " in done.stderr
    with pytest.raises(DataError, match=message):
        load(root, streaming=True)
    assert path.read_bytes() == before


@pytest.mark.slow
def test_slides_that_are_added_at_once_are_all_numbered(root, tmp_path):
    assert run(NUMBER, root).returncode == 0
    before, running = stimage_1k4m.gene_names(root), []
    for k in range(3):
        counts, _ = write_outs(tmp_path / str(k), seed=k, side=4)
        names = [f"new{k}", "both", *(f"n{k}_{i}" for i in range(len(counts.columns) - 2))]
        write_matrix(tmp_path / f"{k}/outs/filtered_feature_bc_matrix.h5", csr_matrix(counts), counts.index, names)
        command = [sys.executable, SCRIPTS / "data_collection/add_slide.py", tmp_path / f"{k}/outs", "--out", root]
        running.append(subprocess.Popen([*command, "--slide", f"A{k}"], stderr=subprocess.PIPE, text=True))
    for one in running:
        assert (one.communicate()[1], one.returncode)[1] == 0
    names = stimage_1k4m.gene_names(root)
    assert names[: len(before)] == before and {"new0", "new1", "new2"} <= set(names) and len(set(names)) == len(names)
    found = first_counts(load(root, streaming=True), names)
    assert found.keys() == {"A0", "A1", "A2", "B", "D"} and found["B"] == {"b1": 1, "both": 2, "b2": 3}


# Published folders


def test_a_published_folder_says_its_ids(root, tmp_path):
    out = tmp_path / "out"
    done = run(BUILD, root, out)
    assert done.returncode == 0, done.stderr
    names = stimage_1k4m.gene_names(out)
    said = json.dumps({"genes": 4, "sha256": names_digest(names)}).encode()
    for path in (*out.glob("data/*/*/*.parquet"), out / "genes.parquet", out / ".build/genes.parquet"):
        assert pq.read_schema(path).metadata[b"stimage_1k4m"] == said
    assert names_digest(names) in (out / "README.md").read_text()
    shards = load_dataset(str(out), "all", split="train")
    with pytest.raises(DataError, match="Pass as root="):
        stimage_1k4m.gene_names(shards)
    assert first_counts(shards, stimage_1k4m.gene_names(shards, root=out))["D"] == {"d1": 1, "both": 2}
    write_genes(root, "A", ["a1", "both"])  # the root's ids change, the folder's do not
    assert run(BUILD, root, out).returncode == 0
    assert stimage_1k4m.gene_names(out) == [*names, "a1"]
    assert stimage_1k4m.gene_names(root)[0] == "a1"


def test_building_adds_to_the_numbering_of_the_root(root, tmp_path):
    assert run(NUMBER, root).returncode == 0
    write_genes(root, "A", ["a1"])
    write_genes(root, "C", ["c1"])
    done = run(BUILD, root, tmp_path / "out", "--slides", "C")
    assert done.returncode == 0, done.stderr
    want = ["b1", "both", "b2", "d1", "a1", "c1"]  # whatever is selected
    assert stimage_1k4m.gene_names(root) == stimage_1k4m.gene_names(tmp_path / "out") == want


def test_a_root_that_cannot_be_added_to_is_refused(root, tmp_path):
    assert run(NUMBER, root).returncode == 0
    write_genes(root, "A", ["a1"])
    fsspec.filesystem("memory").put(str(root), "/numbered", recursive=True)
    url, out = "memory://numbered", tmp_path / "genes.parquet"
    done = run(BUILD, url, tmp_path / "out")
    assert done.returncode == 1 and f"number-genes {url} --out genes.parquet" in done.stderr
    done = run(NUMBER, url)
    assert done.returncode == 1 and "pass --out genes.parquet" in done.stderr
    assert run(NUMBER, url, "--out", out).returncode == 0
    fsspec.filesystem("memory").put(str(out), "/numbered/genes.parquet")
    data = load_dataset("stimage_1k4m", "all", root=url, split="train", streaming=True)
    assert stimage_1k4m.gene_names(data) == stimage_1k4m.gene_names(url) == ["b1", "both", "b2", "d1", "a1"]
    assert first_counts(data, stimage_1k4m.gene_names(url))["A"] == {"a1": 1}


def test_the_digest_of_ids_changes_when_they_do(root):
    def digest(*slides: str) -> str:
        catalog = read_catalog(str(root))
        return ids_digest(catalog, catalog.select(Filters(slides=slides)))

    before = digest("B"), digest("D"), digest("B", "D")
    assert before == (digest("B"), digest("D"), digest("D", "B")) and len(set(before)) == 3
    write_genes(root, "C", ["c1"])  # between: only D's ids change
    after = digest("B"), digest("D"), digest("B", "D")
    assert [a == b for a, b in zip(before, after)] == [True, False, False]
    assert run(NUMBER, root).returncode == 0
    write_genes(root, "A", ["a1"])
    assert after == (digest("B"), digest("D"), digest("B", "D"))
    with pytest.raises(DataError, match=r"A_count.csv: gene 'a1' has no id in .*number-genes"):
        digest("A")
