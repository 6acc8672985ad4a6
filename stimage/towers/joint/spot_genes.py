"""What a model's gene tower takes, made of counts as it was in training."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .gene_counts import GeneCounts, read_counts
from .gene_inputs import check_counts, check_known, places_among_genes, set_inputs

MANY = 100  # spots whose own median total is taken
OF_MEDIAN = ("median-log1p", "original")  # as genes.normalise has it, which a model that travels alone lacks
SHOWN = 10  # genes that a message names


@dataclass(frozen=True)
class SpotGenes:
    """Makes a gene tower's inputs of counts.

    Parameters
    ----------
    tower
        "linear" or "mlp", over a panel's expression; "set", over all genes of a spot; "vectors" takes no counts.
    genes
        Names of the genes that the tower knows, in the order of its inputs; symbols or Ensembl ids.
    normalise
        How counts become a panel's expression: "counts", "log1p", "median-log1p" or "original"; see `normalised`.
    median_total
        Median total of the training spots, where ``normalise`` needs one.
    mean
        Of each gene's expression over the training spots: what a gene that was not measured is given. None of a model
        whose inputs are not standardised.
    vector_width
        Length of the vectors that the tower "vectors" takes.
    """

    tower: str = "linear"
    genes: Sequence[str] = ()
    normalise: str = "median-log1p"
    median_total: float | None = None
    mean: Sequence[float] | None = None
    vector_width: int = 0

    def __call__(
        self, given: Any, gene_names: Sequence[str] | None, layer: str | None, median_total: float | None
    ) -> dict[str, np.ndarray]:
        """Return the inputs of n spots by their names; see `SpotGenesProcessor`."""
        if self.tower == "vectors":
            raise ValueError(f"genes=: the model's gene tower takes vectors of length {self.vector_width} that another "
                             "model makes of expression; pass vectors=")  # fmt: skip
        rows = read_counts(given, self.genes, gene_names, layer)
        try:
            check_counts(rows.values, "genes=", whole=self.tower == "set" or self.normalise != "counts")
        except ValueError as error:
            layers = ", ".join(map(repr, getattr(given, "layers", ())))
            raise ValueError(f"{error}{f' (layer= may be {layers})' if layers else ''}") from None
        places = places_among_genes(rows.names, self.genes)
        if self.tower != "set":
            return {"expression": self._expression(rows, places, median_total)}
        if median_total is not None:
            raise ValueError("median_total=: the model's gene tower scales counts itself; leave it out")
        check_known(int((places >= 0).sum()), rows.names, "genes=")
        measured = np.zeros(len(self.genes), bool)
        measured[places[places >= 0]] = True
        made = set_inputs(rows.indptr, places[rows.columns], rows.values)
        return made | {"measured": np.tile(measured, (len(rows.indptr) - 1, 1))}

    def _expression(self, rows: GeneCounts, places: np.ndarray, median_total: float | None) -> np.ndarray:
        """Return a panel's expression (float32, n x genes); genes that were not measured are at their mean."""
        spots, width = len(rows.indptr) - 1, len(self.genes)
        lost = np.ones(width, bool)
        lost[places[places >= 0]] = False
        mean = self._mean_of(lost, rows.names)
        spot, column = np.repeat(np.arange(spots), np.diff(rows.indptr)), places[rows.columns]
        kept = column >= 0
        counts = np.bincount(spot[kept] * width + column[kept], rows.values[kept], spots * width).reshape(spots, width)
        totals = counts.sum(1) if self.normalise == "original" else np.bincount(spot, rows.values, spots)
        made = normalised(self.normalise, counts, totals, self._median_of(totals, median_total))
        made[:, lost] = mean[lost]
        return made

    def _mean_of(self, lost: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Return each gene's mean in training, and say which genes are given it; refuse too few genes."""
        missing = [gene for gene, none in zip(self.genes, lost) if none]
        if not missing:
            return np.zeros(len(lost))
        some = ", ".join(missing[:SHOWN]) + (", …" if missing[SHOWN:] else "")
        told = f"genes=: lacks {len(missing)} of the model's {len(lost)} genes: {some}"
        if 2 * len(missing) > len(lost):
            own = f", and has such as {', '.join(names[:3])}" if names else ""
            raise ValueError(
                f"{told}{own}; at least half must be there: are the species and the kind of names the same?"
            )
        if self.mean is None:
            raise ValueError(f"{told}; the model was trained without towers.standardise, so what is usual of them is "
                             "not known: pass counts of all genes")  # fmt: skip
        warnings.warn(f"{told}; they are taken at their mean over the training spots", stacklevel=2)
        return np.asarray(self.mean)

    def _median_of(self, totals: np.ndarray, given: float | None) -> float:
        if self.normalise not in OF_MEDIAN:
            return 1.0
        if given is not None:
            if not given > 0:
                raise ValueError(f"median_total={given}: pass the median of the slide's totals, above 0")
            return float(given)
        if len(totals) >= MANY:
            return float(np.median(totals[totals > 0])) if (totals > 0).any() else 1.0
        if self.median_total is None:
            raise ValueError(f"median_total=: the model does not say the median of spots' totals; pass it, or {MANY} "
                             "spots of the slide or more")  # fmt: skip
        return self.median_total


def normalised(kind: str, counts: np.ndarray, totals: np.ndarray, median: float) -> np.ndarray:
    """Normalise counts of a panel's genes (n x genes); float32.

    Parameters
    ----------
    kind
        "counts": raw. "log1p": log(1 + count). "median-log1p": counts times the slide's median total, divided by the
        spot's total over all genes, then log1p. "original": the same with totals of the panel's genes alone.
    totals, median
        Of each spot (n), as ``kind`` says, and of the slide; a spot of total 0 is 0.
    """
    if kind == "counts":
        return counts.astype(np.float32)
    scale = np.ones(len(totals))
    if kind in OF_MEDIAN:
        scale = np.divide(median, totals, out=np.zeros(len(totals)), where=totals > 0)
    return np.log1p(counts * scale[:, None]).astype(np.float32)
