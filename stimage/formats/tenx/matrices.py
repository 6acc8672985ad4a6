"""Counts as 10x Genomics writes them: HDF5 of versions 2 and 3 and CellBender's, and folders of MatrixMarket files."""

import gzip
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from stimage.core.errors import DataError, shown
from stimage.core.tables import GZIP, check_unzipped, read_cells
from stimage.formats.imported import raw_counts, reading
from stimage.formats.large.file_counts import FileCounts
from stimage.formats.tenx.genomes import genomes_in_names, kept_of_genome, without_genome
from stimage.slides.counts.features import GENES, are_genes
from stimage.slides.counts.hdf5_layout import Layout, check_lengths

KINDS = ([b"integer", b"general"], [b"real", b"general"])  # of MatrixMarket
ENTRY = {"row": np.int64, "column": np.int64, "count": np.float64}
FIRST_LINE = "%%MatrixMarket matrix coordinate integer general"
REMEDY = "name Space Ranger's own matrix"


@dataclass(frozen=True, eq=False)
class Matrix:
    """Counts (n barcodes x features), and the features' ids, names, types and genomes; "" where these are unknown."""

    counts: csr_matrix | FileCounts
    barcodes: list[str]
    ids: np.ndarray
    names: np.ndarray
    kinds: np.ndarray
    genomes: np.ndarray


def read_genes(paths: Mapping[str, Path], genome: str | None = None) -> tuple[Matrix, dict[str, int]]:
    """Read a matrix of one genome's genes, and how many other features were left out, by what they are.

    Parameters
    ----------
    paths
        Of HDF5 the file, as "h5"; else the files "matrix", "barcodes" and "features".
    genome
        The genome to keep, where there are several.

    Raises
    ------
    DataError
        If a file is damaged or no matrix of 10x Genomics, files contradict each other, a barcode is there twice, or
        there are several genomes and none is named.
    """
    where = paths["h5"] if "h5" in paths else paths["matrix"]
    matrix = _read_h5(where, genome) if "h5" in paths else _read_mtx(paths)
    barcode, times = Counter(matrix.barcodes).most_common(1)[0] if matrix.barcodes else ("", 0)
    if times != 1:
        raise DataError(f"{where}: has {f'barcode {barcode!r} {times} times' if times else 'no barcode'}; {REMEDY}")
    genes = are_genes(matrix.kinds)
    if not genes.any():
        raise DataError(f"{where}: has no feature of type Gene Expression, but {shown(sorted(set(matrix.kinds)))}")
    left_out = {f"features of type {kind}": n for kind, n in sorted(Counter(matrix.kinds[~genes].tolist()).items())}
    genomes = np.where(
        matrix.genomes == "", genomes_in_names(matrix.ids.tolist(), matrix.names.tolist()), matrix.genomes
    )
    kept, others = kept_of_genome(genomes, genes, genome, where)
    known = genomes[kept & (genomes != "")].tolist()
    return _only(matrix, kept, known[0] if known else "", where), left_out | others


def _only(matrix: Matrix, kept: np.ndarray, genome: str, where: Path) -> Matrix:
    """Return the kept features, called by their ids if they have no name, without the genome that names begin with."""
    ids, names = (without_genome(texts[kept].tolist(), genome) for texts in (matrix.ids, matrix.names))
    names = [name if name.strip() else one for one, name in zip(ids, names)]
    counts = raw_counts(matrix.counts if kept.all() else matrix.counts[:, kept], where, REMEDY)
    return Matrix(counts, matrix.barcodes, np.array(ids), np.array(names), matrix.kinds[kept], matrix.genomes[kept])


def _read_h5(path: Path, genome: str | None) -> Matrix:
    with reading(path, "10x Genomics' HDF5"):
        check_unzipped(path)
    with reading(path, "10x Genomics' HDF5"), h5py.File(path) as file:
        name, group = _group(file, path, genome)
        check_lengths(group, str(path))
        features, called = (
            (group["features"], ("id", "name")) if "features" in group else (group, ("genes", "gene_names"))
        )
        barcodes, ids, names = (_texts(values) for values in (group["barcodes"], *(features[key] for key in called)))
        kinds, genomes = (_texts(features[key]) if key in features else np.full(len(ids), "")
                          for key in ("feature_type", "genome"))  # fmt: skip
        if features is group and name not in ("matrix", "background_removed"):  # as CellBender calls its own
            genomes = np.full(len(ids), str(name))  # bytes, where it is no UTF-8
        said = group["shape"][:].tolist()
        if {len(names), len(kinds), len(genomes)} != {len(ids)} or said != [len(ids), len(barcodes)]:
            raise DataError(
                f"{path}: says {said} features and barcodes, but has {len(ids)} and {len(barcodes)}; {REMEDY}"
            )
        layout = Layout(name, f"{name}/barcodes", len(barcodes), ids.tolist(), np.arange(len(ids), dtype=np.int32))
    counts = FileCounts(path, layout, np.ones(len(barcodes), bool))
    return Matrix(counts, barcodes.tolist(), ids, names, kinds, genomes)


def _group(file: h5py.File, path: Path, genome: str | None) -> tuple[str, h5py.Group]:
    """Return the group of a matrix: of version 2, there is one a genome, which it is called after."""
    groups = {
        name: group
        for name, group in file.items()
        if isinstance(group, h5py.Group) and {"barcodes", "indptr"} <= group.keys()
    }
    if not groups:
        raise DataError(f"{path}: has no matrix of 10x Genomics, but {shown(list(file)) or 'nothing'}; {REMEDY}")
    if genome and genome in groups:
        return genome, groups[genome]
    if len(groups) > 1:
        raise DataError(
            f"{path}: has genes of the genomes {shown(list(groups))}; name one of them as genome= (--genome)"
        )
    return next(iter(groups.items()))


def _texts(values: h5py.Dataset) -> np.ndarray:
    if values.ndim != 1:
        raise ValueError(f"{values.name} has the shape {values.shape}, not a text a row")
    return np.array([one.decode() if isinstance(one, bytes) else str(one) for one in values[:].tolist()], dtype=str)


def _read_mtx(paths: Mapping[str, Path]) -> Matrix:
    """Read features x barcodes; or barcodes x features, as some programs write, where the numbers tell."""
    barcodes = [cells[0] for _, cells in read_cells(paths["barcodes"])]
    rows = [cells for _, cells in read_cells(paths["features"])]
    ids, names, kinds = (np.array([row[min(k, len(row) - 1)] if k < 2 or k < len(row) else "" for row in rows], str)
                         for k in range(3))  # fmt: skip
    if ragged := [row for row in rows if len(row) != len(rows[0])]:
        raise DataError(
            f"{paths['features']}: has rows of {len(rows[0])} and of {len(ragged[0])} cells, such as {ragged[0][0]!r}; "
            "was it cut off?"
        )
    if len(rows) and set(np.char.lower(names)) <= GENES:
        raise DataError(f"{paths['features']}: has types of features where their names should be, in the second column")
    path = paths["matrix"]
    (n_rows, n_columns), entries = _entries(path)
    if (n_rows, n_columns) not in ((len(ids), len(barcodes)), (len(barcodes), len(ids))):
        raise DataError(
            f"{path}: has {n_rows:,} rows and {n_columns:,} columns, but {paths['features'].name} has {len(ids):,} "
            f"features and {paths['barcodes'].name} has {len(barcodes):,} barcodes; take all three files from one "
            "sample"
        )
    spot, gene = ("column", "row") if n_rows == len(ids) else ("row", "column")
    with reading(path, "MatrixMarket"):
        at = entries[spot].to_numpy() - 1, entries[gene].to_numpy() - 1
        counts = csr_matrix((entries["count"].to_numpy(), at), (len(barcodes), len(ids)))
    return Matrix(counts, barcodes, ids, names, kinds, np.full(len(ids), ""))


def _entries(path: Path) -> tuple[tuple[int, int], pd.DataFrame]:
    """Return how many rows and columns there are, and of each entry ``row`` and ``column``, from 1, and ``count``.

    scipy's own reader ends the process where a file contradicts itself.
    """
    with (
        reading(path, "MatrixMarket"),
        path.open("rb") as file,
        gzip.open(file) if file.peek(2)[:2] == GZIP else file as text,
    ):
        kind = text.readline(200).lower().split()
        if kind[:3] != [b"%%matrixmarket", b"matrix", b"coordinate"] or kind[3:] not in KINDS:
            raise DataError(f"{path}: is no MatrixMarket file of counts: its first line must be {FIRST_LINE}")
        sizes = next((line for line in iter(text.readline, b"") if line.strip() and line[:1] != b"%"), b"")
        n_rows, n_columns, n = map(int, sizes.split())
        entries = pd.read_csv(text, sep=r"\s+", header=None, names=list(ENTRY), dtype=ENTRY, index_col=False)
    if len(entries) != n:
        raise DataError(f"{path}: has {len(entries):,} counts, but says that there are {n:,}; was it cut off?")
    return (n_rows, n_columns), entries
