"""Embedding slides: one Parquet file each, whole or not at all; finished files are kept.

The spots of a slide go through the encoder in batches of that slide alone, always the same ones. So a vector depends
neither on what else is embedded, nor on the order, nor on the number of processes.
"""

import json
import reprlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from stimage.core.errors import DataError, one_line
from stimage.core.files import listed, write_text
from stimage.core.results import as_json
from stimage.evaluation.joint.encoders import SpotEncoder
from stimage.loading.ahead import AheadLoader, Batches, Begun, Memory
from stimage.loading.embeddings import EmbeddingWriter
from stimage.loading.sources import Source, reading
from stimage.loading.tensors import SpotBatch, begin_batch
from stimage.slides.catalog import Slide

MARKER = "embedding.json"  # what the folder's files were made with
Item = SpotBatch | DataError | None


class SlideBatches(Batches):
    """Batches of images, slide by slide; with processes, each reads whole slides, so batches are the same.

    Yields the number of a slide and a batch of it, or None when the slide is finished, or the error that ended it.
    """

    def __init__(self, source: Source, slides: Sequence[Slide], batch_size: int, encoder: SpotEncoder):
        self.source, self.slides, self.batch_size = source, slides, batch_size
        self.image_size, self.genes = encoder.image_size, encoder.genes  # and no model, which processes do without
        self.columns = ["spot_id", "slide", "annotation", *encoder.columns]

    def begin(self, memory: Memory, worker: int, workers: int) -> Begun:
        for k in range(worker, len(self.slides), workers):
            try:
                for table in self._tables(self.slides[k]):
                    batch, tasks = begin_batch(table, self.image_size, memory)
                    yield (k, batch), tasks
                yield (k, None), []
            except DataError as error:  # raised in a worker, it would come with a traceback as its text
                yield (k, error), []

    def failed(self, batch: tuple[int, Item], error: DataError) -> tuple[int, Item]:
        return batch[0], error

    def _tables(self, slide: Slide) -> Iterator[pa.Table]:
        with reading(f"{self.source.location}: slide {slide.name}", partial(self.source.shards, slide)):
            spots = self.source.spots(slide, self.columns, self.genes)
            yield from spots.with_format("arrow").iter(self.batch_size)


def settle_options(out: Path, options: dict) -> None:
    """Note in a folder the options that its files are made with, or compare them with those noted there.

    Raises
    ------
    DataError
        If the folder's files were made with other options, naming the difference, or without any.
    """
    marker, options = out / MARKER, json.loads(as_json(options))  # as the marker has them: a tuple is a list there
    try:
        before = dict(json.loads(marker.read_text(encoding="utf-8")))
    except FileNotFoundError:
        if listed(out, "*.parquet"):
            raise DataError(
                f"{out}: has Parquet files but no {MARKER}: they are not known; pass another out= (--out)"
            ) from None
        write_text(marker, as_json(options))
        return
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(f"{marker}: is damaged ({one_line(error)}); delete the folder, or pass another out= "
                        "(--out)") from None  # fmt: skip
    before = {"space": "tower", "of": "images"} | before  # older folders do not say it
    keys = dict.fromkeys((*before, *options))
    if other := [f"{key} {reprlib.repr(before.get(key))}, now {reprlib.repr(options.get(key))}" for key in keys
                 if before.get(key) != options.get(key)]:  # fmt: skip
        raise DataError(f"{out}: was made with other options: {'; '.join(other)}; pass another out= (--out)")


def slides_left(slides: Sequence[Slide], out: Path) -> list[Slide]:
    """Return the slides that have no file yet, the largest first, so that processes end together."""
    left = [slide for slide in slides if not (out / f"{slide.name}.parquet").exists()]
    return sorted(left, key=lambda slide: (-slide.about_spots, slide.name))


def embed_slides(
    source: Source,
    slides: Sequence[Slide],
    encoder: SpotEncoder,
    out: Path,
    batch_size: int = 64,
    workers: int | None = None,
) -> Iterator[tuple[Slide, int, DataError | None]]:
    """Embed slides; yield each when it is finished, with its number of spots or the reason why it has no file.

    Parameters
    ----------
    workers
        Processes that read and decode, each a slide; 0 reads in this one, by threads. By default one where patches are
        cut from a root, and 0 where they are published.
    """
    workers = int(not source.published) if workers is None else workers
    batches = SlideBatches(source, slides, batch_size, encoder)
    loader = AheadLoader(batches, min(workers, len(slides)))
    writers, spots, failed = {}, Counter(), set()
    try:
        for k, batch in loader:
            if k in failed:
                continue
            try:
                if isinstance(batch, DataError):
                    raise batch
                if batch is not None:
                    vectors = _finite(encoder.encode(batch).numpy(), batch, encoder)
                    if k not in writers:
                        path = out / f"{slides[k].name}.parquet"
                        said = (encoder.label, encoder.width, encoder.provenance)
                        writers[k] = EmbeddingWriter(path, slides[k].name, *said)
                    writers[k].add(batch.spot_ids, vectors)
                    spots[k] += len(batch)
                    continue
                if k not in writers:
                    raise DataError(f"{slides[k].name}: has no spots")
                writers.pop(k).finish()
                yield slides[k], spots[k], None
            except DataError as error:
                failed.add(k)
                if k in writers:
                    writers.pop(k).discard()
                yield slides[k], 0, error
    finally:
        for writer in writers.values():
            writer.discard()


def seconds_a_spot(source: Source, slide: Slide, encoder: SpotEncoder, batch_size: int = 64) -> float:
    """Measure how long reading and encoding take, by the second batch of a slide, or by its only one.

    Raises
    ------
    DataError
        If the slide cannot be read.
    """
    began, seconds, left = time.monotonic(), 0.0, 2
    for _, batch in AheadLoader(SlideBatches(source, [slide], batch_size, encoder), 0):
        if isinstance(batch, DataError):
            raise batch
        if batch is None or not left:
            break
        encoder.encode(batch)
        seconds, began, left = (time.monotonic() - began) / len(batch), time.monotonic(), left - 1
    return seconds


def _finite(vectors: np.ndarray, batch: SpotBatch, encoder: SpotEncoder) -> np.ndarray:
    good = np.isfinite(vectors).all(1)
    if not good.all():
        spot = batch.spot_ids[int(good.argmin())]
        raise DataError(
            f"spot {spot}: {encoder.label} gives a vector that is not finite; try dtype='float32' (--dtype float32)"
        )
    return vectors
