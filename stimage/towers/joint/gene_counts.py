"""Counts of genes as people have them: AnnData, dicts and matrices, read without the packages that they are of."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .gene_inputs import places_among_genes

TAKES = "pass an AnnData, a dict of gene → count or a list of them, or a matrix (spots x genes) with gene_names="


class GeneCounts(NamedTuple):
    """Counts of n spots: of each, from ``indptr`` (n + 1) on, the gene's place in ``names`` and the count (float64)."""

    indptr: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    names: list[str]


def read_counts(given: Any, known: Sequence[str], gene_names: Sequence[str] | None, layer: str | None) -> GeneCounts:
    """Read counts.

    Parameters
    ----------
    given
        An AnnData; a dict of gene → count, or a list of them, a spot each; or a matrix (spots x genes), dense or of
        SciPy. A gene that one of several dicts lacks has no count there.
    known
        Genes of the model. Of an AnnData, the column of ``var`` is taken that has more of them than ``var_names``.
    gene_names
        Of a matrix's columns.
    layer
        Of an AnnData, in place of ``X``.

    Raises
    ------
    ValueError
        If it is none of these, or names and matrix do not fit.
    """
    annotated = hasattr(given, "var_names")
    if layer is not None and not annotated:
        raise ValueError(f"layer={layer!r}: works only with an AnnData, and genes= is none; leave it out")
    if annotated or isinstance(given, Mapping | list | tuple):
        if gene_names is not None:
            raise ValueError("gene_names=: works only with a matrix, and genes= already has names; leave it out")
        return _of_anndata(given, known, layer) if annotated else _of_dicts(given)
    if not hasattr(given, "shape"):
        raise ValueError(f"genes=: is a {type(given).__name__}; {TAKES}")
    if gene_names is None:
        raise ValueError("genes=: is a matrix without names; pass gene_names= of its columns")
    return _of_matrix(given, list(map(str, gene_names)))


def _of_anndata(given: Any, known: Sequence[str], layer: str | None) -> GeneCounts:
    layers = sorted(map(str, given.layers))
    if layer is not None and layer not in layers:
        raise ValueError(f"layer={layer!r}: the AnnData has {', '.join(layers) or 'no layers'}")
    columns = {"var_names": given.var_names}
    columns |= {f"var[{name!r}]": given.var[name] for name in given.var if given.var[name].dtype.kind not in "biufc"}
    names = {column: list(map(str, values)) for column, values in columns.items()}
    found = {column: int((np.unique(places_among_genes(some, known)) >= 0).sum()) for column, some in names.items()}
    best = max(found, key=lambda column: found[column])  # var_names, where others are no better
    if best != "var_names":
        warnings.warn(f"genes=: genes are named by {best}, which has {found[best]:,} of the model's {len(known):,} "
                      f"genes; var_names has {found['var_names']:,}", stacklevel=2)  # fmt: skip
    return _of_matrix(given.X if layer is None else given.layers[layer], names[best])


def _of_dicts(given: Any) -> GeneCounts:
    spots = [given] if isinstance(given, Mapping) else list(given)
    if not all(isinstance(spot, Mapping) for spot in spots):
        raise ValueError(f"genes=: is a list that has other than dicts; {TAKES}")
    names = list(dict.fromkeys(str(gene) for spot in spots for gene in spot))
    place = {gene: k for k, gene in enumerate(names)}
    columns = [place[str(gene)] for spot in spots for gene in spot]
    indptr = np.cumsum([0, *map(len, spots)])
    return GeneCounts(indptr, np.array(columns, np.int64), _numbers([c for s in spots for c in s.values()]), names)


def _of_matrix(given: Any, names: list[str]) -> GeneCounts:
    given = given.to_memory() if hasattr(given, "to_memory") else given  # of a file that is open
    sparse = hasattr(given, "tocsr")
    matrix: Any = given.tocsr() if sparse else _numbers(given)
    if len(matrix.shape) != 2 or matrix.shape[1] != len(names):
        raise ValueError(f"genes=: has the shape {tuple(matrix.shape)}, and there are {len(names)} names of genes; "
                         "pass a matrix of spots x genes")  # fmt: skip
    if sparse:
        return GeneCounts(matrix.indptr, matrix.indices, _numbers(matrix.data), names)
    spot, columns = np.nonzero(matrix)
    indptr = np.append(0, np.cumsum(np.bincount(spot, minlength=len(matrix))))
    return GeneCounts(indptr, columns, matrix[spot, columns], names)


def _numbers(counts: Any) -> np.ndarray:
    try:
        return np.asarray(counts, np.float64)
    except (TypeError, ValueError):
        raise ValueError("genes=: has counts that are no numbers") from None
