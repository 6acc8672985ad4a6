"""A range of a slide's spots as one Parquet file: the unit of work, which any engine can call."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stimage.core.errors import DataError
from stimage.core.files import replacing, writable
from stimage.examples.arrow import spot_tables
from stimage.examples.image_formats import JPEG_QUALITY, encoder
from stimage.examples.opening import check_asked_for
from stimage.genes.vocabulary import load_vocabulary
from stimage.publishing.facts import SlideFacts
from stimage.publishing.parquet import write_spots
from stimage.slides.catalog import FILE_KINDS, READ_FILES, Slide
from stimage.slides.freshness import slide_identity, with_current_stamps
from stimage.slides.images.patches import Patch
from stimage.slides.images.reader import MAX_IMAGE_PIXELS
from stimage.slides.matching import NoSpotLeft
from stimage.slides.spots import Spots, open_spots

FORMAT = 1  # of shards and markers; a larger one makes older ones count as not done
WORK = ".build"  # folder of OUT that is not published


@dataclass(frozen=True)
class ShardOptions:
    """The options that a shard's content depends on, besides its slide; see the builder's options of these names.

    ``cells`` are the classes by which cells are counted, or None.
    """

    patch: Patch = field(default_factory=Patch)
    image_format: str = "png"
    jpeg_quality: int = JPEG_QUALITY
    on_mismatch: str = "error"
    max_image_pixels: int = MAX_IMAGE_PIXELS
    spots_per_shard: int = 20_000
    cells: tuple[str, ...] | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The parts of a slide that are read."""
        return FILE_KINDS if self.cells else READ_FILES


@dataclass(frozen=True)
class Shard:
    """Spots ``part`` of ``parts`` of a slide, to be written below the folder ``out``."""

    slide: Slide
    part: int
    parts: int
    split: str
    out: str
    vocabulary: str
    options: ShardOptions

    @property
    def name(self) -> str:
        return f"{self.slide.name}-{self.part:05d}-of-{self.parts:05d}"

    @property
    def path(self) -> str:
        """The shard's path in the published folder."""
        return f"data/{self.slide.tech}/{self.split}/{self.name}.parquet"

    @property
    def marker(self) -> Path:
        """The marker file, which records a finished shard."""
        return Path(self.out, WORK, "done", f"{self.name}.json")

    @property
    def totals(self) -> Path:
        """Table of the shard's genes: ``gene_id``, ``spots`` with a count, ``total`` of counts."""
        return self.marker.with_suffix(".parquet")

    def key(self) -> str:
        """Digest all that the shard's content depends on: options, the slide's files and its row of the meta file.

        The slide must know its files' stamps; see `stimage.slides.freshness.with_stamps`.
        """
        slide = slide_identity(self.slide, self.options.files)
        known = [FORMAT, slide, self.part, self.parts, self.path, _told(self.options)]
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()


@dataclass(frozen=True)
class ShardRecord:
    """The record of a finished shard: ``facts`` about the whole slide, and digests of this part of it.

    A slide of which no spot is left has no facts.
    """

    key: str
    spots: int
    size: int
    left_out: str | None
    image_file: str
    images: str
    counts: str
    facts: SlideFacts | None


def placing(out: str | Path, name: str | Path) -> AbstractContextManager[Path]:
    """Give a path to write a file of a published folder to, as `replacing` does.

    Unfinished files lie in a folder that is not published, whatever reads or uploads the others.
    """
    return replacing(Path(out, name), Path(out, WORK, "tmp"))


def find_done(shard: Shard) -> ShardRecord | None:
    """Return the record of a finished shard, if it was made from the same files with the same options."""
    try:
        record = json.loads(shard.marker.read_text())
        if record.pop("sha256") != _digest(record):
            return None
        facts = record.pop("facts")
        done = ShardRecord(**record, facts=SlideFacts(**facts) if facts else None)
        size = 0 if done.left_out else os.stat(Path(shard.out, shard.path)).st_size
        same = (done.key, done.size) == (shard.key(), size) and shard.totals.exists()
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        RecursionError,
    ):  # there is none, or it is damaged: the shard is made again
        return None
    return done if same else None


def write_shard(shard: Shard) -> ShardRecord:
    """Write one shard, its table of genes and then its marker, each under a temporary name first.

    Raises
    ------
    OutputError
        If the disk is full or read-only.
    DataError
        As `open_spots` and `read_batches` do; if the slide's files change meanwhile.
    """
    key, path = shard.key(), Path(shard.out, shard.path)
    spots, left_out = _open(shard)
    vocabulary = load_vocabulary(shard.vocabulary)
    record = _Record(len(vocabulary.names))
    if spots is None or left_out:
        with writable(shard.out):
            path.unlink(missing_ok=True)  # an earlier run may have had patches of it
    else:
        with placing(shard.out, shard.path) as temporary:
            write_spots(temporary, _tables(shard, spots, record), vocabulary, shard.options.cells)
            if replace(shard, slide=with_current_stamps(shard.slide)).key() != key:
                raise DataError(f"{shard.slide.name}: one of its files changed while it was read; run again")
    with placing(shard.out, shard.totals) as temporary:
        totals = record.totals(vocabulary.ids_of(spots.genes if spots else (), shard.slide.counts))
        pq.write_table(totals, temporary, write_page_checksum=True)
    size = 0 if left_out else path.stat().st_size
    image_file = _file_digest(spots.image_path) if spots and shard.part == 0 else ""
    facts = SlideFacts.from_spots(spots) if spots else None
    done = ShardRecord(key, record.spots, size, left_out, image_file, *record.digests(), facts)
    with placing(shard.out, shard.marker) as temporary:
        record = asdict(done)
        temporary.write_text(json.dumps(record | {"sha256": _digest(record)}, indent=1, ensure_ascii=False))
    return done


def _told(options: ShardOptions) -> dict:
    told = asdict(options)
    return told if options.cells else {name: value for name, value in told.items() if name != "cells"}


def _open(shard: Shard) -> tuple[Spots | None, str | None]:
    """Return the slide's spots, or None and why the slide is left out."""
    spots, options = None, shard.options
    try:
        spots = open_spots(shard.slide, options.on_mismatch, options.max_image_pixels)
        check_asked_for(spots, options.patch, None)
    except DataError as error:
        if options.on_mismatch != "drop" or not (spots or isinstance(error, NoSpotLeft)):
            raise
        return spots, str(error)
    return spots, None


class _Record:
    """Counts and digests, collected while spots pass by."""

    def __init__(self, genes: int):
        self.spots = 0
        self._spots, self._total = np.zeros(genes, np.int64), np.zeros(genes)
        self._images, self._counts = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16)

    def add(self, table: pa.Table) -> None:
        ids, counts = (table[name].combine_chunks().flatten().to_numpy() for name in ("gene_ids", "counts"))
        self.spots += len(table)
        self._spots += np.bincount(ids, minlength=len(self._spots))
        self._total += np.bincount(ids, counts, minlength=len(self._total))
        self._counts.update(ids.tobytes() + counts.tobytes())
        for image in table["image"].combine_chunks().field("bytes"):
            self._images.update(image.as_buffer())

    def totals(self, genes: np.ndarray) -> pa.Table:
        """Return the table of the slide's genes."""
        genes = np.sort(genes)
        return pa.table({"gene_id": genes, "spots": self._spots[genes], "total": self._total[genes]})

    def digests(self) -> tuple[str, str]:
        return self._images.hexdigest(), self._counts.hexdigest()


def _tables(shard: Shard, spots: Spots, record: _Record) -> Iterator[pa.Table]:
    options, n = shard.options, len(spots)
    begin, end = (n * k // shard.parts for k in (shard.part, shard.part + 1))
    genes, encode = load_vocabulary(shard.vocabulary), encoder(options.image_format, options.jpeg_quality)
    for table in spot_tables(spots, options.patch, genes, encode, begin, end, classes=options.cells or ()):
        record.add(table)
        yield table


def _digest(record: dict) -> str:
    return hashlib.sha256(json.dumps(record).encode()).hexdigest()


def _file_digest(path: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
