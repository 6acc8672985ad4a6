"""Embeddings of a task's patches: by an image tower, or by a baseline that knows no model."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from stimage.cells.features import LOOKS, PatchNuclei
from stimage.core.errors import DataError
from stimage.evaluation.expression import place_features
from stimage.evaluation.hest_bench.folder import BenchSample, read_barcodes, read_patches, read_places
from stimage.loading.embeddings import Embeddings, EmbeddingWriter, read_embeddings
from stimage.loading.pixels import resize
from stimage.loading.provenance import Provenance
from stimage.towers.image_towers import ImageTower

BASELINES = ("colour", "position", "nuclei")  # encoders without a model
BATCH = 64
PATCH_UM = 112  # side of the benchmark's patches
Encode = Callable[[BenchSample], Iterator[tuple[list[str], np.ndarray]]]


def by_tower(tower: ImageTower, batch_size: int = BATCH) -> Encode:
    """Return the function that embeds a sample's patches by a tower: barcodes and vectors (float32), block by block."""

    def encode(sample: BenchSample) -> Iterator[tuple[list[str], np.ndarray]]:
        for barcodes, images in read_patches(sample, batch_size):
            yield barcodes, tower.encode(resize(list(images), tower.size)).numpy()

    return encode


def by_colour(sample: BenchSample) -> Iterator[tuple[list[str], np.ndarray]]:
    """Yield mean and standard deviation of red, green and blue over each patch (n x 6)."""
    for barcodes, images in read_patches(sample, BATCH):
        pixels = images.reshape(len(images), -1, 3).astype(np.float32)
        yield barcodes, np.concatenate([pixels.mean(1), pixels.std(1)], 1)


def by_position(sample: BenchSample) -> Iterator[tuple[list[str], np.ndarray]]:
    """Yield each patch's place within its sample, x and y to the third power (n x 9)."""
    yield read_barcodes(sample), place_features(read_places(sample)).astype(np.float32)


def by_nuclei(sample: BenchSample) -> Iterator[tuple[list[str], np.ndarray]]:
    """Yield what nuclei each patch has, as the built-in detector finds them (n x 4); see `PatchNuclei.features`."""
    n = len(read_barcodes(sample))
    looked = (images[k] for images, k in _some(sample, np.unique(np.linspace(0, n - 1, min(n, LOOKS)).astype(int))))
    nuclei = None
    for barcodes, images in read_patches(sample, BATCH):
        nuclei = nuclei or PatchNuclei(PATCH_UM / images.shape[2], looked)
        yield barcodes, np.stack([nuclei.features(one) for one in images])


def _some(sample: BenchSample, rows: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Yield batches of patches, and which of a batch is wanted."""
    for first, (_, images) in enumerate(read_patches(sample, BATCH)):
        for k in rows[rows // BATCH == first] % BATCH:
            yield images, int(k)


def embed_sample(
    sample: BenchSample, encode: Encode, path: Path, label: str, provenance: Provenance | None = None
) -> None:
    """Write a sample's embeddings into a Parquet file, whole or not at all.

    Raises
    ------
    DataError
        If a vector has a value that is no finite number, naming the spot.
    """
    writer = None
    try:
        for barcodes, vectors in encode(sample):
            if not (good := np.isfinite(vectors).all(1)).all():
                spot = barcodes[int(good.argmin())]
                raise DataError(f"{sample.patches}: {label} gives spot {spot!r} a vector that is not finite; try "
                                "dtype='float32' (--dtype float32)")  # fmt: skip
            writer = writer or EmbeddingWriter(path, sample.name, label, vectors.shape[1], provenance)
            writer.add(barcodes, vectors)
        if writer is None:
            raise DataError(f"{sample.patches}: has no patch")
        writer.finish()
    finally:
        if writer is not None:
            writer.discard()


def in_patch_order(sample: BenchSample, path: Path) -> Embeddings:
    """Read a sample's embeddings, in the order of its patches.

    Raises
    ------
    DataError
        If they are of other spots.
    """
    read, barcodes = read_embeddings(path), read_barcodes(sample)
    row_of = {spot: row for row, spot in enumerate(read.spot_ids.tolist())}
    if row_of.keys() != set(barcodes):
        raise DataError(
            f"{path}: has embeddings of other spots than the patches in {sample.patches}; delete this file, and run "
            "the command again"
        )
    return read.take(np.array([row_of[spot] for spot in barcodes]))
