"""Arrow tables of spots as tensors, without a Python object per value."""

from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from stimage.core.errors import DataError
from stimage.loading.ahead import Memory, Task
from stimage.loading.decoding import Change, Patches, size_of

BATCH_COLUMNS = ("spot_id", "slide", "annotation", "image", "gene_ids", "counts", "expression")  # that make a batch
IMAGES_A_RUN = 16  # images that a thread decodes at once: two lots that are resized together


@dataclass(frozen=True)
class SpotBatch:
    """N spots. The reader owns the tensors: their memory is used again only when nothing refers to it.

    Attributes
    ----------
    spot_ids, slides, annotations
        N strings each; an annotation may be None.
    images : torch.Tensor
        uint8, N x height x width x 3, RGB; N x 0 x 0 x 3 if the data set was loaded without images. The memory is
        pinned if this process made it and CUDA is available.
    gene_ids, counts, offsets : torch.Tensor or None
        The genes with a count in spot i, and their counts, are at ``offsets[i]:offsets[i + 1]``; int32, float32 and
        int64 (N + 1). None if the data set was loaded with a panel.
    expression : torch.Tensor or None
        float32, N x genes of the panel; None without a panel.
    worker
        The process that read the batch, counted from 0.
    """

    spot_ids: list[str]
    slides: list[str]
    annotations: list[str | None]
    images: torch.Tensor
    gene_ids: torch.Tensor | None = None
    counts: torch.Tensor | None = None
    offsets: torch.Tensor | None = None
    expression: torch.Tensor | None = None
    worker: int = 0

    def __len__(self) -> int:
        return len(self.spot_ids)

    def pin_memory(self) -> "SpotBatch":
        """Return the batch in memory that CUDA copies from without waiting; a DataLoader asks for it."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        pinned: dict[str, Any] = {k: v.pin_memory() for k, v in values.items() if isinstance(v, torch.Tensor)}
        return replace(self, **pinned)


def begin_batch(
    table: pa.Table,
    image_size: int | None = None,
    memory: Memory | None = None,
    change: Change | None = None,
    worker: int = 0,
) -> tuple[SpotBatch, list[Task]]:
    """Turn a table of spots into tensors, except for the images, which tasks fill; raises as `to_batch` does.

    Parameters
    ----------
    change
        Function that changes the images of some rows after decoding and resizing.
    """
    memory, ids = memory or Memory(), table["spot_id"].to_pylist()
    images, tasks = memory.empty((len(ids), 0, 0, 3), np.dtype(np.uint8)), list[Task]()
    if "image" in table.column_names and ids:
        encoded = _bytes_of(table["image"].combine_chunks(), ids[0])
        size = (image_size, image_size) if image_size else size_of(encoded[0].as_buffer(), ids[0])
        images = memory.empty((len(ids), *size, 3), np.dtype(np.uint8))
        patches = Patches(encoded, ids, images, resized=image_size is not None)
        runs = [slice(k, min(k + IMAGES_A_RUN, len(ids))) for k in range(0, len(ids), IMAGES_A_RUN)]
        tasks += [partial(patches.fill, rows, change) for rows in runs]
    slides, annotations = (table[name].to_pylist() for name in ("slide", "annotation"))
    return SpotBatch(ids, slides, annotations, images, **_expression(table, memory), worker=worker), tasks


def _bytes_of(files: pa.StructArray, spot: str) -> pa.Array:
    if not pa.types.is_struct(files.type) or files.type.get_field_index("bytes") < 0:
        raise DataError(f"{spot}: its image is {files.type}, and no file's bytes; get the shard of this spot again")
    return files.field("bytes")


def to_batch(table: pa.Table, image_size: int | None = None) -> SpotBatch:
    """Turn a table of spots into tensors.

    Raises
    ------
    DataError
        If an image is missing or damaged, sizes differ and no ``image_size`` is given, or a spot has no counts.
    """
    batch, tasks = begin_batch(table, image_size)
    for task in tasks:
        task()
    return batch


def _expression(table: pa.Table, memory: Memory) -> dict[str, Any]:
    _refuse_nulls(table)
    if "expression" in table.column_names:
        values = table["expression"].combine_chunks()
        return {"expression": memory.copy(_array(values.flatten())).reshape(len(table), -1)}
    if "gene_ids" not in table.column_names:
        return {}  # images alone were asked for
    ids, counts = (table[name].combine_chunks() for name in ("gene_ids", "counts"))
    offsets = ids.offsets.to_numpy().astype(np.int64)
    return {
        "gene_ids": memory.copy(_array(ids.flatten())),
        "counts": memory.copy(_array(counts.flatten())),
        "offsets": torch.from_numpy(offsets - offsets[0]),
    }


def _refuse_nulls(table: pa.Table) -> None:
    """Refuse spots of an image alone, which have no counts: tensors can't say so."""
    for name in {"gene_ids", "counts", "expression"}.intersection(table.column_names):
        if table[name].null_count:
            spot, slide = (table[key].filter(table[name].is_null())[0].as_py() for key in ("spot_id", "slide"))
            raise DataError(f"spot {spot!r} has no {name}, since slide {slide} is an image alone; leave it out by "
                            "exclude=, or load columns=['spot_id', 'slide', 'annotation', 'image']")  # fmt: skip


def _array(values: pa.Array) -> np.ndarray:
    return values.to_numpy(zero_copy_only=False)
