"""Batches of spots as tensors, decoded inside the workers of a DataLoader, without a Python object per value.

A row of a data set is a Python object for every count: through a DataLoader that is slower than no workers at all.
Here a worker reads its shards as Arrow tables, and what crosses to the trainer is a few flat tensors.
"""

import copy
import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from inspect import signature

import datasets
import imagecodecs
import numpy as np
import pyarrow as pa
import simplejpeg
import torch
from datasets.distributed import split_dataset_by_node
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from stimage.core.errors import DataError, one_line
from stimage.examples.image_formats import PNG_SIGNATURE
from stimage.loading.pixels import resize
from stimage.loading.sources import reading

READ = ("spot_id", "slide", "annotation", "image", "gene_ids", "counts", "expression")
JPEG_SIGNATURE = b"\xff\xd8\xff"
MAX_PIXELS = 10**8  # of a patch: more is a decompression bomb
PNG_RGB = b"\x08\x02"  # 8 bits, three colours, after the size in a PNG's header
IN_ARROW = "call with_format('arrow') before filter or map, whose function then gets tables"


@dataclass(frozen=True)
class SpotBatch:
    """N spots.

    Attributes
    ----------
    spot_ids, slides, annotations
        N strings each; an annotation may be None.
    images : torch.Tensor
        uint8, N x height x width x 3, RGB.
    gene_ids, counts, offsets : torch.Tensor or None
        The genes with a count of spot i, and their counts, are at ``offsets[i]:offsets[i + 1]``; int32, float32 and
        int64 of N + 1. None if the data set was loaded with a panel.
    expression : torch.Tensor or None
        float32, N x genes of the panel; None without a panel.
    """

    spot_ids: list[str]
    slides: list[str]
    annotations: list[str | None]
    images: torch.Tensor
    gene_ids: torch.Tensor | None = None
    counts: torch.Tensor | None = None
    offsets: torch.Tensor | None = None
    expression: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.spot_ids)


def spot_loader(
    dataset: datasets.IterableDataset | datasets.Dataset,
    batch_size: int,
    workers: int = 2,
    image_size: int | None = None,
    drop_last: bool = False,
) -> DataLoader:
    """Return a loader of `SpotBatch` whose workers each read, decode and resize whole shards.

    Parameters
    ----------
    dataset
        Spots, streamed or prepared, from a root or from a published folder, shuffled or not.
    batch_size
        Spots a batch; a worker's last batch has what is left.
    workers
        Processes; 0 reads in this one. A data set of fewer shards is cut finer, if its files allow that.
    image_size
        Pixels along a side, to which each image is resized as CLIP's image processor does (see `resize`).
        Without it, all images must have one size: those of a physical patch do, original ones differ by a pixel.
    drop_last
        Leave out each worker's last batch if it is not full.

    Raises
    ------
    DataError
        If the data set has no spots, or its columns are not known.
    ImportError
        If datasets is older than 5.1: it shares shards otherwise.
    """
    if "strategy" not in signature(split_dataset_by_node).parameters:
        raise ImportError(f"batches need datasets 5.1 or later, not {datasets.__version__}: pip install -U datasets")
    _check(dataset)
    epoch = getattr(dataset, "epoch", 0)
    if isinstance(dataset, datasets.Dataset):
        dataset = dataset.to_iterable_dataset(num_shards=max(1, min(workers, len(dataset))))
    dataset = _of_rank(dataset, workers)
    spots = SpotBatches(dataset, batch_size, image_size, drop_last)
    spots.set_epoch(epoch)
    return DataLoader(spots, batch_size=None, num_workers=workers)


class SpotBatches(IterableDataset):
    """Batches of a streamed data set's spots; each worker of a DataLoader gives those of its own shards."""

    def __init__(self, dataset: datasets.IterableDataset, batch_size: int, image_size: int | None, drop_last: bool):
        columns = [name for name in READ if name in dataset.features]
        self.dataset = dataset.select_columns(columns).with_format("arrow")
        self.batch_size, self.image_size, self.drop_last = batch_size, image_size, drop_last
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Shuffle the next pass in another order."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[SpotBatch]:
        worker, dataset = get_worker_info(), self.dataset
        if worker is not None:
            if worker.id >= dataset.num_shards:
                return
            dataset = dataset.shard(worker.num_workers, worker.id, contiguous=False)
        dataset.set_epoch(self.epoch)  # a shard's own begins at 0
        with _no_pause(worker is not None):
            for table in _tables(dataset, self.batch_size, self.drop_last):
                yield to_batch(table, self.image_size)


def _check(dataset: object) -> None:
    """Refuse what is no data set of spots."""
    if not isinstance(dataset, (datasets.Dataset, datasets.IterableDataset)):
        raise DataError(f"a {type(dataset).__name__} is not one split of spots: load it with split='train'")
    if dataset.features is None:
        raise DataError(f"the columns are not known after map: {IN_ARROW}, and pass map(…, features=…)")
    if missing := {"spot_id", "slide", "annotation", "image"} - set(dataset.features):
        raise DataError(f"these are no spots: there is no column {min(missing)!r}, but {', '.join(dataset.features)}")


def _of_rank(dataset: datasets.IterableDataset, workers: int) -> datasets.IterableDataset:
    """Cut finer if there are fewer shards than workers, and settle what `split_dataset_by_node` left to be settled.

    That gives whole shards to ranks if their number divides: it must be that of all shards, not of a worker's.
    """
    ranks = dataset._distributed
    if dataset.num_shards < workers * (ranks.world_size if ranks else 1):
        dataset = dataset.reshard()
    if not ranks:
        return dataset
    dataset, whole = copy.copy(dataset), dataset.num_shards % ranks.world_size == 0
    if ranks.strategy == "shards" or (ranks.strategy == "auto" and whole):
        dataset._distributed = None
        return dataset.shard(ranks.world_size, ranks.rank, contiguous=False)
    dataset._distributed = replace(ranks, strategy="examples")
    return dataset


def _tables(dataset: datasets.IterableDataset, batch_size: int, drop_last: bool) -> Iterator[pa.Table]:
    with reading(f"rows that filter or map made ({IN_ARROW}), or a file of the data set"):
        yield from dataset.iter(batch_size, drop_last)


def to_batch(table: pa.Table, image_size: int | None = None) -> SpotBatch:
    """Turn a table of spots into tensors.

    Raises
    ------
    DataError
        If an image is missing or damaged, or sizes differ and no ``image_size`` is given.
    """
    ids = table["spot_id"].to_pylist()
    encoded = table["image"].combine_chunks().field("bytes")
    images = [_decode(data.as_py(), spot) for data, spot in zip(encoded, ids)]
    if image_size is None and len(sizes := sorted({image.shape[:2] for image in images})) > 1:
        raise DataError(f"spots {ids[0]} to {ids[-1]}: images of sizes {sizes} in one batch; pass image_size")
    return SpotBatch(
        ids,
        table["slide"].to_pylist(),
        table["annotation"].to_pylist(),
        resize(images, image_size) if image_size else torch.from_numpy(np.stack(images)),
        **_expression(table),
    )


def _decode(data: bytes | None, spot: str) -> np.ndarray:
    if data is None:
        raise DataError(f"spot {spot}: has no image bytes")
    pixels = _decode_fast(data)
    if pixels is None:
        try:
            image = Image.open(io.BytesIO(data))
            if image.width * image.height > MAX_PIXELS:
                raise OSError(f"it says to be {image.width} x {image.height} pixels")
            pixels = np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow tells a broken PNG by the latter
            raise DataError(f"spot {spot}: its image is damaged ({one_line(error)}); make its shard again") from None
    return pixels


def _decode_fast(data: bytes) -> np.ndarray | None:
    """Decode the usual JPEG or PNG faster than Pillow, to the same pixels; None where only Pillow can, or knows why."""
    try:
        if data.startswith(JPEG_SIGNATURE):
            height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
            usual, decode = colours in ("YCbCr", "RGB", "Gray"), simplejpeg.decode_jpeg
        else:
            usual, decode = data.startswith(PNG_SIGNATURE) and data[24:26] == PNG_RGB, imagecodecs.png_decode
            width, height = struct.unpack(">II", data[16:24]) if usual else (0, 0)
        if not usual or width * height > MAX_PIXELS:
            return None
        pixels = decode(data)
    except (ValueError, imagecodecs.PngError):
        return None
    return pixels if pixels.shape[2] == 3 else None


def _expression(table: pa.Table) -> dict[str, torch.Tensor]:
    if "expression" in table.column_names:
        values = table["expression"].combine_chunks()
        return {"expression": _tensor(values.flatten()).reshape(len(table), -1)}
    if "gene_ids" not in table.column_names:
        return {}  # images alone were asked for
    ids, counts = (table[name].combine_chunks() for name in ("gene_ids", "counts"))
    offsets = ids.offsets.to_numpy().astype(np.int64)
    return {
        "gene_ids": _tensor(ids.flatten()),
        "counts": _tensor(counts.flatten()),
        "offsets": torch.from_numpy(offsets - offsets[0]),
    }


def _tensor(values: pa.Array) -> torch.Tensor:
    return torch.from_numpy(values.to_numpy(zero_copy_only=False).copy())  # Arrow's memory is read-only


@contextmanager
def _no_pause(worker: bool) -> Iterator[None]:
    """Set aside the five seconds that datasets sleeps after a shuffled Parquet file; a worker's exit needs no such."""
    before = datasets.config.SLEEP_TIME_ON_THREADS_SHUTDOWN
    if worker:
        datasets.config.SLEEP_TIME_ON_THREADS_SHUTDOWN = 0
    try:
        yield
    finally:
        datasets.config.SLEEP_TIME_ON_THREADS_SHUTDOWN = before
