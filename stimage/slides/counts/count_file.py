"""Read count files of any form in one way: the wide CSV of the data set, or sparse HDF5.

Each form is a module with ``header_line``, ``read_counts``, ``index_rows`` and ``rows_at``. The name of the file tells
the form.
"""

from collections.abc import Iterator
from types import ModuleType

import numpy as np

from stimage.core.access import OPEN, Access
from stimage.slides.counts import wide_csv
from stimage.slides.counts.rows import CountRows, RowIndex

SPARSE = (".h5", ".h5ad")
SUFFIXES = ("_count.csv", "_count.csv.gz", *(f"_count{end}" for end in SPARSE))


def header_line(url: str, access: Access = OPEN) -> bytes:
    """Return the gene names of a count file as the first line of a CSV; of a remote file, only this part is fetched.

    Raises
    ------
    DataError
        If the names can't be read.
    """
    return _form(url).header_line(url, access)


def read_genes(path: str) -> list[str]:
    """Return the gene names, one for each column of the counts, made unique; raises as `header_line` does."""
    return wide_csv.make_unique(read_names(path))


def read_names(path: str) -> list[str]:
    """Return the gene names as the file has them; raises as `header_line` does."""
    return wide_csv.parse_names(header_line(path), path)


def read_counts(path: str) -> Iterator[CountRows]:
    """Yield all rows in the order of the file, block by block.

    Raises
    ------
    DataError
        If a count is not a number of 0 or more (the error names file, spot and gene), or the file contradicts itself.
    """
    yield from _form(path).read_counts(path)


def index_rows(path: str) -> RowIndex:
    """Find every row of a count file."""
    return _form(path).index_rows(path)


def rows_at(path: str, genes: list[str], start: np.ndarray, end: np.ndarray) -> CountRows:
    """Read the rows at these places of `index_rows`, in the given order; raises as `read_counts` does."""
    return _form(path).rows_at(path, genes, start, end)


def _form(path: str) -> ModuleType:
    if path.lower().endswith(SPARSE):
        from stimage.slides.counts import sparse_hdf5  # here, since few roots need it

        return sparse_hdf5
    return wide_csv
