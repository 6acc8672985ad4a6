"""Find the genes that vary most over many slides. Sums are added slide by slide, so memory stays the same."""

import re
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from stimage.core.errors import DataError
from stimage.core.storage import local_copy
from stimage.genes.names import Naming, places_among, rename_genes
from stimage.slides.catalog import Slide
from stimage.slides.counts.count_file import read_counts, read_genes
from stimage.slides.missing import need_counts

BINS = 20


class Moments:
    """Sums over spots of each gene's values and of their squares, and how many spots have the gene."""

    def __init__(self, genes: int):
        self.spots = 0
        self.total, self.squares, self.filled = np.zeros(genes), np.zeros(genes), np.zeros(genes, np.int64)

    def add(self, spots: int, columns: np.ndarray, values: np.ndarray) -> None:
        """Add values that are not 0, of so many spots."""
        n = len(self.total)
        self.spots += spots
        self.total += np.bincount(columns, values, n)
        self.squares += np.bincount(columns, values * values, n)
        self.filled += np.bincount(columns, minlength=n)

    def __add__(self, other: "Moments") -> "Moments":
        both = Moments(0)
        both.spots, both.total, both.squares, both.filled = (
            getattr(self, name) + getattr(other, name) for name in ("spots", "total", "squares", "filled")
        )
        return both

    def mean_and_variance(self, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Return each gene's mean and sample variance, of the values times ``scale``."""
        mean = self.total / self.spots
        variance = (self.squares / self.spots - mean**2) * (self.spots / max(self.spots - 1, 1))
        return mean * scale, variance * scale**2


def normalised_dispersion(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return how much more each gene varies than genes of similar expression (n); NaN for genes that do not vary.

    The dispersion of Seurat (Satija et al., Nat. Biotechnol. 33, 495, 2015) as scanpy computes it in
    ``highly_variable_genes(flavor="seurat")``: log of variance / mean, less its average over one of 20 bins of the
    log1p of the mean, by its deviation there; a gene alone in its bin gets 1. Mean and variance are not of logarithms.
    """
    mean = np.where(mean == 0, 1e-12, mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        dispersion = np.log(np.where(variance == 0, np.nan, variance / mean))
    table = pd.DataFrame({"dispersion": dispersion, "bin": pd.cut(np.log1p(mean), BINS)})
    groups = table.groupby("bin", observed=True)["dispersion"]
    average, deviation = groups.transform("mean"), groups.transform("std")
    alone = deviation.isna()
    return ((table["dispersion"] - average.mask(alone, 0)) / deviation.mask(alone, average)).to_numpy()


def most_variable(mean: np.ndarray, variance: np.ndarray, n: int) -> np.ndarray:
    """Return which genes (bool) are among the n of highest `normalised_dispersion`; ties at the end are all taken."""
    dispersion = normalised_dispersion(mean, variance)
    known = np.sort(dispersion[~np.isnan(dispersion)])
    if not len(known):
        return np.zeros(len(mean), bool)
    return np.nan_to_num(dispersion, nan=-np.inf) >= known[-min(n, len(known))]


def common_genes(slides: Sequence[Slide], naming: Naming | None = None) -> list[str]:
    """Return the genes that all slides have, in the order of the first slide's file.

    Raises
    ------
    DataError
        If there is none, with the slide that shares no gene with those before it; or if a slide is an image alone.
    """
    need_counts(slides, "comparing genes")
    common = list(genes_of(slides[0], naming)[0])
    for slide in slides[1:]:  # the names of one slide at a time
        there = set(genes_of(slide, naming)[0])
        before, common = common, [gene for gene in common if gene in there]
        if not common and {_unversioned(gene) for gene in before} & {_unversioned(gene) for gene in there}:
            raise DataError(
                f"{slide.counts}: has the same genes as the slides before ({slides[0].counts}, …), but other versions "
                f"of their Ensembl ids, such as {before[0]!r}; pass a table of symbols and ids as gene_table= "
                "(--gene-table)"
            )
        if not common:
            raise DataError(
                f"{slide.counts}: shares no gene with the slides before ({slides[0].counts}, …), which have "
                f"{before[0]!r}. Take slides of one species, and pass gene_table= (--gene-table) if some slides have "
                "symbols and others have Ensembl ids"
            )
    return common


def _unversioned(gene: str) -> str:
    """Return an Ensembl id without its version, such as the .12 of ENSG00000141510.12; another name as it is."""
    return re.sub(r"^(ENS\w+)\.\d+$", r"\1", gene)


def genes_of(slide: Slide, naming: Naming | None = None) -> tuple[Sequence[str], np.ndarray]:
    """Return the names of a slide's genes, and the place of each gene among these names, -1 if it is lost."""
    need_counts([slide], "choosing genes")
    return rename_genes(read_genes(local_copy(slide.counts, slide.access)), naming, slide.species, slide.counts)


def count_blocks(slide: Slide, genes: Sequence[str], naming: Naming | None = None) -> Iterator[tuple]:
    """Yield a slide's counts of these genes by block: spots, and spot, column (of ``genes``) and value of each count.

    A file without a spot, such as one that was cut off in its header, is a `DataError`.
    """
    names, target = genes_of(slide, naming)
    places, merged = places_among(genes, names, target), len(names) < np.count_nonzero(target >= 0)
    any_spot = False
    for rows in read_counts(local_copy(slide.counts, slide.access)):
        any_spot = True
        if merged:
            summed = rows.sparse(places, len(genes)).tocoo()
            yield len(rows), summed.row, summed.col, summed.data
        else:
            yield len(rows), *rows.entries(places)
    if not any_spot:
        raise DataError(f"{slide.counts}: has no spot; was the file cut off?")
