"""The places of rows in a count file, found once and kept in the cache until the file changes.

To find the rows, the whole file is read: 20 GB for a Visium HD slide. Without the cache, each process would read it in
each epoch.
"""

import hashlib
import os
import zlib
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from stimage.core.errors import DataError
from stimage.core.files import replacing
from stimage.core.storage import cache_folder
from stimage.slides.counts.count_file import index_rows
from stimage.slides.counts.rows import RowIndex

KEPT_FROM = 1 << 20  # bytes of a count file; a smaller one is read faster than its index is looked up
CHECKED = 4  # bytes at a kept index' end: the checksum of those before


def kept_index(path: str) -> RowIndex:
    """Return the same as `index_rows`, from the cache if the file did not change; else index the file anew.

    A damaged index is made again, and an index that can't be written is not kept. The reader of rows must compare their
    ids with the index, and `forget` it if they differ: a file may change and keep its size and time.
    """
    state = os.stat(path)
    if state.st_size < KEPT_FROM:
        return index_rows(path)
    stamp, place = f"2 {state.st_size} {state.st_mtime_ns}".encode(), _place(path)
    if (kept := _read(place, stamp)) is not None:
        return kept
    index = index_rows(path)
    with suppress(DataError, OSError):  # of a cache that is full or may not be written
        _write(place, stamp, index)
    if (kept := _read(place, stamp)) is not None:  # mapped, it takes no memory
        del index
        pa.default_memory_pool().release_unused()
        return kept
    return index


def forget(path: str) -> None:
    """Remove a file's index from the cache."""
    with suppress(OSError):
        _place(path).unlink()


def _place(path: str) -> Path:
    name = hashlib.sha256(os.path.abspath(path).encode()).hexdigest()[:32]
    return cache_folder() / "rows" / f"{name}.arrow"


def _read(place: Path, stamp: bytes) -> RowIndex | None:
    """Return the index that is kept at a place, memory-mapped; None if there is none, or none with this stamp."""
    try:
        with pa.memory_map(str(place)) as file:
            buffer = file.read_buffer()
        body, end = buffer[: len(buffer) - CHECKED], buffer[len(buffer) - CHECKED :]
        if zlib.crc32(body).to_bytes(CHECKED, "little") != end.to_pybytes():
            return None
        reader = pa.ipc.open_file(body)
        if (reader.schema.metadata or {}).get(b"stamp") != stamp:
            return None
        table = reader.read_all()
        return RowIndex(table["id"], table["start"].to_numpy(), table["end"].to_numpy())
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return None


def _write(place: Path, stamp: bytes, index: RowIndex) -> None:
    """Write an index with its checksum behind it; other processes see the whole index or none."""
    table = pa.table({"id": index.ids, "start": index.start, "end": index.end}).replace_schema_metadata(
        {"stamp": stamp}
    )
    with replacing(place) as unfinished:
        with pa.ipc.new_file(unfinished, table.schema) as writer:
            writer.write_table(table)
        checksum = 0
        with unfinished.open("r+b") as file:
            while chunk := file.read(1 << 20):
                checksum = zlib.crc32(chunk, checksum)
            file.write(checksum.to_bytes(CHECKED, "little"))
