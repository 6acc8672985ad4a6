"""The vocabulary: all genes of a root under one numbering, so that a gene's id never depends on what is selected.

A root's own ``genes.parquet`` rules. Without one, ids follow from the root's slides alone: sorted by name, each slide's
genes in the order of its count file, numbered as they are first met.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stimage.errors import DataError
from stimage.files import locked, replacing
from stimage.genes.headers import genes_of, header_digests
from stimage.slides import Catalog, Slide
from stimage.slides.names import fold
from stimage.slides.storage import cache_folder, is_local, list_folder, local_copy

NAME = "genes.parquet"
METADATA = b"stimage_1k4m"  # key of what genes.parquet and shards say of their vocabulary
NUMBER = "scripts/data_process/number_genes.py"


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Gene names; a gene's id is its place. ``path`` is the Parquet file with the columns ``id`` and ``name``."""

    names: tuple[str, ...]
    path: str

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the names in order; see `digest_of`."""
        return digest_of(self.names)

    def begins_with(self, genes: int, digest: str) -> bool:
        """Say whether its first so many names have this digest: whether it was only added to since it had no more."""
        found = self.digest if genes == len(self.names) else digest_of(self.names[:genes])
        return genes <= len(self.names) and found == digest

    @cached_property
    def metadata(self) -> dict[bytes, bytes]:
        """What Parquet files say of the vocabulary that their gene ids are of."""
        return {METADATA: json.dumps({"genes": len(self.names), "sha256": self.digest}).encode()}

    def ids_of(self, genes: Iterable[str], where: str) -> np.ndarray:
        """Return the id (int32) of each gene.

        Raises
        ------
        DataError
            If the vocabulary lacks a gene of ``where``.
        """
        try:
            return np.array([self._ids[gene] for gene in genes], np.int32)
        except KeyError as error:
            raise DataError(
                f"{where}: gene {error.args[0]!r} is not among the numbered genes ({self.path}); "
                f"add it at their end by {NUMBER} ROOT"
            ) from None

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}


def digest_of(names: Iterable[str]) -> str:
    """Return the SHA-256, as 64 hexadecimal digits, of names in order, each in UTF-8 with a line end after it."""
    return hashlib.sha256("".join(f"{name}\n" for name in names).encode()).hexdigest()


def load_vocabulary(path: str) -> Vocabulary:
    """Read a ``genes.parquet``.

    Raises
    ------
    DataError
        If it is none, is damaged, or numbers a gene twice.
    """
    try:
        stat = os.stat(path)
    except OSError as error:
        raise DataError(f"{path}: is no vocabulary with the columns id and name ({error})") from None
    return _load(path, (stat.st_mtime_ns, stat.st_size, stat.st_ino))


def load_as_it_was(path: str, genes: int, digest: str) -> Vocabulary:
    """Read a ``genes.parquet`` that began so when it was first read.

    Raises
    ------
    DataError
        As `load_vocabulary` does, or if it numbers genes otherwise now.
    """
    vocabulary = load_vocabulary(path)
    if not vocabulary.begins_with(genes, digest):
        raise DataError(f"{path}: numbers genes otherwise than when the data set was loaded; load it again")
    return vocabulary


@lru_cache(maxsize=4)
def _load(path: str, _stamp: tuple[int, ...]) -> Vocabulary:
    try:
        table = pq.read_table(path, columns=["id", "name"], page_checksum_verification=True)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{path}: is no vocabulary with the columns id and name ({error})") from None
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
    """Number the genes that a ``genes.parquet`` lacks, at its end; without one, make it. An id never changes.

    Those that add at once wait for each other, and none is lost.

    Returns
    -------
    tuple of int
        How many genes were there, and how many are added.
    """
    with locked(path.parent):
        known = load_vocabulary(str(path)).names if path.exists() else ()
        both = tuple(dict.fromkeys((*known, *names)))
        if len(both) > len(known):
            write_vocabulary(path, both)
    return len(known), len(both) - len(known)


def root_vocabulary(catalog: Catalog) -> str:
    """Return the path of a root's ``genes.parquet``: the one in the root, or one made once and kept in the cache.

    To make it, the first line of each slide's count file is read, whatever is selected. A slide that lacks a file or its
    row of the meta file takes no part.

    Raises
    ------
    DataError
        If the first line of any slide's count file can't be read, or is none of gene names.
    """
    if own := list_folder(catalog.root, "", catalog.access).get(NAME):
        return local_copy(own["url"], catalog.access)
    slides = numbered_slides(catalog)
    digests = _digests(catalog.root, slides)
    path = cache_folder() / f"genes-{hashlib.sha256(' '.join(digests).encode()).hexdigest()[:24]}.parquet"
    with suppress(DataError):  # there is none yet, or it is damaged
        return load_vocabulary(str(path)).path
    write_vocabulary(path, _first_met(slides, digests))
    return str(path)


def numbered_slides(catalog: Catalog) -> list[Slide]:
    """Return the slides that can be read, in the order in which their genes are numbered: by name."""
    return _by_name(slide for slide in catalog.slides if slide.name not in catalog.broken)


def _by_name(slides: Iterable[Slide]) -> list[Slide]:
    return sorted(slides, key=lambda slide: fold(slide.name))


def gene_names_of(root: str, slides: Sequence[Slide]) -> list[str]:
    """Return the genes of slides of a root in the order in which they are first met, slides sorted by name.

    Raises
    ------
    DataError
        As `root_vocabulary` does.
    """
    slides = _by_name(slides)
    return _first_met(slides, _digests(root, slides))


def ids_digest(catalog: Catalog, slides: Sequence[Slide]) -> str:
    """Digest the ids that the genes of some of a root's slides have: it changes when one of these ids does.

    Raises
    ------
    DataError
        As `root_vocabulary` does, or if the root's own ``genes.parquet`` lacks a gene of these slides.
    """
    vocabulary = load_vocabulary(root_vocabulary(catalog))
    digests = header_digests(slides)
    known = json.dumps([vocabulary.digest, digests])
    kept = cache_folder() / "ids" / hashlib.sha256(known.encode()).hexdigest()
    with suppress(OSError):
        if len(told := kept.read_text()) == 64:
            return told
    found = hashlib.sha256()
    for digest, slide in sorted(dict(zip(digests, slides)).items()):
        found.update(digest.encode() + vocabulary.ids_of(genes_of(slide, digest), slide.counts).tobytes())
    with replacing(kept) as unfinished:
        unfinished.write_text(found.hexdigest())
    return found.hexdigest()


def extend_root(catalog: Catalog, slides: Sequence[Slide]) -> str:
    """Return the path of a root's ``genes.parquet``, to which the genes of slides that it lacks are added.

    If it lacks one, the genes of all slides of the root are added, so that an id does not depend on what is selected.

    Raises
    ------
    DataError
        As `root_vocabulary` does, or if the root's own ``genes.parquet`` lacks genes and can't be written.
    """
    vocabulary = load_vocabulary(root_vocabulary(catalog))
    lacks = set(gene_names_of(catalog.root, slides)).difference(vocabulary.names)
    if not lacks:
        return vocabulary.path
    try:
        if not is_local(catalog.root):
            raise DataError(f"{catalog.root}: is not of this machine")
        add_genes(Path(catalog.root, NAME), gene_names_of(catalog.root, numbered_slides(catalog)))
    except DataError as error:
        raise DataError(
            f"{catalog.root}/{NAME}: lacks {len(lacks)} genes of its slides, such as {min(lacks)!r}, which can't be "
            f"added here ({error}); run {NUMBER} {catalog.root} --out {NAME}, and put that file into the root"
        ) from error
    return root_vocabulary(catalog)


def number_root(catalog: Catalog, slides: Sequence[Slide], out: Path) -> tuple[int, int]:
    """Write a ``genes.parquet`` that has a root's ids and, at their end, those of the genes of slides that it lacks.

    Parameters
    ----------
    out
        The root's own; or another file, which is only added to if it is there.

    Returns
    -------
    tuple of int
        How many genes had ids, and how many are added.

    Raises
    ------
    DataError
        If a ``genes.parquet`` is damaged, the two have other ids, or a slide's gene names can't be read.
    """
    names = gene_names_of(catalog.root, slides)
    own = list_folder(catalog.root, "", catalog.access).get(NAME)
    if not own or os.path.realpath(own["url"]) == os.path.realpath(out):
        return add_genes(out, names)
    here = load_vocabulary(local_copy(own["url"], catalog.access)).names
    there = load_vocabulary(str(out)).names if out.exists() else ()
    if any(a != b for a, b in zip(here, there)):
        raise DataError(f"{out}: has other ids than {own['url']}; pass another --out")
    known = max(here, there, key=len)
    return len(known), sum(add_genes(out, (*known, *names))) - len(known)


def _digests(root: str, slides: Sequence[Slide]) -> list[str]:
    return header_digests(
        slides,
        f"mend or remove the file, or number the genes of other slides, {NUMBER} {root} --slides …: the root then has a "
        f"{NAME}, and other slides' files are not looked at any more",
    )


def _first_met(slides: Sequence[Slide], digests: Sequence[str]) -> list[str]:
    names: dict[str, None] = {}
    first = dict(zip(reversed(digests), reversed(slides)))
    for digest in dict.fromkeys(digests):
        names |= dict.fromkeys(genes_of(first[digest], digest))
    return list(names)
