"""The genes that each slide measured, from the header of its count file, or from a published folder.

A gene that was measured and has no count in a spot is not expressed there. About other genes, nothing is known.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stimage.core.access import OPEN, Access
from stimage.core.errors import DataError, one_line, unreadable
from stimage.core.storage import list_folder, local_copy
from stimage.genes.headers import header_digests, header_genes
from stimage.slides.catalog import Slide

MEASURED_FILE = "measured.parquet"
SCHEMA = pa.schema([("slide", pa.string()), ("gene_ids", pa.list_(pa.int32()))])


def measured_in_root(slides: Sequence[Slide], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return which genes (bool, one for each of ``names``) each slide of a root measured, from its count file's header.

    Raises
    ------
    DataError
        If a header can't be read.
    """
    place = {name: i for i, name in enumerate(names)}
    known: dict[str, np.ndarray] = {}  # most slides of a study have the same header
    found = {}
    for slide, digest in zip(slides, header_digests(slides)):
        if digest not in known:
            known[digest] = np.zeros(len(names), bool)
            known[digest][[place[gene] for gene in header_genes(slide, digest).to_pylist() if gene in place]] = True
        found[slide.name] = known[digest]
    return found


def measured_in_folder(
    location: str, slides: Sequence[str], genes: int, access: Access = OPEN
) -> dict[str, np.ndarray] | None:
    """Return which genes (bool, as many as ``genes``) each slide of a published folder measured, or None if unknown.

    Folders that older versions published do not have this file.

    Raises
    ------
    DataError
        If the file is damaged, lacks a slide, or has ids that do not exist.
    """
    file = list_folder(location, "", access).get(MEASURED_FILE)
    if file is None:
        return None
    path, found = local_copy(file["url"], access), {}
    try:
        table = pq.read_table(path, columns=SCHEMA.names, filters=[("slide", "in", list(slides))],
                              page_checksum_verification=True)  # fmt: skip
        for slide, ids in zip(table["slide"].to_pylist(), table["gene_ids"]):
            found[slide] = _marked(ids.values.to_numpy(), genes)
    except (OSError, ValueError, IndexError, AttributeError, KeyError, pa.ArrowException) as error:
        raise unreadable(path, error, f"is no table of the genes that slides measured ({one_line(error)}); build the "
                         "folder again") from None  # fmt: skip
    if lost := [name for name in slides if name not in found]:
        raise DataError(f"{path}: lacks slide {lost[0]!r}; build the folder again")
    return found


def write_measured(path: Path, slides: Iterable[tuple[str, np.ndarray]]) -> None:
    """Write one row per slide: its name, and the ids of the genes that it measured, ascending."""
    with pq.ParquetWriter(
        path, SCHEMA, compression="zstd", use_dictionary=["slide"], write_page_checksum=True,
        column_encoding={"gene_ids.list.element": "DELTA_BINARY_PACKED"},
    ) as writer:  # fmt: skip
        for name, ids in slides:
            row = [pa.array([name]), pa.array([np.sort(ids).astype(np.int32)], SCHEMA.field("gene_ids").type)]
            writer.write_table(pa.table(row, schema=SCHEMA))


def _marked(ids: np.ndarray, genes: int) -> np.ndarray:
    if len(ids) and ids.min() < 0:
        raise ValueError(f"gene id {ids.min()}")
    marked = np.zeros(genes, bool)
    marked[ids] = True
    return marked
