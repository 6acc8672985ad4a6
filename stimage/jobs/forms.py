"""A root's slides in other forms: counts in place, and slides as files that others read."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from stimage.core.access import is_local
from stimage.core.arguments import path_of
from stimage.core.errors import DataError, shown
from stimage.evaluation.embeddings import Embeddings, read_embeddings
from stimage.formats.written.exports import EXPORTS
from stimage.formats.written.options import SpotVectors
from stimage.genes.panels import Panel
from stimage.jobs.anndata_slides import slides_left, writing_options
from stimage.jobs.roots import Root, open_unpublished
from stimage.slides.counts.converting import WRITERS, Converted, convert
from stimage.slides.images.views import IMAGE_PX
from stimage.slides.missing import need_counts

log = logging.getLogger(__name__)


def convert_counts(root: str | Path | Root, to: str = "h5") -> Iterator[Converted]:
    """Write the counts of slides in another form, each instead of the file that is there.

    Examples and gene ids stay as they are. Sparse HDF5 has the counts alone, compressed; the wide CSV has each zero.
    What was opened before, such as a `Root` or a streamed data set, looks for the old files: open it again.

    Parameters
    ----------
    root
        What `open_root` takes or returns: a folder of this machine.
    to
        "h5": HDF5 as 10x Genomics writes it, which scanpy's ``read_10x_h5`` reads. "csv": the data set's own form.

    Returns
    -------
    Iterator of Converted
        Of each slide, once its file is in place: ``slide``, and the bytes ``before`` and ``after``.

    Raises
    ------
    DataError
        If all slides are images alone. If counts can't be read, or are no whole numbers and are to become HDF5; this
        slide's file is then as it was.
    ValueError
        If there is no such form.

    Examples
    --------
    >>> import stimage
    >>> root = stimage.open_root("sample", "Visium", species="human")
    >>> [one.slide for one in stimage.convert_counts(root, "h5")]
    ['Human_Breast_Sample3_Visium_A1']
    >>> root = stimage.open_root("sample", "Visium", species="human")
    >>> [one.slide for one in stimage.convert_counts(root, "csv")]
    ['Human_Breast_Sample3_Visium_A1']
    """
    if to not in WRITERS:
        raise ValueError(f"to={to!r}: pass one of {', '.join(WRITERS)}")
    root = open_unpublished(root)
    if not is_local(root.catalog.root):
        raise DataError(f"{root.location}: can't be written from here; copy the root to this machine first")
    if alone := [slide.name for slide in root.slides if slide.image_alone]:
        if len(alone) == len(root.slides):
            need_counts(root.slides, "another form of them", "name other slides as slides= (--slides)")
        log.warning("images alone have no counts, and stay as they are: %s", shown(alone))
    counted = [slide for slide in root.slides if not slide.image_alone]
    return convert(counted, Path(root.catalog.root), to)


def export_slides(
    root: str | Path | Root,
    out: str | Path,
    to: str = "h5ad",
    *,
    one_file: bool = False,
    panel: Panel | Sequence[str] | str | Path | None = None,
    normalise: str = "counts",
    gene_table: str | Path | None = None,
    names: str = "symbol",
    image_px: int = IMAGE_PX,
    embeddings: Mapping[str, "pd.DataFrame | Embeddings | str | Path"] | None = None,
    progress: bool = False,
) -> dict[str, Path]:
    """Write slides in a format that others read, each whole or not at all; what is there under its name is replaced.

    Memory is that of a block of counts, some tiles of the image, and what is told of a slide's spots.

    Parameters
    ----------
    root
        What `open_root` takes or returns; of an opened one, the slides that are meant, ``um_per_px`` and
        ``on_mismatch`` are heeded.
    out
        A folder for a file a slide, called after it; with ``one_file``, the file.
    to
        "h5ad": what `read_slide` returns, for scanpy and squidpy. "spatialdata": a SpatialData store (SLIDE.zarr) of
        the image with its pyramid, spots as circles, or squares of Visium HD, and a table of counts, in the coordinate
        systems "global", of pixels, and "micrometers".
    one_file
        All slides in one file, which then has the genes that all have: of "h5ad".
    panel, normalise, gene_table, names, image_px
        As `read_slide` takes them.
    embeddings
        Key of ``obsm``, such as "X_clip" → what `embed` returns, or where it wrote it: a folder, a Parquet file, or a
        CSV with the spot ids first. They are joined by spot id. A spot that has none is an error, or, of a root that
        was opened with ``on_mismatch="drop"``, gets NaN; those of other spots are counted, and the log says how many.
    progress
        Whether to show on a terminal how far it is.

    Returns
    -------
    dict of str to pathlib.Path
        Slide → the file, or store, that has it.

    Raises
    ------
    DataError
        If a slide can't be read or lacks a gene of the panel, a spot has no embedding, or there is no writing to
        ``out``. Slides before it are written then.
    ValueError
        If an argument has a value that it can't have.

    Examples
    --------
    >>> import stimage
    >>> root = stimage.open_root("sample", "Visium", species="human")
    >>> [path.name for path in stimage.export_slides(root, "files").values()]
    ['Human_Breast_Sample3_Visium_A1.h5ad']
    """
    if to not in EXPORTS:
        raise ValueError(f"to={to!r}: pass one of {', '.join(EXPORTS)}")
    form = EXPORTS[to]
    if one_file and not form.joins:
        raise ValueError(f"one_file= (--one-file): a file of {to} has one slide; leave it out")
    root, out = open_unpublished(root), path_of(out, "out")
    options = writing_options(root, panel, normalise, gene_table, names, image_px)
    known = [slide.name for slide in root.catalog.slides]
    options = replace(options, embeddings={key: _vectors(key, of, known) for key, of in (embeddings or {}).items()})
    slides, write = slides_left(root.slides, options), form.write
    bar = partial(tqdm, unit="slide", disable=None if progress else True)
    if one_file:
        write(slides, out, options, progress=bar)
        written = {slide.name: out for slide in slides}
    else:
        written = {slide.name: form.target(out, slide.name) for slide in slides}
        for slide in bar(slides):
            write([slide], written[slide.name], options)
    for vectors in options.embeddings.values():
        if left := len(vectors.spot_ids) - vectors.taken:
            log.warning("%s: %d embeddings are of other spots than those that were written", vectors.where, left)
    return written


def _vectors(key: object, of: "pd.DataFrame | Embeddings | str | Path", slides: Sequence[str]) -> SpotVectors:
    """Return embeddings as writers take them."""
    if not isinstance(key, str) or not key or key == "spatial" or "/" in key:
        raise ValueError(f"embeddings= (--embeddings): {key!r} is no key for vectors in obsm; call it as X_clip is")
    found = read_embeddings(of, slides)
    return SpotVectors(key if isinstance(of, pd.DataFrame | Embeddings) else str(of), found.spot_ids, found.vectors)
