"""Embeddings of genes out of a table: what those of a tower of sets begin from."""

import os
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stimage.core.errors import DataError, one_line, unreadable
from stimage.towers.joint.gene_inputs import FEWEST, bare_name, places_among_genes

REMEDY = "expected the gene's name in the first column and numbers in the others"


def read_gene_embeddings(path: str | os.PathLike) -> tuple[list[str], np.ndarray]:
    """Read a table of embeddings of genes.

    Parameters
    ----------
    path
        Parquet or CSV: the gene's name in the first column; then a column for each number, or, in Parquet, one column
        of lists of numbers.

    Returns
    -------
    list of str, numpy.ndarray
        Names (n), Ensembl ids without their versions, and vectors (float32, n x width).

    Raises
    ------
    DataError
        If there is no such file, it is no such table, a gene occurs twice, or a value is no finite number.
    """
    table = _table(path)
    if table.shape[1] < 2 or not len(table):
        raise DataError(f"{path}: has {len(table)} rows and {table.shape[1]} columns; {REMEDY}")
    names = [bare_name(str(name)) for name in table.iloc[:, 0]]
    rest = table.iloc[:, 1:]
    if text := [name for name in rest if not pd.api.types.is_numeric_dtype(rest[name])]:
        raise DataError(f"{path}: column {str(text[0])!r} is not of numbers; {REMEDY}")
    vectors = rest.to_numpy(np.float32)
    if len(bad := np.flatnonzero(~np.isfinite(vectors).all(1))):
        raise DataError(f"{path}: gene {names[bad[0]]!r} has a value that is no finite number ({len(bad)} of "
                        f"{len(names)} genes); leave such genes out")  # fmt: skip
    if len(set(names)) < len(names):
        twice = pd.Series(names)[pd.Series(names).duplicated()].iloc[0]
        raise DataError(f"{path}: gene {twice!r} occurs twice; keep one of its rows")
    return names, vectors


def known_embeddings(path: str, names: Sequence[str], genes: Sequence[str]) -> np.ndarray:
    """Return the place of each gene among the names of a table, or -1.

    Raises
    ------
    DataError
        If the table has few of the genes.
    """
    places = places_among_genes(genes, names)
    found = np.count_nonzero(places >= 0)
    if found < FEWEST * len(genes):
        raise DataError(f"{path}: has {found} of the data's {len(genes)} genes ({found / len(genes):.0%}), which it "
                        f"calls such as {genes[0]!r}, and the table such as {names[0]!r}: are the species and the kind "
                        "of names the same? (see data.gene_table)")  # fmt: skip
    return places


def _table(path: str | os.PathLike) -> pd.DataFrame:
    try:
        if os.fspath(path).endswith(".csv"):
            return pd.read_csv(path, dtype={0: str})
        table = pq.read_table(path, page_checksum_verification=True)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise unreadable(path, error, f"is no Parquet or CSV table ({one_line(error)}); {REMEDY}") from None
    if table.num_columns == 2 and pa.types.is_nested(table.schema.field(1).type):
        vectors = table.column(1).to_pylist()
        if len(lengths := {len(one or ()) for one in vectors}) > 1:
            raise DataError(f"{path}: vectors have the lengths {sorted(lengths)}; they must have one")
        return pd.concat([table.column(0).to_pandas(), pd.DataFrame(vectors)], axis=1)
    frame = table.to_pandas()
    return frame if isinstance(frame.index, pd.RangeIndex) else frame.reset_index()  # pandas writes an index last
