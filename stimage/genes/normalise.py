"""Normalise counts, spot by spot. A slide's median total is found before, in a pass of its own."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from stimage.core.errors import DataError
from stimage.slides.spots import Spots

NORMALISATIONS = ("counts", "log1p", "median-log1p", "original")
OF_MEDIAN = ("median-log1p", "original")  # those that need a slide's median total
NOT_RAW = "{}: has counts that are no whole numbers: they seem to be normalised; get the raw counts, or {}"


@dataclass(frozen=True)
class Normalisation:
    """The way from counts to expression.

    Parameters
    ----------
    kind
        "counts": raw counts. "log1p": log(1 + count). "median-log1p": counts divided by the spot's total over all
        genes, times the slide's median total, then log1p. "original": the same with totals over the panel's genes
        alone, as the data set's authors do. Totals of 0 do not count for the median, and such spots stay 0.
    path
        The slide's count file, for the error.
    median
        The slide's median total, over the genes that ``kind`` names. The first two kinds do not use it.
    """

    kind: str
    path: str
    median: float = 1.0

    def __call__(self, counts: np.ndarray, row: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """Normalise counts of the panel's genes, each of the spot ``row``; float32. A count of 0 stays 0.

        Parameters
        ----------
        counts, row
            Of one length; those that are 0 may be left out.
        totals
            Each spot's total over all genes.

        Raises
        ------
        DataError
            If counts are no whole numbers, so that they seem to be normalised already.
        """
        if self.kind == "counts":
            return counts.astype(np.float32)
        if (totals % 1).any() or (counts % 1).any():
            remedy = "take them as they are with normalise='counts' (--normalise counts)"
            raise DataError(NOT_RAW.format(self.path, remedy))
        if self.kind == "log1p":
            return np.log1p(counts).astype(np.float32)
        if self.kind == "original":
            totals = np.bincount(row, counts, len(totals))
        return np.log1p(counts * self.scale(totals)[row]).astype(np.float32)

    def scale(self, totals: np.ndarray) -> np.ndarray:
        """Return the factor for each spot's counts before log1p, float64 (n): 0 where there is no count."""
        if self.kind == "log1p":
            return np.ones(len(totals))
        return np.divide(self.median, totals, out=np.zeros(len(totals)), where=totals > 0)

    def dense(self, counts: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """Normalise a matrix of counts (spots x genes of the panel); the rest is as in `__call__`."""
        spot = np.repeat(np.arange(len(counts)), counts.shape[1])
        return self(counts.ravel(), spot, totals).reshape(counts.shape)


def fit_normalisation(kind: str, spots: Spots, places: np.ndarray) -> Normalisation:
    """Return the normalisation of a slide.

    Parameters
    ----------
    kind
        One of `NORMALISATIONS`.
    spots
        The slide's spots. If a median is needed, their counts are read once, and the median is over these spots alone.
    places
        For each gene of the count file, its place in the panel, or -1.
    """
    if kind not in OF_MEDIAN:
        return Normalisation(kind, spots.counts_path)
    inside = tuple(np.flatnonzero(places >= 0).tolist()) if kind == "original" else None
    return Normalisation(kind, spots.counts_path, _median_total(spots, inside))


@lru_cache(maxsize=8)  # the ranges of a huge slide share it
def _median_total(spots: Spots, inside: tuple[int, ...] | None) -> float:
    totals = np.zeros(len(spots))
    for some, rows in spots.blocks():
        values = rows.values if inside is None else rows.values * np.isin(rows.columns, inside)
        totals[some] = rows.totals(values)
    return median_of(totals)


def median_of(totals: np.ndarray) -> float:
    """Return the median of the totals that are above 0; 1 if there is none."""
    return float(np.median(totals[totals > 0])) if (totals > 0).any() else 1.0
