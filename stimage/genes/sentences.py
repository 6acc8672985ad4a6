"""Spots as sentences of gene names, the most expressed first, for training images with text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from stimage.core.errors import DataError
from stimage.genes.names import is_ensembl
from stimage.slides.counts.rows import CountRows

# reference genes of Eisenberg and Levanon (Trends Genet. 29, 569, 2013) and Vandesompele et al. (Genome Biol. 3, 2002)
HOUSEKEEPING = frozenset(
    "C1ORF43 CHMP2A EMC7 GPI PSMB2 PSMB4 RAB7A REEP5 SNRPD3 VCP VPS29 "
    "ACTB B2M GAPDH HMBS HPRT1 RPL13A SDHA TBP UBC YWHAZ".split()
)
PATTERNS = {
    "mitochondrial": re.compile(r"MT[-.]", re.IGNORECASE),
    "ribosomal": re.compile(r"RP[SL](?!6K)\d|RPLP\d|RPSA(\W|$)", re.IGNORECASE),  # RPS6K… are kinases
}
GENE_KINDS = (*PATTERNS, "housekeeping")


@dataclass(frozen=True)
class TopGenes:
    """The choice of a spot's genes for its sentence.

    Parameters
    ----------
    k
        Largest number of genes; a spot with fewer genes has a shorter sentence.
    above_mean
        True takes the genes whose log1p count is furthest above the slide's mean, False those with the highest counts.
    exclude
        Kinds of genes to leave out: any of "mitochondrial", "ribosomal", "housekeeping", known by their symbols.
    """

    k: int = 50
    above_mean: bool = False
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k={self.k}: a sentence has at least one gene")
        if unknown := [kind for kind in self.exclude if kind not in GENE_KINDS]:
            raise ValueError(f"exclude={unknown[0]!r}: pass any of {GENE_KINDS}")


def excluded(genes: Sequence[str], kinds: Sequence[str]) -> np.ndarray:
    """Return which genes (bool) are of these kinds.

    Raises
    ------
    DataError
        If the genes have no symbols, by which the kinds are known.
    """
    if kinds and all(map(is_ensembl, genes)):
        raise DataError(f"genes such as {genes[0]!r} are Ensembl ids: {kinds[0]} genes are known by their symbols")
    found = np.zeros(len(genes), bool)
    for kind in kinds:
        matches = PATTERNS[kind].match if kind in PATTERNS else lambda gene: gene.upper() in HOUSEKEEPING
        found |= np.array([bool(matches(gene)) for gene in genes])
    return found


def top_genes(
    rows: CountRows, genes: Sequence[str], rule: TopGenes, means: np.ndarray | None = None
) -> list[list[str]]:
    """Return the genes of each spot's sentence, in order; equal genes are in the order of their names.

    Parameters
    ----------
    genes
        Names of the columns.
    means
        The slide's mean of log1p counts for each gene, over all spots; needed if the rule says ``above_mean``.
    """
    if rule.above_mean:
        if means is None:
            raise ValueError("above_mean needs the slide's means")
        score = np.log1p(rows.values) - means[rows.columns]
    else:
        score = rows.values.astype(float)
    kept = ~excluded(genes, rule.exclude)[rows.columns] & (score > 0)
    spot, columns, score = rows.spot[kept], rows.columns[kept], score[kept]
    by_name = np.empty(len(genes), int)
    by_name[np.argsort(np.array(genes, dtype=str), kind="stable")] = np.arange(len(genes))
    order = np.lexsort((by_name[columns], -score, spot))
    spot, columns = spot[order], columns[order]
    begin = np.searchsorted(spot, np.arange(len(rows) + 1))
    return [[genes[c] for c in columns[a : min(a + rule.k, b)]] for a, b in pairwise(begin)]
