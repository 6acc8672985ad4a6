"""The vocabulary: numbered gene names in ``genes.parquet``, to which genes are only ever added."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stimage.core.errors import DataError, one_line, unreadable
from stimage.core.files import locked, replacing
from stimage.core.storage import file_state

GENES_FILE = "genes.parquet"
METADATA = b"stimage_1k4m"  # key of what genes.parquet and shards say of their vocabulary
NUMBER = "python -m stimage number-genes"


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Gene names; the id of a gene is its place. ``path`` is the Parquet file with the columns ``id`` and ``name``."""

    names: tuple[str, ...]
    path: str

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the names in order; see `names_digest`."""
        return names_digest(self.names)

    def begins_with(self, genes: int, digest: str) -> bool:
        """Return whether the first ``genes`` names have this digest: names were then only added since."""
        found = self.digest if genes == len(self.names) else names_digest(self.names[:genes])
        return genes <= len(self.names) and found == digest

    @cached_property
    def metadata(self) -> dict[bytes, bytes]:
        """The entries in a Parquet file's metadata that name the vocabulary of its gene ids."""
        return {METADATA: json.dumps({"genes": len(self.names), "sha256": self.digest}).encode()}

    def ids_of(self, genes: Iterable[str], source: str) -> np.ndarray:
        """Return the id (int32) of each gene.

        Raises
        ------
        DataError
            If the vocabulary lacks a gene of ``source``.
        """
        try:
            return np.fromiter(map(self._ids.__getitem__, genes), np.int32)
        except KeyError as error:
            raise DataError(
                f"{source}: gene {error.args[0]!r} has no id in {self.path}; run {NUMBER} ROOT, which adds such genes "
                "at the end of that file"
            ) from None

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}


def names_digest(names: Iterable[str]) -> str:
    """Return the SHA-256, as 64 hexadecimal digits, of names in order, each in UTF-8 with a line end after it."""
    return hashlib.sha256("".join(f"{name}\n" for name in names).encode()).hexdigest()


def load_vocabulary(path: str) -> Vocabulary:
    """Read a ``genes.parquet``.

    Raises
    ------
    DataError
        If the file is no such file, is damaged, or numbers a gene twice.
    """
    try:
        state = file_state(path)
    except OSError as error:
        raise unreadable(path, error, f"is no vocabulary with the columns id and name ({one_line(error)})") from None
    return _load(path, state)


def load_as_it_was(path: str, genes: int, digest: str) -> Vocabulary:
    """Read a ``genes.parquet`` that had these first genes when it was read before.

    Raises
    ------
    DataError
        As in `load_vocabulary`, and if it now numbers genes otherwise.
    """
    vocabulary = load_vocabulary(path)
    if not vocabulary.begins_with(genes, digest):
        raise DataError(f"{path}: gives genes other ids than when the data set was loaded; load the data set again")
    return vocabulary


@lru_cache(maxsize=4)
def _load(path: str, _stamp: tuple[int, ...]) -> Vocabulary:
    try:
        table = pq.read_table(path, columns=["id", "name"], page_checksum_verification=True)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise unreadable(path, error, f"is no vocabulary with the columns id and name ({one_line(error)})") from None
    if not np.array_equal(table["id"].to_numpy(), np.arange(len(table))):
        raise DataError(f"{path}: ids must count from 0 in steps of 1")
    names = tuple(table["name"].to_pylist())
    if not all(isinstance(name, str) for name in names):
        raise DataError(f"{path}: each gene must have a name, a text")
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise DataError(f"{path}: gene {twice!r} has two ids; which one spots have is not known")
    vocabulary = Vocabulary(names, path)
    told = (table.schema.metadata or {}).get(METADATA)
    if told not in (None, vocabulary.metadata[METADATA]):
        raise DataError(f"{path}: is damaged: its names are not those that were written; get it again")
    return vocabulary


def write_vocabulary(path: Path, names: Sequence[str]) -> None:
    """Write a ``genes.parquet``, whole or not at all."""
    ids = pa.array(range(len(names)), pa.int32())
    table = pa.table({"id": ids, "name": pa.array(names, pa.string())})
    with replacing(path) as unfinished:
        metadata = Vocabulary(tuple(names), str(path)).metadata
        pq.write_table(table.replace_schema_metadata(metadata), unfinished, write_page_checksum=True)


def add_genes(path: Path, names: Iterable[str]) -> tuple[int, int]:
    """Add the genes that a ``genes.parquet`` lacks at its end, or make the file; an id never changes.

    Processes that add at the same time wait for each other, so no gene is lost.

    Returns
    -------
    tuple of int
        The number of genes that were there, and the number that was added.
    """
    with locked(path.parent):
        known = load_vocabulary(str(path)).names if path.exists() else ()
        both = tuple(dict.fromkeys((*known, *names)))
        if len(both) > len(known):
            write_vocabulary(path, both)
    return len(known), len(both) - len(known)
