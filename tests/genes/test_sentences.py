"""Sentences of gene names: the order of counts, whatever is left out, and how many genes a tokenizer keeps."""

import numpy as np
import pandas as pd
import pytest
from datasets import load_dataset
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

import stimage_1k4m
from stimage.core.errors import DataError
from stimage.genes.sentences import TopGenes, excluded, top_genes
from stimage.loading.batches import spot_loader
from stimage.slides.counts.rows import CountRows
from stimage.slides.counts.wide_csv import read_header

KINDS = ("mitochondrial", "ribosomal", "housekeeping")
NAMES = ["MT-CO1", "RPL3", "ACTB", "b", "a", "Rps27a", "mt-Nd1", "RPSAP1", "KRT8"]


def sentences(counts, names=NAMES, means=None, **rule):
    m = csr_matrix(np.atleast_2d(counts))
    return top_genes(CountRows(m.indptr, m.indices, m.data), names, TopGenes(**rule), means)


@given(st.lists(st.lists(st.integers(0, 4), min_size=9, max_size=9), min_size=1, max_size=5), st.integers(1, 10))
def test_highest_counts_first_then_by_name(counts, k):
    want = [[NAMES[i] for i in sorted((i for i in range(9) if row[i]), key=lambda i: (-row[i], NAMES[i]))][:k]
            for row in counts]  # fmt: skip
    assert sentences(counts, k=k) == want


def test_kinds_are_left_out():
    assert excluded(NAMES, ["mitochondrial"]).nonzero()[0].tolist() == [0, 6]
    assert excluded(NAMES, ["ribosomal"]).nonzero()[0].tolist() == [1, 5]
    assert excluded(NAMES, ["housekeeping"]).nonzero()[0].tolist() == [2]
    assert not excluded(["RPS6KA1", "Rps6kb1"], ["ribosomal"]).any()  # kinases
    with pytest.raises(DataError, match="are Ensembl ids: ribosomal genes are known by their symbols"):
        excluded(["ENSG00000000001", "ENSG00000000002.4"], ["ribosomal"])
    got = sentences(np.arange(9, 0, -1), k=3, exclude=KINDS)
    assert got == [["b", "a", "RPSAP1"]]


def test_above_the_slides_mean():
    table = np.random.default_rng(0).poisson(2, (25, 4))
    means = np.log1p(table).mean(0)
    names = ["w", "x", "y", "z"]
    above = np.log1p(table) - means
    want = [[names[i] for i in np.argsort(-row, kind="stable") if row[i] > 0][:2] for row in above]
    assert sentences(table, names, means, k=2, above_mean=True) == want
    with pytest.raises(ValueError, match="needs the slide's means"):
        sentences(table, names, above_mean=True)


def test_empty_spots_have_empty_sentences():
    assert sentences([[0] * 9, [1] + [0] * 8, [0] * 9]) == [[], ["MT-CO1"], []]


def test_a_batch_of_the_builder(sample):
    spots = load_dataset("stimage_1k4m", "ST", data_dir=str(sample), split="train", streaming=True)
    names, tables = stimage_1k4m.gene_names(sample), {}
    for batch in spot_loader(spots, 16, workers=0, image_size=8):
        rule = TopGenes(5, exclude=KINDS)
        rows = CountRows(batch.offsets.numpy(), batch.gene_ids.numpy(), batch.counts.numpy())
        got = top_genes(rows, names, rule)
        for spot, slide, sentence in zip(batch.spot_ids, batch.slides, got):
            if slide not in tables:
                path = sample / f"ST/gene_exp/{slide}_count.csv"
                tables[slide] = pd.read_csv(path, index_col=0).set_axis(read_header(str(path))[0], axis=1)
            row = {name: n for name, n in tables[slide].loc[spot].items() if n and not excluded([name], KINDS)[0]}
            assert sentence == sorted(row, key=lambda name: (-row[name], name))[:5]
    assert {slide.split("_")[0] for slide in tables} == {"Human", "Mouse"}


@pytest.mark.parametrize("rule", [{"k": 0}, {"exclude": ("sex",)}])
def test_rules_that_are_none(rule):
    with pytest.raises(ValueError, match=r"k=0|exclude='sex': pass any of"):
        TopGenes(**rule)
