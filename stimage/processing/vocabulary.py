"""The vocabulary: all genes of a root under one numbering, so that a gene's id never depends on what is selected."""

import hashlib
import logging
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from stimage.errors import DataError
from stimage.slides.catalog import Catalog, Slide, root_fingerprint
from stimage.slides.counts import parse_header
from stimage.slides.storage import cache_folder, first_line, is_local, list_folder, local_copy

NAME = "genes.parquet"
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Gene names; a gene's id is its place. ``path`` is the Parquet file with the columns ``id`` and ``name``."""

    names: tuple[str, ...]
    path: str

    def ids_of(self, genes: Iterable[str], where: str) -> np.ndarray:
        """Return the id (int32) of each gene.

        Raises
        ------
        DataError
            If the vocabulary lacks a gene of ``where``.
        """
        places = _places(self)
        try:
            return np.array([places[gene] for gene in genes], np.int32)
        except KeyError as error:
            raise DataError(
                f"{where}: gene {error.args[0]!r} is not among the numbered genes ({self.path}); "
                f"add it at the end of the root's own {NAME}"
            ) from None


def load_vocabulary(path: str) -> Vocabulary:
    """Read a ``genes.parquet``."""
    return _load(path, os.stat(path).st_mtime_ns if os.path.exists(path) else 0)


@lru_cache(maxsize=4)
def _load(path: str, _changed: int) -> Vocabulary:
    try:
        table = pq.read_table(path, columns=["id", "name"])
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: is no vocabulary with the columns id and name ({error})") from None
    if not np.array_equal(table["id"].to_numpy(), np.arange(len(table))):
        raise DataError(f"{path}: ids must count from 0 in steps of 1")
    return Vocabulary(tuple(table["name"].to_pylist()), path)


@lru_cache(maxsize=4)
def _places(vocabulary: Vocabulary) -> dict[str, int]:
    return {name: i for i, name in enumerate(vocabulary.names)}


def root_vocabulary(catalog: Catalog) -> str:
    """Return the path of a root's ``genes.parquet``: the one in the root, or one made once and kept in the cache.

    To make it, the first line of each slide's count file is read, whatever is selected; genes are numbered as they
    first occur, slides in the catalog's order. A slide whose header can't be read is left out, with a warning.
    """
    if own := list_folder(catalog.root, "", catalog.access).get(NAME):
        return local_copy(own["url"], catalog.access)
    slides = [slide for slide in catalog.slides if slide.counts]
    fingerprint = root_fingerprint(catalog.root, catalog.access)
    key = hashlib.sha256(f"{catalog.root} {fingerprint}".encode()).hexdigest()[:24]
    path = cache_folder() / f"genes-{key}.parquet"
    if not path.exists():
        names = _all_genes(slides)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}")
        pq.write_table(pa.table({"id": pa.array(range(len(names)), pa.int32()), "name": names}), unfinished)
        unfinished.replace(path)
    return str(path)


def _all_genes(slides: list[Slide]) -> list[str]:
    names = {}
    quiet = len(slides) < 100 and all(is_local(slide.counts) for slide in slides)
    with ThreadPoolExecutor(1 if quiet else 16) as pool:
        for genes in tqdm(pool.map(_genes, slides), "Reading gene names", len(slides), unit="slide", disable=quiet):
            names.update(dict.fromkeys(genes))
    return list(names)


def _genes(slide: Slide) -> list[str]:
    try:
        return parse_header(first_line(slide.counts, slide.access), slide.counts)
    except (DataError, OSError) as error:
        log.warning("left out of the vocabulary: %s", error)
        return []
