"""Embedding slides: one Parquet file each, whole or not at all; finished files are kept.

The spots of a slide go through the tower in batches of that slide alone, always the same ones. So a vector depends
neither on what else is embedded, nor on the order, nor on the number of processes.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from stimage.core.errors import DataError
from stimage.core.files import room_for
from stimage.evaluation.embeddings import EMBEDDING_COLUMNS, MODEL
from stimage.loading.batches import SpotBatch, to_batch
from stimage.loading.sources import Source, reading
from stimage.slides.catalog import Slide
from stimage.towers.image_towers import VisionTower

MARKER = "embedding.json"  # what the folder's files were made with
ROW_GROUP = 4096  # spots


class SlideBatches(IterableDataset):
    """Batches of images, slide by slide; with workers, each reads whole slides, so batches are the same.

    Yields the number of a slide and a batch of it, or None when the slide is finished, or the error that ended it.
    """

    def __init__(self, source: Source, slides: Sequence[Slide], batch_size: int, image_size: int):
        self.source, self.slides, self.batch_size, self.image_size = source, slides, batch_size, image_size

    def __iter__(self) -> Iterator[tuple[int, SpotBatch | DataError | None]]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for k in range(first, len(self.slides), step):
            try:
                for table in self._tables(self.slides[k]):
                    yield k, to_batch(table, self.image_size)
                yield k, None
            except DataError as error:  # raised in a worker, it would come with a traceback as its text
                yield k, error

    def _tables(self, slide: Slide) -> Iterator[pa.Table]:
        with reading(f"{self.source.location}: slide {slide.name}"):
            spots = self.source.spots(slide, ["spot_id", "slide", "annotation", "image"])
            yield from spots.with_format("arrow").iter(self.batch_size)


class EmbeddingWriter:
    """A slide's file, written some thousand spots at a time; it gets its name when it is whole."""

    def __init__(self, path: Path, slide: str, model: str, width: int):
        kinds = (pa.string(), pa.string(), pa.list_(pa.float32(), width))
        self.schema = pa.schema(list(zip(EMBEDDING_COLUMNS, kinds)), {MODEL: model.encode()})
        self.path, self.slide, self.width = path, slide, width
        self.half = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self.writer, self.waiting = pq.ParquetWriter(self.half, self.schema, write_page_checksum=True), []

    def add(self, spot_ids: Sequence[str], vectors: np.ndarray) -> None:
        """Add vectors (float32, n x width)."""
        lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), self.width)
        slides = pa.repeat(pa.scalar(self.slide, pa.string()), len(vectors))
        self.waiting.append(pa.table([pa.array(spot_ids, pa.string()), slides, lists], schema=self.schema))
        if sum(map(len, self.waiting)) >= ROW_GROUP:
            self._flush()

    def finish(self) -> None:
        self._flush()
        with room_for(self.path):
            self.writer.close()
        self.half.replace(self.path)

    def discard(self) -> None:
        with suppress(OSError):  # of a full disk
            self.writer.close()
        self.half.unlink(missing_ok=True)

    def _flush(self) -> None:
        if self.waiting:
            with room_for(self.path):
                self.writer.write_table(pa.concat_tables(self.waiting).combine_chunks())
            self.waiting = []


def model_name(tower: VisionTower) -> str:
    """Return a tower's name for files: the folder's own name or the name on the Hub, and the digest of its weights."""
    folder = Path(tower.name.removeprefix("local-dir:"))
    name = folder.resolve().name if folder.exists() else tower.name
    return f"{name}@{tower.digest[:8]}"


def settle_options(out: Path, options: dict) -> None:
    """Note in a folder the options that its files are made with, or compare them with those noted there.

    Raises
    ------
    DataError
        If the folder's files were made with other options, naming the difference, or without any.
    """
    marker = out / MARKER
    try:
        before = dict(json.loads(marker.read_text(encoding="utf-8")))
    except FileNotFoundError:
        if any(out.glob("*.parquet")):
            raise DataError(
                f"{out}: has Parquet files but no {MARKER}: they are not known; pass another --out"
            ) from None
        out.mkdir(parents=True, exist_ok=True)
        half = marker.with_name(f".{MARKER}.{os.getpid()}.tmp")
        half.write_text(json.dumps(options, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        half.replace(marker)
        return
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(f"{marker}: is damaged ({error}); delete the folder, or pass another --out") from None
    keys = dict.fromkeys((*before, *options))
    if other := [f"{key} {before.get(key)!r}, now {options.get(key)!r}" for key in keys
                 if before.get(key) != options.get(key)]:  # fmt: skip
        raise DataError(f"{out}: was made with other options: {'; '.join(other)}; pass another --out")


def slides_left(slides: Sequence[Slide], out: Path) -> list[Slide]:
    """Return the slides that have no file yet, the largest first, so that processes end together."""
    left = [slide for slide in slides if not (out / f"{slide.name}.parquet").exists()]
    return sorted(left, key=lambda slide: (-slide.about_spots, slide.name))


def embed_slides(
    source: Source, slides: Sequence[Slide], tower: VisionTower, out: Path, batch_size: int = 64, workers: int = 1
) -> Iterator[tuple[Slide, int, DataError | None]]:
    """Embed slides; yield each when it is finished, with its number of spots or the reason why it has no file.

    Parameters
    ----------
    workers
        Processes that read and decode, each a slide; 0 reads in this one.
    """
    batches = SlideBatches(source, slides, batch_size, tower.size)
    loader = DataLoader(batches, batch_size=None, num_workers=min(workers, len(slides)))
    writers, spots, failed = {}, Counter(), set()
    try:
        for k, batch in loader:
            if k in failed:
                continue
            try:
                if isinstance(batch, DataError):
                    raise batch
                if batch is not None:
                    vectors = _finite(tower(batch.images).numpy(), batch, tower)
                    if k not in writers:
                        path = out / f"{slides[k].name}.parquet"
                        writers[k] = EmbeddingWriter(path, slides[k].name, model_name(tower), tower.width)
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


def _finite(vectors: np.ndarray, batch: SpotBatch, tower: VisionTower) -> np.ndarray:
    good = np.isfinite(vectors).all(1)
    if not good.all():
        spot = batch.spot_ids[int(good.argmin())]
        raise DataError(f"spot {spot}: {tower.name} gives a vector that is not finite; try --dtype float32")
    return vectors
