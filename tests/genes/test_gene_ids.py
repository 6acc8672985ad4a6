"""What data sets say of their gene ids, and that `gene_names` answers for these ids or refuses."""

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

import stimage_1k4m
from stimage.core.errors import DataError
from stimage.genes.vocabulary import names_digest
from tests.building import NUMBER, load
from tests.roots import first_counts, write_genes
from tests.test_scripts import run


def test_ids_of_a_saved_copy_are_right_or_refused(root, tmp_path):
    load(root).save_to_disk(str(tmp_path / "saved"))
    saved = datasets.load_from_disk(str(tmp_path / "saved"))
    names = stimage_1k4m.gene_names(saved)
    assert names == stimage_1k4m.gene_names(root) and first_counts(saved, names)["B"] == {"b1": 1, "both": 2, "b2": 3}
    write_genes(root, "A", ["a1"])
    for options in ({}, {"root": root}):
        with pytest.raises(DataError, match=r"has ids for the 4 genes that .*root now gives other ids to its 5 genes"):
            stimage_1k4m.gene_names(saved, **options)
    again = load(root)
    assert first_counts(again, stimage_1k4m.gene_names(again))["B"] == {"b1": 1, "both": 2, "b2": 3}


@pytest.mark.parametrize("numbered", [False, True])
def test_what_was_prepared_says_the_ids_of_now(root, tmp_path, numbered):
    """Where only other genes have other ids, nothing is prepared anew; to load again is the remedy all the same."""
    if numbered:
        assert run(NUMBER, root).returncode == 0
    first = load(root, slides="B")
    write_genes(root, "C", ["c1", "both"])
    (root / "genes.parquet").unlink(missing_ok=True)  # the genes of C now come before those of D
    with pytest.raises(DataError, match="genes: load the data set again"):
        stimage_1k4m.gene_names(first)
    for again in (load(root, slides="B"), stimage_1k4m.load("all", root, streaming=False, slides="B")):
        assert again.cache_files == first.cache_files
        names = stimage_1k4m.gene_names(again)
        assert names == stimage_1k4m.gene_names(root) == ["b1", "both", "b2", "c1", "d1"]
        assert first_counts(again, names)["B"] == {"b1": 1, "both": 2, "b2": 3}


def test_ids_of_a_numbered_root_stay(root, tmp_path):
    assert run(NUMBER, root).returncode == 0
    streamed = load(root, streaming=True)
    load(root).save_to_disk(str(tmp_path / "saved"))
    write_genes(root, "A", ["a1", "both"])
    done = run(NUMBER, root)
    assert done.returncode == 0 and "3 slides: 4 genes were numbered, 1 are added" in done.stdout
    assert stimage_1k4m.gene_names(root) == ["b1", "both", "b2", "d1", "a1"]
    for data in (datasets.load_from_disk(str(tmp_path / "saved")), streamed):
        assert stimage_1k4m.gene_names(data) == ["b1", "both", "b2", "d1"]
        assert first_counts(data, stimage_1k4m.gene_names(data))["D"] == {"d1": 1, "both": 2}
    both = datasets.concatenate_datasets([datasets.load_from_disk(str(tmp_path / "saved")), load(root)])
    assert stimage_1k4m.gene_names(both) == ["b1", "both", "b2", "d1", "a1"]


@pytest.mark.parametrize("streaming", [True, False])
def test_what_data_sets_keep(root, streaming):
    data = load(root, streaming=streaming)
    whole = load_dataset("stimage_1k4m", "all", data_dir=str(root), streaming=streaming)
    made = [
        data, whole, data.map(lambda e: e), data.filter(lambda e: True), data.shuffle(seed=0), data.take(1),
        data.select_columns(["slide", "gene_ids"]), data.with_format("arrow"), whole["train"],
        datasets.concatenate_datasets([data, data]), datasets.interleave_datasets([data, data]),
    ]  # fmt: skip
    if not streaming:
        made += [data.select([0]), data.sort("slide"), data.train_test_split(0.5)]
    for one in made:
        assert stimage_1k4m.gene_names(one) == ["b1", "both", "b2", "d1"]
    assert "sha256 " + names_digest(["b1", "both", "b2", "d1"]) in data.info.description


def test_where_it_is_lost_the_root_is_asked_for(root, tmp_path):
    data = load(root)
    data.to_parquet(str(tmp_path / "x.parquet"))
    for lost in (
        load_dataset("parquet", data_files=str(tmp_path / "x.parquet"), split="train"), data.to_iterable_dataset(),
    ):  # fmt: skip
        with pytest.raises(DataError, match="Pass as root="):
            stimage_1k4m.gene_names(lost)
        with pytest.raises(DataError, match="Pass as root="):
            stimage_1k4m.gene_names([lost, data])
        assert stimage_1k4m.gene_names(lost, root=root) == stimage_1k4m.gene_names(root)


def test_what_has_no_ids_or_other_ones_is_refused(root, tmp_path):
    for other, what in ((None, "NoneType"), (load(root)[:2], "list"), ([load(root)[0]], "dict"), ([], "list")):
        with pytest.raises(DataError, match=f"takes a root, .* this is or contains a {what}"):
            stimage_1k4m.gene_names(other)
    with pytest.raises(DataError, match="has no gene_ids: it has a panel's expression"):
        stimage_1k4m.gene_names(load(root, panel=["both"], streaming=True))
    with pytest.raises(DataError, match="has no gene_ids: it has slide"):
        stimage_1k4m.gene_names(load(root, streaming=True).select_columns(["slide"]))
    write_genes(tmp_path / "other", "B", ["both", "b1"])
    data = load(root, streaming=True)
    with pytest.raises(DataError, match=r"other now gives other ids to its 2 genes"):
        stimage_1k4m.gene_names(data, root=tmp_path / "other")
    mixed = datasets.concatenate_datasets([data, load(tmp_path / "other", streaming=True)])
    with pytest.raises(DataError, match="now gives other ids to its"):
        stimage_1k4m.gene_names(mixed)
    with pytest.raises(ValueError, match="root is for a data set"):
        stimage_1k4m.gene_names(root, root=root)
    root.rename(tmp_path / "moved")
    with pytest.raises(DataError, match="pass as root= the place"):
        stimage_1k4m.gene_names(data)
    assert stimage_1k4m.gene_names(data, root=tmp_path / "moved") == ["b1", "both", "b2", "d1"]


def test_a_root_that_is_numbered_otherwise_meanwhile_is_refused(root):
    assert run(NUMBER, root).returncode == 0
    data = load(root, streaming=True)
    names = ["d1", "b2", "both", "b1"]
    pq.write_table(pa.table({"id": range(4), "name": names}), root / "genes.parquet")
    with pytest.raises(DataError, match=r"genes.parquet: gives genes other ids than when the data set was loaded"):
        next(iter(data))
