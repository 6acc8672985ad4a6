"""Write the slides of a root in other forms: counts in place, and slides as files for other programs."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from stimage.cells.cells import read_cells
from stimage.core.access import is_local
from stimage.core.arguments import check_one_of, path_of
from stimage.core.errors import DataError, shown
from stimage.formats.written.exports import EXPORTS, Export
from stimage.formats.written.options import HEST_PATCH, HestOptions, SpotVectors
from stimage.genes.panels import Panel
from stimage.jobs.anndata_slides import cell_columns, slides_left, writing_options
from stimage.jobs.roots import Root, open_unpublished
from stimage.loading.embeddings import Embeddings, read_embeddings
from stimage.slides.catalog import Catalog, Slide
from stimage.slides.counts.converting import WRITERS, Converted, convert
from stimage.slides.images.patches import Patch
from stimage.slides.images.views import IMAGE_PX
from stimage.slides.missing import need_counts
from stimage.slides.names import fold_name

FLAGS = {"patch": ("patch-um", "patch-px"), "patches": ("no-patches",)}  # that are not called as in Python
log = logging.getLogger(__name__)


def convert_counts(root: str | Path | Root, to: str = "h5") -> Iterator[Converted]:
    """Rewrite the counts of slides in another form, in place of the old file.

    Examples and gene ids stay the same. Sparse HDF5 has only counts above 0, compressed; the wide CSV has all zeros. A
    `Root` or a streamed data set that was opened before looks for the old files: open it again.

    Parameters
    ----------
    root
        A folder on this machine laid out as the data set, or a `Root` that `open_root` returned.
    to
        "h5" is HDF5 as 10x Genomics writes it, which scanpy's ``read_10x_h5`` reads. "csv" is the data set's own form.

    Returns
    -------
    Iterator of Converted
        For each slide, once its file is in place: ``slide``, and the bytes ``before`` and ``after``.

    Raises
    ------
    DataError
        If all slides are images alone. If counts can't be read, or are not whole numbers and should become HDF5; the
        file of this slide is then as it was.
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
    check_one_of(to, "to", WRITERS)
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
    cells: bool = False,
    embeddings: Mapping[str, "pd.DataFrame | Embeddings | str | Path"] | None = None,
    compression: str = "jpeg",
    quality: int = 90,
    patch: Patch | Mapping = HEST_PATCH,
    upsample: bool = False,
    patches: bool = True,
    progress: bool = False,
) -> dict[str, Path]:
    """Write slides in another format: .h5ad for scanpy and squidpy, SpatialData, or HEST-1k's layout.

    Each file is written whole or not at all, and replaces a file of the same name. The memory needed is a block of
    counts, some tiles of the image, and the values of a slide's spots. An option that the format does not have is
    refused.

    Parameters
    ----------
    root
        A folder laid out as the data set, or a `Root` that `open_root` returned. A `Root` chooses the slides, and its
        ``um_per_px`` and ``on_mismatch`` apply.
    out
        A folder to write one file per slide into, named after the slide. With ``one_file``, the file.
    to
        "h5ad": what `read_slide` returns. "spatialdata": a SpatialData store (SLIDE.zarr) with the image and its
        pyramid, the spots as circles (Visium HD: squares), and a table of counts, in the coordinate systems "global"
        (pixels) and "micrometers"; with ``cells``, also an element of cells. "hest": HEST-1k's layout, which is also a
        root; there, a slide that is unchanged and was written with the same options is kept.
    one_file
        For "h5ad": write all slides into one file, with the genes that all of them have.
    panel, normalise, gene_table, names, image_px, cells
        For "h5ad" and "spatialdata": genes, counts and image, as `read_slide` takes them. "hest" has the counts and
        genes as they are.
    embeddings
        For "h5ad" and "spatialdata": key of ``obsm``, such as "X_clip" → the table that `embed` returns, the folder or
        Parquet file that it wrote, or a CSV with the spot ids first. Spot ids join them. A spot without an embedding is
        an error, or gets NaN if the root was opened with ``on_mismatch="drop"``. The log says how many embeddings
        belong to other spots.
    compression, quality
        For "hest": the image's compression, "jpeg" with a quality from 1 to 100, or one that keeps pixels exactly:
        "deflate", "lzw" or "none".
    patch, upsample
        For "hest": patches as `embed` takes them, a square of ``um`` µm resampled to ``px`` pixels. The default is 112
        µm in 224 pixels.
    patches
        For "hest": whether to write patches.
    progress
        True shows the progress on a terminal.

    Returns
    -------
    dict of str to pathlib.Path
        Slide → its file or store; for "hest", the file of its counts.

    Raises
    ------
    DataError
        If a slide can't be read or lacks a gene of the panel, a spot has no embedding, or ``out`` can't be written;
        slides before it are then written. If a slide for "hest" has no counts or no trusted scale; nothing is then
        written.
    ValueError
        If an argument has a value that it can't have, or the format does not take it.

    Examples
    --------
    >>> import stimage
    >>> root = stimage.open_root("sample", "Visium", species="human")
    >>> [path.name for path in stimage.export_slides(root, "files").values()]
    ['Human_Breast_Sample3_Visium_A1.h5ad']
    """
    form, hest = _form(to, locals()), _hest_options(compression, quality, patch, upsample, patches)
    root, out = open_unpublished(root), path_of(out, "out")
    options = writing_options(root, panel, normalise, gene_table, names, image_px)
    known = [slide.name for slide in root.catalog.slides]
    vectors = {key: _vectors(key, of, known) for key, of in (embeddings or {}).items()}
    options = replace(options, embeddings=vectors, hest=replace(hest, titles=_titles(root.catalog)))
    slides, write = slides_left(root.slides, options), form.write
    if cells:
        own = partial(read_cells, root.catalog.root)
        options = replace(options, columns=cell_columns(root, slides), cells=own)
    bar = partial(tqdm, unit="slide", disable=None if progress else True)
    written = {slide.name: out if one_file else form.target(out, slide.name) for slide in slides}
    _spare_sources(slides, written)
    if one_file or form.folder:
        write(slides, out, options, progress=bar)
    else:
        for slide in bar(slides):
            write([slide], written[slide.name], options)
    for one in vectors.values():
        if left := len(one.spot_ids) - one.taken:
            log.warning("%s: %d embeddings are of other spots than those that were written", one.where, left)
    return written


def _titles(catalog: Catalog) -> dict[str, str]:
    """Return the titles of studies, by slide."""
    rows = catalog.meta or {}
    return {slide.name: rows.get(fold_name(slide.name), {}).get("title", "") for slide in catalog.slides}


def _spare_sources(slides: Sequence[Slide], written: Mapping[str, Path]) -> None:
    """Refuse to write over a slide's own counts, as where a folder of HEST's is written into itself."""
    for slide in slides:
        if is_local(slide.counts) and Path(slide.counts).resolve() == written[slide.name].resolve():
            raise DataError(f"{slide.counts}: would be replaced, and is what is to be written; choose another folder "
                            "as out= (--out)")  # fmt: skip


def _form(to: str, given: Mapping[str, Any]) -> Export:
    """Return a format; refuse, by name, options that differ from what is usual and that the format does not take."""
    check_one_of(to, "to", EXPORTS)
    usual = signature(export_slides).parameters
    for name in sorted({name for form in EXPORTS.values() for name in form.options} - EXPORTS[to].options):
        value, plain = given[name], usual[name].default
        if value is not plain and not (isinstance(value, int | str | Patch) and value == plain):
            takers = " or ".join(form for form, one in EXPORTS.items() if name in one.options)
            flags = ", ".join(f"--{flag}" for flag in FLAGS.get(name, (name.replace("_", "-"),)))
            raise ValueError(f"{name}= ({flags}) works only with to= (--to) {takers}, not with {to}; leave it out")
    return EXPORTS[to]


def _hest_options(compression: str, quality: int, patch: Patch | Mapping, upsample: bool, patches: bool) -> HestOptions:
    """Return the options of HEST's layout alone; raises `ValueError` as `export_slides` does."""
    cut = Patch.parse(patch, upsample)
    if not cut.um or cut.pyramid:
        raise ValueError(f"patch={patch!r}: HEST's patches have a size, and are cut from level 0; pass "
                         "{'um': side in µm, 'px': side in output pixels}")  # fmt: skip
    if not patches and cut != HEST_PATCH:
        raise ValueError(
            "patches= (--no-patches): leaves none for patch= (--patch-um, --patch-px) and upsample= (--upsample)"
        )
    return HestOptions(compression, quality, cut if patches else None)


def _vectors(key: object, of: "pd.DataFrame | Embeddings | str | Path", slides: Sequence[str]) -> SpotVectors:
    """Return embeddings as writers take them."""
    if not isinstance(key, str) or not key or key == "spatial" or "/" in key:
        raise ValueError(f"embeddings= (--embeddings): {key!r} is no key for vectors in obsm; call it as X_clip is")
    found = read_embeddings(of, slides)
    return SpotVectors(key if isinstance(of, pd.DataFrame | Embeddings) else str(of), found.spot_ids, found.vectors)
