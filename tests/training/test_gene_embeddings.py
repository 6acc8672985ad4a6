"""Tables that gene embeddings begin from: by name, in several forms, and refused where they do not fit."""

import numpy as np
import pandas as pd
import pytest

from stimage.core.errors import DataError
from stimage.training.second.gene_embeddings import known_embeddings, read_gene_embeddings

GENES = ["KRT8", "ERBB2", "ENSG00000075624.17"]
VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2)


def as_csv(path):
    pd.DataFrame(VECTORS, pd.Index(GENES, name="gene")).to_csv(path := path / "table.csv")
    return path


def as_columns(path):
    table = pd.DataFrame(VECTORS, columns=["a", "b"])
    table.insert(0, "gene", GENES)
    table.to_parquet(path := path / "table.parquet", index=False)
    return path


def as_index(path):
    pd.DataFrame(VECTORS, pd.Index(GENES, name="gene"), ["a", "b"]).to_parquet(path := path / "table.parquet")
    return path


def as_lists(path):
    pd.DataFrame({"gene": GENES, "embedding": list(VECTORS)}).to_parquet(path := path / "table.parquet")
    return path


@pytest.mark.parametrize("write", [as_csv, as_columns, as_index, as_lists])
def test_a_table_in_each_form(write, tmp_path):
    names, vectors = read_gene_embeddings(write(tmp_path))
    assert names == ["KRT8", "ERBB2", "ENSG00000075624"] and vectors.dtype == np.float32
    assert np.array_equal(vectors, VECTORS)


@pytest.mark.parametrize("text, message", [
    ("gene,a\nA,1\nA,2\n", "gene 'A' occurs twice"), ("gene,a\nA,1\nB,\n", "gene 'B' has a value that is no finite"),
    ("gene,a\nA,inf\n", "gene 'A' has a value that is no finite"), ("gene,a\nA,x\n", "column 'a' is not of numbers"),
    ("gene\nA\n", "has 1 rows and 1 columns; expected the gene's name"), ("gene,a\n", "has 0 rows"),
    ("ENSG00000075624.1,a\nENSG00000075624.2,1\nENSG00000075624.3,1\n", "occurs twice"),
    ("", "is no Parquet or CSV table"),
])  # fmt: skip
def test_tables_that_are_refused(text, message, tmp_path):
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(DataError, match=f"table.csv: .*{message}"):
        read_gene_embeddings(tmp_path / "table.csv")


def test_no_table_at_all(tmp_path):
    with pytest.raises(DataError, match=r"none.parquet"):
        read_gene_embeddings(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("gene,a\nA,1\n")
    with pytest.raises(DataError, match=r"text.parquet: is no Parquet or CSV table"):
        read_gene_embeddings(tmp_path / "text.parquet")
    pd.DataFrame({"gene": ["A", "B"], "v": [[1.0], [1.0, 2.0]]}).to_parquet(tmp_path / "uneven.parquet")
    with pytest.raises(DataError, match=r"vectors have the lengths \[1, 2\]"):
        read_gene_embeddings(tmp_path / "uneven.parquet")


def test_few_genes_are_refused():
    genes = [f"G{i}" for i in range(30)]
    with pytest.raises(DataError, match=r"T: has 2 of the data's 30 genes \(7%\).*'G0'.*'G1'.*data.gene_table"):
        known_embeddings("T", ["G1", "G2", "Gm3"], genes)
    assert np.count_nonzero(known_embeddings("T", ["G1", "G2", "G3"], genes) >= 0) == 3
