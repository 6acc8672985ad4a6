"""Write spots as Parquet, row group by row group, so that every version of datasets reads them."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stimage.cells.columns import CELLS, DENSITY
from stimage.genes.vocabulary import Vocabulary

ROW_GROUP_SPOTS, ROW_GROUP_BYTES = 500, 32 << 20  # a reader holds a row group; datasets caps it at 100 MB
CHUNKING = {"min_chunk_size": 256 << 10, "max_chunk_size": 1 << 20, "norm_level": 0}  # as the Hub deduplicates
TEXTS = ("spot_id", "slide", "tech", "species", "tissue", "pmid")
NUMBERS = ("x", "y", "radius", "um_per_px")
SPOT_SCHEMA = pa.schema(
    [(name, pa.string()) for name in TEXTS]
    + [("involve_cancer", pa.bool_())]
    + [(name, pa.float32()) for name in NUMBERS]
    + [("annotation", pa.string()), ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))]
    + [("gene_ids", pa.list_(pa.int32())), ("counts", pa.list_(pa.float32()))]
)


def spot_schema(classes: Sequence[str] | None = None) -> pa.Schema:
    """Return the columns of published spots; with classes of cells, also those of cells."""
    if classes is None:
        return SPOT_SCHEMA
    cells = pa.struct([(name, pa.int32()) for name in classes])
    return SPOT_SCHEMA.append(pa.field(CELLS, cells)).append(pa.field(DENSITY, pa.float32()))


def _features(schema: pa.Schema) -> dict[str, dict]:
    """Return the features of a spot as datasets writes them into a file; versions 3 know no ``List``."""
    features: dict[str, dict] = {field.name: {"dtype": str(field.type), "_type": "Value"} for field in schema}
    features |= {name: {"dtype": "float32", "_type": "Value"} for name in (*NUMBERS, DENSITY) if name in features}
    if CELLS in features:
        features[CELLS] = {field.name: {"dtype": "int32", "_type": "Value"} for field in schema.field(CELLS).type}
    features |= {"image": {"_type": "Image"}}
    for name, dtype in (("gene_ids", "int32"), ("counts", "float32")):
        features[name] = {"feature": {"dtype": dtype, "_type": "Value"}, "_type": "Sequence"}
    return features


def write_spots(
    path: Path, tables: Iterable[pa.Table], vocabulary: Vocabulary, classes: Sequence[str] | None = None
) -> None:
    """Write tables of spots into one file; images are stored as they are, and all else is compressed.

    The file's metadata has the features, and the number and digest of the vocabulary's genes. With ``classes`` of
    cells, the tables have the columns of cells.
    """
    schema = spot_schema(classes)
    leaves = _leaves(schema)
    metadata = {b"huggingface": json.dumps({"info": {"features": _features(schema)}}).encode(), **vocabulary.metadata}
    with pq.ParquetWriter(
        path,
        schema.with_metadata(metadata),
        compression={leaf: "none" if leaf == "image.bytes" else "zstd" for leaf in leaves},
        use_dictionary=[leaf for leaf in leaves if leaf not in ("image.bytes", "gene_ids.list.element")],
        column_encoding={"gene_ids.list.element": "DELTA_BINARY_PACKED"},
        write_page_index=True,
        write_page_checksum=True,
        use_content_defined_chunking=CHUNKING,
    ) as writer:
        waiting = []
        for table in tables:
            waiting.append(table.select(schema.names))
            if sum(map(len, waiting)) >= ROW_GROUP_SPOTS or sum(t.nbytes for t in waiting) >= ROW_GROUP_BYTES:
                writer.write_table(pa.concat_tables(waiting))
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting))


def _leaves(schema: pa.Schema) -> list[str]:
    inner = {name: [f"{name}.list.element"] for name in ("gene_ids", "counts")} | {
        "image": ["image.bytes", "image.path"]
    }
    if CELLS in schema.names:
        inner[CELLS] = [f"{CELLS}.{field.name}" for field in schema.field(CELLS).type]
    return [leaf for name in schema.names for leaf in inner.get(name, [name])]
