"""Embedding slides: one Parquet file each, whole or not at all; finished files of slides as they are now are kept.

The spots of a slide go through the encoder in batches of that slide alone, always the same ones. So a vector depends
neither on what else is embedded, nor on the order, nor on the number of processes.
"""

import json
import os
import reprlib
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from stimage.core.errors import DataError, one_line
from stimage.core.files import listed, room_for, write_text
from stimage.core.results import as_json
from stimage.evaluation.joint.encoders import SpotEncoder
from stimage.loading.ahead import AheadLoader, Batches, Begun, Memory
from stimage.loading.embeddings import EmbeddingWriter
from stimage.loading.sources import Source, reading
from stimage.loading.tensors import SpotBatch, begin_batch
from stimage.slides.catalog import Slide
from stimage.slides.freshness import file_digest, slide_digests
from stimage.slides.slide_files import REQUIRED_FILES

MARKER = "embedding.json"  # what the folder's files were made with
MADE_OF = "made_of"  # folder: what each slide's file was made of
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
    """Note the options of a folder's files in the folder, or compare them with those noted there.

    Raises
    ------
    DataError
        If the folder's files were made with other options, with the difference, or without a note.
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


def slides_left(source: Source, slides: Sequence[Slide], out: Path) -> list[Slide]:
    """Return the slides to embed, the largest first, so that processes end together.

    They have no file yet, or one whose slide changed since. Files without a note about their slide are kept.
    """

    def is_done(slide: Slide) -> bool:
        file, note = out / f"{slide.name}.parquet", out / MADE_OF / f"{slide.name}.json"
        if not (file.exists() and note.exists()):
            return file.exists()
        try:
            before = dict(json.loads(note.read_text(encoding="utf-8")))
        except (ValueError, TypeError):  # damaged
            return False
        return before == made_of(source, slide, before)

    return sorted((one for one in slides if not is_done(one)), key=lambda slide: (-slide.about_spots, slide.name))


def made_of(source: Source, slide: Slide, parts: Iterable[str]) -> dict[str, str]:
    """Return a digest of each of these parts of a slide, and the scale that is given; of a published one, of all."""
    if source.published:
        return {os.path.basename(file): file_digest(file, source.access) for file in source.shards(slide)}
    scale = {"um_per_px": repr(slide.um_per_px)} if slide.um_per_px else {}
    return slide_digests([slide], [part for part in REQUIRED_FILES if part in parts])[slide.name] | scale


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
        Number of processes that read and decode, each a slide; 0 reads in this process, by threads. None takes one
        where patches are cut from a root, and 0 where they are published.
    """
    workers = int(not source.published) if workers is None else workers
    batches = SlideBatches(source, slides, batch_size, encoder)
    loader = AheadLoader(batches, min(workers, len(slides)))
    files, failed = {}, set()
    try:
        for k, batch in loader:
            if k in failed:
                continue
            try:
                if isinstance(batch, DataError):
                    raise batch
                if batch is not None:
                    vectors = _finite(encoder.encode(batch).numpy(), batch, encoder)
                    if k not in files:
                        files[k] = _SlideFile(source, slides[k], encoder, out)
                    files[k].add(batch.spot_ids, vectors)
                    continue
                if k not in files:
                    raise DataError(f"{slides[k].name}: has no spots")
                yield slides[k], files.pop(k).finish(), None
            except DataError as error:
                failed.add(k)
                if k in files:
                    files.pop(k).discard()
                yield slides[k], 0, error
    finally:
        for file in files.values():
            file.discard()


class _SlideFile:
    """A slide's file in the making, and the note of what it is made of."""

    def __init__(self, source: Source, slide: Slide, encoder: SpotEncoder, out: Path):
        path, parts = out / f"{slide.name}.parquet", tuple(REQUIRED_FILES)
        if encoder.columns == ("image",):
            parts = ("coord", "image")
        self.path, self.note = path, out / MADE_OF / f"{slide.name}.json"
        self.made_of, self.spots = made_of(source, slide, parts), 0
        self.writer = EmbeddingWriter(path, slide.name, encoder.label, encoder.width, encoder.provenance)

    def add(self, spot_ids: Sequence[str], vectors: np.ndarray) -> None:
        self.writer.add(spot_ids, vectors)
        self.spots += len(vectors)

    def finish(self) -> int:
        """Give note and file their names, and return the number of spots."""
        try:
            with room_for(self.path):
                self.path.unlink(missing_ok=True)  # of what has changed: a file that is there is of its note
            write_text(self.note, as_json(self.made_of))
            self.writer.finish()
        except DataError:
            self.discard()
            raise
        return self.spots

    def discard(self) -> None:
        self.writer.discard()


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
