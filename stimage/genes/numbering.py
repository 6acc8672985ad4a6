"""The ids of a root's genes: one numbering for all its slides, so that an id never depends on the choice of slides.

A root's own ``genes.parquet`` decides. Without one, ids follow from the root's slides alone: slides are sorted by name,
and each slide's genes, in the order of its count file, get the next ids when they are first met.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa

from stimage.core.access import is_local
from stimage.core.errors import DataError, OutputError
from stimage.core.files import write_text
from stimage.core.storage import cache_folder, list_folder, local_copy
from stimage.genes.headers import header_digests, header_genes
from stimage.genes.vocabulary import GENES_FILE, NUMBER, add_genes, load_vocabulary, write_vocabulary
from stimage.slides.catalog import Catalog, Slide
from stimage.slides.names import fold_name

THREADS, BATCH = 4, 32  # that look for new genes at once, and lines that each takes


def root_vocabulary(catalog: Catalog) -> str:
    """Return the path of a root's ``genes.parquet``: the root's own, or one that is made once and kept in the cache.

    To make it, the first line of each slide's count file is read, for all slides of the root. A slide that lacks a file
    or its row of the meta file is left out.

    Raises
    ------
    DataError
        If the first line of any slide's count file can't be read, or has no gene names.
    """
    if own := list_folder(catalog.root, "", catalog.access).get(GENES_FILE):
        return local_copy(own["url"], catalog.access)
    slides = numbered_slides(catalog)
    with _all_are_needed(catalog.root):
        digests = header_digests(slides)
        path = cache_folder() / f"genes-{hashlib.sha256(' '.join(digests).encode()).hexdigest()[:24]}.parquet"
        with suppress(DataError):  # there is none yet, or it is damaged
            return load_vocabulary(str(path)).path
        write_vocabulary(path, _first_met(slides, digests))
    return str(path)


def numbered_slides(catalog: Catalog) -> list[Slide]:
    """Return the slides that can be read, in the order in which their genes are numbered: by name; no image alone."""
    return _by_name(slide for slide in catalog.slides if slide.name not in catalog.broken)


def _by_name(slides: Iterable[Slide]) -> list[Slide]:
    return sorted((slide for slide in slides if not slide.image_alone), key=lambda slide: fold_name(slide.name))


def gene_names_of(root: str, slides: Sequence[Slide]) -> list[str]:
    """Return the genes of slides of a root in the order in which they are first met, slides sorted by name.

    Raises
    ------
    DataError
        As `root_vocabulary` does.
    """
    slides = _by_name(slides)
    with _all_are_needed(root):
        return _first_met(slides, header_digests(slides))


def ids_digest(catalog: Catalog, slides: Sequence[Slide]) -> str:
    """Return a digest of the gene ids of some of a root's slides; it changes when one of these ids does.

    Raises
    ------
    DataError
        As in `root_vocabulary`, and if the root's own ``genes.parquet`` lacks a gene of these slides.
    """
    vocabulary, slides = load_vocabulary(root_vocabulary(catalog)), [one for one in slides if not one.image_alone]
    digests = header_digests(slides)
    known = json.dumps([vocabulary.digest, digests])
    kept = cache_folder() / "ids" / hashlib.sha256(known.encode()).hexdigest()
    with suppress(OSError, ValueError):  # there is none yet, or it is damaged
        if len(told := kept.read_text()) == 64:
            return told
    genes = _first_met(slides, digests)
    if lacks := set(genes).difference(vocabulary.names):
        for slide, digest in zip(slides, digests):  # whose they are
            if lacks & set(own := header_genes(slide, digest).to_pylist()):
                vocabulary.ids_of(own, slide.counts)
    ids = sorted(zip(vocabulary.ids_of(genes, catalog.root).tolist(), genes))
    found = hashlib.sha256(json.dumps(ids).encode()).hexdigest()
    with suppress(OutputError):  # of a cache that is full or may not be written
        write_text(kept, found)
    return found


def extend_root(catalog: Catalog, slides: Sequence[Slide]) -> str:
    """Return the path of a root's ``genes.parquet``, after adding genes of the slides that it lacks.

    If it lacks one, the genes of all slides of the root are added, so that an id does not depend on the choice of
    slides.

    Raises
    ------
    DataError
        As in `root_vocabulary`, and if the root's own ``genes.parquet`` lacks genes and can't be written.
    """
    vocabulary = load_vocabulary(root_vocabulary(catalog))
    lacks = set(gene_names_of(catalog.root, slides)).difference(vocabulary.names)
    if not lacks:
        return vocabulary.path
    try:
        if not is_local(catalog.root):
            raise DataError(f"{catalog.root}: is not of this machine")
        add_genes(Path(catalog.root, GENES_FILE), gene_names_of(catalog.root, numbered_slides(catalog)))
    except DataError as error:
        raise DataError(
            f"{catalog.root}/{GENES_FILE}: lacks {len(lacks)} genes of the root's slides, such as {min(lacks)!r}, and "
            f"cannot be changed here ({error}). Run {NUMBER} {catalog.root} --out {GENES_FILE}, and put the new file "
            "into the root"
        ) from error
    return root_vocabulary(catalog)


def number_root(catalog: Catalog, slides: Sequence[Slide], out: Path) -> tuple[int, int]:
    """Write a ``genes.parquet`` with a root's ids and, at their end, new ids for the genes of slides that it lacks.

    Parameters
    ----------
    out
        The root's own file, or another one. An existing file is only added to.

    Returns
    -------
    tuple of int
        The number of genes that had ids, and the number that was added.

    Raises
    ------
    DataError
        If a ``genes.parquet`` is damaged, the two have other ids, or a slide's gene names can't be read.
    """
    names = gene_names_of(catalog.root, slides)
    own = list_folder(catalog.root, "", catalog.access).get(GENES_FILE)
    if not own or os.path.realpath(own["url"]) == os.path.realpath(out):
        return add_genes(out, names)
    here = load_vocabulary(local_copy(own["url"], catalog.access)).names
    there = load_vocabulary(str(out)).names if out.exists() else ()
    if any(a != b for a, b in zip(here, there)):
        raise DataError(f"{out}: has other ids than {own['url']}; pass another --out")
    known = max(here, there, key=len)
    return len(known), sum(add_genes(out, (*known, *names))) - len(known)


@contextmanager
def _all_are_needed(root: str) -> Iterator[None]:
    """Say, where a slide's gene names can't be read, how to do without that slide."""
    try:
        yield
    except OutputError:  # the slides are right, and the cache can't be written
        raise
    except DataError as error:
        raise DataError(
            f"{error}; run it again, or mend or remove the file. To go on without this slide, run {NUMBER} {root} "
            f"--slides … with the slides that you need: it makes a {GENES_FILE}, after which no other slide is read"
        ) from error


def _first_met(slides: Sequence[Slide], digests: Sequence[str]) -> list[str]:
    """Return the genes of slides in the order in which they are first met."""
    first = dict(zip(reversed(digests), reversed(slides)))
    lines = [(first[digest], digest) for digest in dict.fromkeys(digests)]
    with ThreadPoolExecutor(THREADS) as pool:
        parts = list(pool.map(_genes_of_some, (lines[k : k + BATCH] for k in range(0, len(lines), BATCH))))
    return pa.chunked_array(parts, pa.string()).unique().to_pylist()


def _genes_of_some(lines: Sequence[tuple[Slide, str]]) -> pa.Array:
    return pa.chunked_array([header_genes(slide, digest) for slide, digest in lines], pa.string()).unique()
