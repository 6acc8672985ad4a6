"""Rows of sparse counts (CSR), with their sums and matrices."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def places_of(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ``indptr`` of rows that lie from ``start`` to ``end``, and the places of all their counts."""
    indptr = np.append(0, np.cumsum(end - start))
    return indptr, np.repeat(start - indptr[:-1], np.diff(indptr)) + np.arange(indptr[-1])


def narrow(places: np.ndarray) -> np.ndarray:
    """Return ascending places as int32 if that has room for them, for a slide may have millions."""
    return places.astype(np.int32, copy=False) if places[-1:].max(initial=0) < 1 << 31 else places


class RowIndex(NamedTuple):
    """Where each row of a count file lies: its spot id, and the places from ``start`` (included) to ``end``.

    Places are bytes of a text, and counts, among all counts, of a sparse file; int32 where they are small enough.
    """

    ids: pa.ChunkedArray
    start: np.ndarray
    end: np.ndarray


@dataclass(frozen=True, eq=False)
class CountRows:
    """The counts of n spots in CSR form.

    Parameters
    ----------
    indptr
        The place where the counts of each spot begin in ``columns`` and ``values``, and where those of the last end (n
        + 1).
    columns, values
        The gene of each count, numbered from 0, and the count, which is never 0. From a count file: int32 and float64.
    ids
        Spot ids (n), as the file has them; empty for rows that are not from a file.
    """

    indptr: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    ids: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the columns and values of one spot after the other."""
        for begin, end in pairwise(self.indptr.tolist()):
            yield self.columns[begin:end], self.values[begin:end]

    def __getitem__(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the columns and values of spot ``k``."""
        some = slice(self.indptr[k], self.indptr[k + 1])
        return self.columns[some], self.values[some]

    def of(self, some: np.ndarray) -> "CountRows":
        """Return the rows with these numbers, in this order."""
        indptr, at = places_of(self.indptr[some], self.indptr[some + 1])
        return CountRows(indptr, self.columns[at], self.values[at], [self.ids[k] for k in some] if self.ids else ())

    @cached_property
    def spot(self) -> np.ndarray:
        """The spot of each count, numbered from 0."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    def totals(self, values: np.ndarray | None = None) -> np.ndarray:
        """Return each spot's sum (float64, n) of its counts, or of other ``values``, one for each count."""
        return np.bincount(self.spot, self.values if values is None else values, len(self))

    def entries(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return spot, column and value of the counts that are kept when columns get new numbers.

        Parameters
        ----------
        places
            The new number of each column, or -1 to leave it out. Two columns may get the same number.
        """
        kept = np.flatnonzero((places >= 0).take(self.columns))  # first, for a panel keeps few
        return self.spot.take(kept), places.take(self.columns.take(kept)), self.values.take(kept)

    def dense(self, places: np.ndarray, width: int) -> np.ndarray:
        """Return the counts with columns renumbered as in `entries`, equal numbers added (float64, n x width)."""
        spot, column, values = self.entries(places)
        return np.bincount(spot * width + column, values, len(self) * width).reshape(-1, width)

    def sparse(self, places: np.ndarray, width: int) -> "csr_matrix":
        """Return the same as `dense`, as a SciPy matrix."""
        from scipy.sparse import csr_matrix

        spot, column, values = self.entries(places)
        return csr_matrix((values, (spot, column)), (len(self), width))
