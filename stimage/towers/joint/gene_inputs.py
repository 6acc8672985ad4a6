"""Inputs of gene towers from counts: genes by name, padded sets, and sums by gene; arrays in, arrays out."""

import re
from collections.abc import Sequence

import numpy as np

VERSIONED = re.compile(r"(ENS[A-Z]*G\d{9,})\.\d+")
FEWEST = 0.1  # share of a slide's genes that a tower must know


def bare_name(gene: str) -> str:
    """Return a gene's name; an Ensembl id without its version, which differs between releases."""
    found = VERSIONED.fullmatch(gene)
    return found[1] if found else gene


def places_among_genes(names: Sequence[str], genes: Sequence[str]) -> np.ndarray:
    """Return the place (int64) of each name among a tower's genes, or -1; versions of Ensembl ids do not count."""
    place = {bare_name(gene): i for i, gene in enumerate(genes)}
    return np.array([place.get(bare_name(name), -1) for name in names], np.int64)


def check_known(known: int, names: Sequence[str], source: str) -> None:
    """Refuse counts whose genes a tower hardly knows: they are of another species, or have other names.

    Raises
    ------
    ValueError
        With the share of known genes.
    """
    if known < FEWEST * len(names) or not known:
        example = f", such as {names[0]!r}" if len(names) else ""
        raise ValueError(f"{source}: the model knows {known} of its {len(names)} genes{example} "
                         f"({known / max(len(names), 1):.0%}): are the species and the kind of names the "
                         "same?")  # fmt: skip


def check_counts(counts: np.ndarray, source: str, whole: bool = True) -> None:
    """Refuse counts that are negative or not numbers, and with ``whole`` also counts that are not whole numbers.

    Raises
    ------
    ValueError
        With the first such count.
    """
    wrong = ~(np.isfinite(counts) & (counts >= 0))
    if wrong.any():
        raise ValueError(f"{source}: has the count {counts[wrong][0]:g}; counts are numbers from 0")
    if whole and (counts % 1).any():
        raise ValueError(f"{source}: has counts that are no whole numbers: they seem to be normalised; pass the raw "
                         "counts")  # fmt: skip


def set_inputs(indptr: np.ndarray, genes: np.ndarray, counts: np.ndarray, merge: bool = True) -> dict[str, np.ndarray]:
    """Return the input of the tower "set" for n spots, without the measured genes.

    Parameters
    ----------
    indptr
        The place where the counts of each spot begin, and where those of the last one end (n + 1).
    genes, counts
        For each count, the place of its gene among the tower's genes, or -1 for an unknown gene; and the count.
    merge
        Add counts of a spot that have the same gene. Without it, no gene may come twice in a spot.

    Returns
    -------
    dict of numpy.ndarray
        ``gene_ids`` (int64, n x most), padded with -1, and ``counts`` (float32, n x most), padded with 0.
    """
    spots = len(indptr) - 1
    spot = np.repeat(np.arange(spots), np.diff(indptr))
    kept = (genes >= 0) & (counts != 0)
    spot, genes, counts = spot[kept], genes[kept], counts[kept]
    if merge:
        width = genes.max(initial=0) + 1
        pairs, where = np.unique(spot * width + genes, return_inverse=True)
        counts, (spot, genes) = np.bincount(where, counts, len(pairs)), np.divmod(pairs, width)
    number = np.bincount(spot, minlength=spots)
    column = np.arange(len(spot)) - np.repeat(np.cumsum(number) - number, number)
    shape = (spots, max(1, number.max(initial=0)))
    gene_ids, padded = np.full(shape, -1, np.int64), np.zeros(shape, np.float32)
    gene_ids[spot, column], padded[spot, column] = genes, counts
    return {"gene_ids": gene_ids, "counts": padded}
