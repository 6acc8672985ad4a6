"""Write counts as the wide CSV of the data set, or as 10x Genomics' HDF5, without zeros."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stimage.core.errors import DataError
from stimage.core.files import replacing, replacing_hdf5
from stimage.core.tables import csv_text
from stimage.slides.counts.rows import CountRows

if TYPE_CHECKING:
    import h5py

CHUNK = 1 << 16  # counts that are compressed together: decoded in a millisecond
COMPRESSED: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
GENE_EXPRESSION = "Gene Expression"
Blocks = Iterable[CountRows]


def write_csv(path: Path, genes: Sequence[str], blocks: Blocks) -> None:
    """Write a wide CSV a row at a time, in time that grows with the counts that are there, not with the zeros.

    Parameters
    ----------
    genes
        Names, one a column.
    blocks
        Rows with their ids; whole numbers are written without a point.
    """
    zeros = b",0" * len(genes)
    with replacing(path) as unfinished, unfinished.open("wb") as file:
        file.write(_line(["", *genes]) + b"\n")
        for rows in blocks:
            for spot, (columns, values) in zip(rows.ids, rows):
                parts, at = [_line([spot])], 0
                for column, value in zip(columns.tolist(), values.tolist()):
                    cell = f",{value!r}".removesuffix(".0").encode()
                    parts += zeros[: 2 * (column - at)], cell
                    at = column + 1
                file.write(b"".join([*parts, zeros[: 2 * (len(genes) - at)], b"\n"]))


def write_h5(path: Path, genes: Sequence[str], blocks: Blocks, gene_ids: Sequence[str] = (), genome: str = "") -> None:
    """Write counts for Scanpy's ``read_10x_h5`` and Seurat's ``Read10X_h5``, as version 3 of 10x Genomics' matrices.

    Parameters
    ----------
    genes, gene_ids
        Names and Ensembl ids, one per gene. Without ids, the names take their place.
    blocks
        Rows with their ids, as many at a time as fit into memory.
    genome
        The reference, as 10x Genomics names it.

    Raises
    ------
    DataError
        If a count is not a whole number, or is 2^31 or more.
    """

    with replacing_hdf5(path) as file:
        group = file.create_group("matrix")
        for name in ("data", "indices"):
            group.create_dataset(name, (0,), np.int32, maxshape=(None,), chunks=(CHUNK,), **COMPRESSED)
        indptr, barcodes = [np.zeros(1, np.int64)], []
        for rows in blocks:
            if len(bad := rows.values[(rows.values % 1 != 0) | (rows.values >= 2**31)]):
                raise DataError(f"{path}: cannot hold {bad[0]:g}: this form is for raw counts; write a CSV")
            _append(group["data"], rows.values)
            _append(group["indices"], rows.columns)
            indptr.append(rows.indptr[1:] + indptr[-1][-1])
            barcodes += rows.ids
        _write_features(group, genes, gene_ids or genes, genome)
        group.create_dataset("indptr", data=np.concatenate(indptr), **COMPRESSED)
        group.create_dataset("barcodes", data=_texts(barcodes), **COMPRESSED)
        group.create_dataset("shape", data=np.array([len(genes), len(barcodes)], np.int32))


def _append(values: "h5py.Dataset", more: np.ndarray) -> None:
    values.resize(len(values) + len(more), axis=0)
    values[len(values) - len(more) :] = more


def _write_features(group: "h5py.Group", genes: Sequence[str], gene_ids: Sequence[str], genome: str) -> None:
    features = group.create_group("features")
    columns = {
        "id": gene_ids,
        "name": genes,
        "feature_type": [GENE_EXPRESSION] * len(genes),
        "genome": [genome] * len(genes),
    }
    for name, texts in columns.items():
        features.create_dataset(name, data=_texts(texts), **COMPRESSED)
    features.create_dataset("_all_tag_keys", data=np.array([b"genome"]))


def _texts(texts: Sequence[str]) -> np.ndarray:
    return np.array([text.encode() for text in texts], dtype=np.bytes_) if texts else np.empty(0, "S1")


def _line(cells: Sequence[str]) -> bytes:
    return csv_text([cells]).rstrip("\n").encode()
