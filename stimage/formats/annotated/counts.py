"""The raw counts of an AnnData, of genes alone, and what these are called."""

from collections import Counter
from typing import Any

import h5py
import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix, issparse, vstack

from stimage.core.errors import DataError, one_line, shown
from stimage.formats.annotated.parts import Parts
from stimage.formats.imported import TOO_MANY
from stimage.formats.tenx.genomes import genomes_in_names, kept_of_genome, without_genome
from stimage.slides.counts.features import are_genes

KINDS = ("feature_types", "feature_type", "modality")  # 10x's, CELLxGENE's (which has biotypes there), muon's
SYMBOLS = ("feature_name", "gene_symbols", "gene_symbol", "gene_name", "gene_names", "symbol", "symbols")
IDS = ("gene_ids", "gene_id", "ensembl_id", "ensembl", "ensembl_ids", "ensg")
ROWS = 4096  # of a dense matrix, at a time


def counts_of(parts: Parts, layer: str | None, spots: np.ndarray) -> tuple[csr_matrix, pd.DataFrame]:
    """Return raw counts of spots (n x genes, canonical CSR), and the genes' table.

    Parameters
    ----------
    layer
        The layer to take, or "raw"; without it, ``X``.
    spots
        Which rows to take.

    Raises
    ------
    DataError
        If they are no raw counts, naming where there are some.
    """
    name = layer or "X"
    if name not in parts.matrices:
        has = [one for one in parts.matrices if one != "X"]
        raise DataError(f"{parts.where}: has no layer {name!r}, but {shown(has) or 'none'}" if layer else
                        f"{parts.where}: has no X; {_remedy(parts, name)}")  # fmt: skip
    counts = _matrix(parts, name)
    if problem := _unfit(counts):
        raise DataError(f"{parts.where}: {_called(name)} {problem}; {_remedy(parts, name)}")
    genes = parts.raw_var if name == "raw" and parts.raw_var is not None else parts.var
    return counts[spots], genes


def kept_features(genes: pd.DataFrame, genome: str | None, where: str) -> tuple[np.ndarray, dict[str, int]]:
    """Return which features are genes (of the genome that is asked for), and what others there are, and how many.

    Raises
    ------
    DataError
        If there are several genomes and none is named, if there is no such genome, or if there are no genes.
    """
    keep, left_out = np.ones(len(genes), bool), Counter()
    for column in (name for name in KINDS if name in genes):
        kinds = genes[column].astype(object).map(lambda kind: str(kind).strip())
        drop = ~are_genes(kinds) & keep
        left_out.update(f"features of type {kind}" for kind in kinds[drop])
        keep &= ~drop
    if not keep.any():
        raise DataError(f"{where}: has no feature of type Gene Expression, but {shown(list(left_out)) or 'none'}")
    keep, others = kept_of_genome(_genomes(genes), keep, genome, where)
    return keep, dict(left_out) | others


def _genomes(genes: pd.DataFrame) -> np.ndarray:
    """Return each feature's genome, as its column says or its id and name begin; "" where none is known."""
    told = genes["genome"].astype(object).map(_text).to_numpy(str) if "genome" in genes else np.full(len(genes), "")
    names = [str(name) for name in genes.index]
    ids = genes["gene_ids"].astype(object).map(_text).tolist() if "gene_ids" in genes else names
    return np.where(told == "", genomes_in_names(ids, names), told)


def _text(told: Any) -> str:
    return "" if told is None or told != told or str(told) in ("nan", "None") else str(told)


def symbols_and_ids(genes: pd.DataFrame, where: str, genome: str | None = None) -> tuple[list[str], list[str]]:
    """Return symbols, and Ensembl ids if the table has them, without their genome: its index may be of either."""
    index = without_genome([str(name) for name in genes.index], genome or "")
    columns = {str(name).lower(): name for name in reversed(genes.columns.tolist())}
    texts = {name: without_genome([_text(one) for one in genes[columns[name]].tolist()], genome or "")
             for name in (*SYMBOLS, *IDS) if name in columns}  # fmt: skip
    named = next((texts[name] for name in SYMBOLS if name in texts and any(texts[name])), None)
    ids = next((texts[name] for name in IDS if name in texts and _are_ids(texts[name])), [])
    if _are_ids(index) and named:
        return [symbol or one for symbol, one in zip(named, index)], index
    if index and all(name.isdigit() for name in index):
        if not named:
            raise DataError(f"{where}: its genes are called {shown(index, 3)}: set var_names to their symbols or ids")
        index = named
    return index, ids


def _are_ids(names: list[str]) -> bool:
    return bool(names) and sum(name.startswith("ENS") for name in names) > len(names) / 2


def as_csr(matrix: Any, where: str) -> csr_matrix:
    """Return a matrix, which may be dense and on disk, as canonical CSR: at no time is all of it dense."""
    try:
        matrix = matrix.to_memory() if hasattr(matrix, "to_memory") else matrix
        matrix = matrix.compute() if hasattr(matrix, "compute") else matrix
        if issparse(matrix):
            matrix = matrix if matrix.format in ("csr", "csc") else matrix.tocsr()
            if any(part.dtype.kind not in "buif" for part in (matrix.data, matrix.indices, matrix.indptr)):
                raise TypeError("it has texts")
            matrix.check_format(full_check=True)  # scipy ends the process where it converts what contradicts itself
            counts = csr_matrix(matrix)
        else:
            dense = matrix if isinstance(matrix, h5py.Dataset) else np.asarray(matrix)
            blocks = [csr_matrix(dense[begin : begin + ROWS]) for begin in range(0, dense.shape[0], ROWS)]
            counts = vstack(blocks, "csr") if blocks else csr_matrix(dense.shape)
        if not counts.has_canonical_format:
            counts = counts.copy()  # it may be a user's own
            counts.sum_duplicates()
        return counts
    except (OSError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise DataError(f"{where} is no matrix of numbers ({one_line(error)}); get the file again") from None


def _matrix(parts: Parts, name: str) -> csr_matrix:
    counts = as_csr(parts.matrices[name](), f"{parts.where}: {_called(name)}")
    genes = parts.raw_var if name == "raw" and parts.raw_var is not None else parts.var
    if counts.shape != (want := (len(parts.obs), len(genes))):
        turned = counts.shape == want[::-1]
        raise DataError(f"{parts.where}: {_called(name)} is {counts.shape[0]} x {counts.shape[1]}, but there are "
                        f"{want[0]} spots and {want[1]} genes" + ("; turn it (.T)" if turned else ""))  # fmt: skip
    return counts


def _called(name: str) -> str:
    return name if name == "X" else f".{name}" if name == "raw" else f"layer {name!r}"


def _unfit(counts: csr_matrix) -> str:
    """Return why they are no raw counts, or nothing."""
    if not counts.shape[1]:
        return "has no genes, as that of an image alone, whose image file is what to add"
    for begin in range(0, len(counts.data), 1 << 24):  # by parts, so that no copy of all is made
        some = counts.data[begin : begin + (1 << 24)]
        if len(bad := some[~(np.isfinite(some) & (some % 1 == 0) & (some >= 0) & (some < TOO_MANY))]):
            return f"has {bad[0]:g}, which is no raw count"
    return "" if counts.data.any() else "has no counts: all are 0"


def _remedy(parts: Parts, name: str) -> str:
    """Return where there are raw counts instead."""
    whole = []
    for other in (one for one in parts.matrices if one != name):
        try:
            whole += [] if _unfit(_matrix(parts, other)) else [other]
        except DataError:  # it is none that could be advised
            continue
    if not whole:
        return "neither a layer nor .raw has raw counts: get a file that has them"
    ways = [f"layer={one!r} (--layer {one})" if one != "X" else "no layer= (--layer)" for one in whole]
    return f"pass {' or '.join(ways)}, which has raw counts"
