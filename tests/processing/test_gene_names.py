"""Symbols and Ensembl ids: tables as they come, the rule for duplicates, and what is told of the rest."""

import gzip

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from stimage.errors import DataError
from stimage.processing.gene_names import map_genes, read_gene_table

A, B, C, D = (f"ENSG0000000000{k}" for k in range(1, 5))
FEATURES = (
    f"{A}\tAAA\tGene Expression\n{B}\tBBB\tGene Expression\n{C}\tBBB\tGene Expression\n{D}\t{D}\tGene Expression\n"
)
BIOMART = f"Gene stable ID,Gene name,Organism\n{A}.7,AAA,human\n{B},BBB,human\n{C},BBB,human\n{D},,human\n" \
          "ENSMUSG00000000001,Aaa,mouse\n"  # fmt: skip


@pytest.fixture(params=["features", "gzip", "biomart"])
def table(request, tmp_path):
    path = tmp_path / "table"
    path.write_bytes({"features": FEATURES.encode(), "gzip": gzip.compress(FEATURES.encode()),
                      "biomart": BIOMART.encode()}[request.param])  # fmt: skip
    return read_gene_table(path, "human")


def test_to_symbols(table):
    found = map_genes([f"{A}.2", B, C, D, "ENSG00000000009", "XYZ"], table, "symbol")
    assert found.names == ("AAA", "BBB", D, "XYZ") and found.target.tolist() == [0, 1, 1, 2, -1, 3]
    assert found.merged == {"BBB": (B, C)} and found.lost == ("ENSG00000000009",)
    assert (found.mapped, found.kept) == (3, 2)
    counts = found.apply(csr_matrix(np.arange(12).reshape(2, 6)))
    assert counts.toarray().tolist() == [[0, 3, 3, 5], [6, 15, 9, 11]]
    assert found.report() == "3 mapped, 2 kept, 2 merged into 1, 1 lost (ENSG00000000009)"


def test_to_ensembl(table):
    found = map_genes(["AAA", "BBB", f"{A}.3", "XYZ"], table, "ensembl")
    assert found.names == (A, B) and found.target.tolist() == [0, 1, 0, -1] and found.lost == ("XYZ",)
    assert found.apply(csr_matrix([[1, 2, 4, 8]])).toarray().tolist() == [[5, 2]]


def test_another_species_is_refused(table):
    with pytest.raises(DataError, match="knows none of 2 genes, such as 'Aaa'; is the species right"):
        map_genes(["Aaa", "Bbb"], table, "ensembl")
    with pytest.raises(ValueError, match="to='entrez': pass one of"):
        map_genes(["AAA"], table, "entrez")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("gene,colour\na,b\n", "line 1: has no column for the id"),
        ("Gene stable ID,colour\na,b\n", "line 1: has no column for the symbol"),
        (f"{A}\tAAA\n{A}\tBBB\n", "line 2: ENSG00000000001 is 'BBB' here and 'AAA' before"),
        (f"{A}\tAAA\nAAA\t{A}\n", "line 2: 'AAA' is no Ensembl id"),
        (f"{A}\tAAA\n{B}\n", "line 2: has 1 cells"),
        (f"id,symbol,species\n{A},AAA,mouse\n", "has no gene of species 'human'"),
    ],
)
def test_tables_that_are_none(tmp_path, text, words):
    (tmp_path / "table.tsv").write_text(text)
    with pytest.raises(DataError, match=words):
        read_gene_table(tmp_path / "table.tsv", "human")
