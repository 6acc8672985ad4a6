"""Counts that stay in the HDF5 file of 10x Genomics that has them, and are read some rows at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from stimage.slides.counts.rows import CountRows
from stimage.slides.counts.sparse_hdf5 import Layout, opened, stored_rows


@dataclass(frozen=True, eq=False)
class FileCounts:
    """The counts of a file's spots and features, or, once indexed as an array is, of some of them.

    Attributes
    ----------
    layout
        Where the file has them; its ``places`` number the features that are meant.
    wanted
        Which of the file's spots are meant (bool).
    """

    path: Path
    layout: Layout
    wanted: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return int(self.wanted.sum()), len(self.layout.names)

    def __getitem__(self, some: np.ndarray | tuple[slice, np.ndarray]) -> "FileCounts":
        """Return the counts of some rows, or of some columns (bool)."""
        if isinstance(some, tuple):
            places, kept = self.layout.places.copy(), some[1]
            places[places >= 0] = np.where(kept, np.cumsum(kept) - 1, -1)[places[places >= 0]]
            names = [name for name, keep in zip(self.layout.names, kept.tolist()) if keep]
            return replace(self, layout=replace(self.layout, places=places, names=names))
        wanted = self.wanted.copy()
        wanted[wanted] = some
        return replace(self, wanted=wanted)

    def blocks(self) -> Iterator[CountRows]:
        """Yield all rows in order, some at a time; raises `DataError` if the file contradicts itself."""
        with opened(str(self.path)) as file:
            yield from (rows for _, rows in stored_rows(file, self.layout, str(self.path), self.wanted))


def count_blocks(counts: csr_matrix | FileCounts) -> Iterator[CountRows]:
    """Yield the counts of all spots in order, some at a time, without the spots' ids."""
    if isinstance(counts, FileCounts):
        yield from counts.blocks()
    else:
        yield CountRows(counts.indptr, counts.indices, counts.data)
