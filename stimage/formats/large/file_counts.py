"""Counts that are read some rows at a time: those that stay in the file that has them, and sums of their rows."""

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from scipy.sparse import csr_matrix

from stimage.slides.counts.hdf5_layout import Layout, opened
from stimage.slides.counts.rows import CountRows
from stimage.slides.counts.sparse_hdf5 import stored_rows


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


@dataclass(frozen=True, eq=False)
class AddedCounts:
    """Counts of which rows are added: those of small bins that lie in one large bin.

    Attributes
    ----------
    counts
        Of the small bins.
    large
        The large bin of each of them, numbered from 0; -1 where it is left out.
    band
        Of each large bin the row of the array that it lies in. Bands are numbered by when the last of their small bins
        comes, so that each is given, and forgotten, as soon as it is whole.
    """

    counts: "Counts"
    large: np.ndarray
    band: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.band), self.counts.shape[1]

    def __getitem__(self, some: np.ndarray) -> "AddedCounts":
        """Return the counts of some large bins (bool)."""
        number = np.append(np.where(some, np.cumsum(some) - 1, -1), -1)
        return replace(self, large=number[self.large], band=self.band[some])

    def blocks(self) -> Iterator[CountRows]:
        """Yield the large bins in order, a band at a time."""
        band = np.append(self.band, -1)[self.large]
        left, parts = np.bincount(band[band >= 0]), defaultdict[int, list](list)
        turns, whole, at = deque(np.unique(self.band).tolist()), dict[int, CountRows](), 0
        for rows in count_blocks(self.counts):
            here, large = band[at : at + len(rows)], self.large[at : at + len(rows)]
            at += len(rows)
            for one in np.unique(here[here >= 0]).tolist():
                some = np.flatnonzero(here == one)
                parts[one].append((large[some], rows.of(some)))
                left[one] -= len(some)
                if not left[one]:
                    whole[one] = self._added(one, parts.pop(one))
            while turns and turns[0] in whole:  # without some of its bins, a band may be whole before its turn
                yield whole.pop(turns.popleft())

    def _added(self, band: int, parts: list[tuple[np.ndarray, CountRows]]) -> CountRows:
        first, last = self.band.searchsorted([band, band + 1])
        spot = np.concatenate([large[rows.spot] for large, rows in parts]) - first
        columns, values = (np.concatenate([getattr(rows, name) for _, rows in parts]) for name in ("columns", "values"))
        key, at = np.unique(spot * self.shape[1] + columns, return_inverse=True)
        spot, columns = np.divmod(key, self.shape[1])
        return CountRows(spot.searchsorted(np.arange(last - first + 1)), columns, np.bincount(at, values))


Counts: TypeAlias = csr_matrix | FileCounts | AddedCounts


def count_blocks(counts: Counts) -> Iterator[CountRows]:
    """Yield the counts of all spots in order, some at a time, without the spots' ids."""
    if isinstance(counts, csr_matrix):
        yield CountRows(counts.indptr, counts.indices, counts.data)
    else:
        yield from counts.blocks()
