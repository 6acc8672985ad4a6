"""Slides as AnnData, in and out of a root."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from stimage.cells.cells import read_cells
from stimage.cells.counting import as_obs, classes_of
from stimage.core.arguments import check_whole, path_of
from stimage.core.errors import DataError
from stimage.examples.opening import Opening
from stimage.formats.adding import write_slide
from stimage.formats.frame import without_beyond
from stimage.formats.h5ad import from_anndata
from stimage.formats.imported import ImportedSlide, ImportOptions
from stimage.formats.labels import is_table, with_labels
from stimage.formats.large.rebinning import rebinned
from stimage.formats.recognise import read_source
from stimage.formats.stored.store import is_store
from stimage.formats.written.anndata_files import read_slides
from stimage.formats.written.options import ExportOptions
from stimage.genes.names import Naming
from stimage.genes.normalise import NORMALISATIONS
from stimage.genes.panels import Panel
from stimage.jobs.roots import Root, open_unpublished, root_folder
from stimage.slides.catalog import Filters, Slide, read_catalog
from stimage.slides.images.patches import Patch
from stimage.slides.images.views import IMAGE_PX
from stimage.slides.meta_file import MetaRow
from stimage.slides.names import check_name

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


def read_slide(
    root: str | Path | Root,
    slide: str | Sequence[str],
    *,
    panel: Panel | Sequence[str] | str | Path | None = None,
    normalise: str = "counts",
    gene_table: str | Path | None = None,
    names: str = "symbol",
    image_px: int = IMAGE_PX,
    cells: bool = False,
) -> "AnnData":
    """Read a slide as AnnData, as scanpy and squidpy expect it; of several slides, one AnnData of all.

    Parameters
    ----------
    root
        What `open_root` takes or returns; of an opened one, ``um_per_px`` and ``on_mismatch`` are heeded.
    slide
        Its name; or several, whose spots come one slide after the other.
    panel
        Read these genes alone: a `Panel`, their names, or a panel file. Without it, all genes; of several slides, those
        that all have.
    normalise
        What ``X`` is: "counts", "log1p", "median-log1p" (to the slide's median total), or, with a panel, "original".
    gene_table, names
        A table of gene symbols and Ensembl ids, such as 10x's ``features.tsv.gz``, and what to call genes by it:
        "symbol" or "ensembl". Counts of genes that come to one name are added.
    image_px
        Pixels of the image's longer side, at most.
    cells
        Count the cells of each spot, which `import_cells` or `detect_cells` took into the root, in ``obs["cells"]``
        and, by class, ``obs["cells_CLASS"]``: NaN of spots that do not lie wholly in the region that was segmented.

    Returns
    -------
    anndata.AnnData
        n spots x genes; of an image alone, 0 genes. ``X``: CSR, float32. ``obs``, by spot id: ``slide``, ``tech``,
        ``species``, ``tissue``, ``pmid``, ``involve_cancer``, ``annotation`` (categories), ``radius`` in pixels of the
        slide image, ``um_per_px``. ``obsm["spatial"]``: x and y, in pixels of the slide image.
        ``uns["spatial"][slide]``: ``images["hires"]`` (uint8 RGB), and ``scalefactors``, which say how its pixels and
        the spots' diameter relate to the slide image.

    Raises
    ------
    DataError
        If there is no such slide, one of its files is damaged, it lacks a gene of the panel, or an image alone is asked
        for a panel or together with slides that have counts.

    Examples
    --------
    >>> import stimage
    >>> adata = stimage.read_slide("sample", "Human_Breast_Sample1_ST_A1")
    >>> adata.shape, adata.X.dtype.name, adata.obsm["spatial"].shape
    ((28, 117), 'float32', (28, 2))
    >>> list(adata.uns["spatial"]["Human_Breast_Sample1_ST_A1"])
    ['images', 'scalefactors']
    >>> both = ["Human_Breast_Sample1_ST_A1", "Human_Breast_Sample3_Visium_A1"]
    >>> adata = stimage.read_slide("sample", both, panel=["ERBB2", "KRT8"], normalise="log1p")
    >>> adata.var_names.tolist()
    ['ERBB2', 'KRT8']
    """
    root = open_unpublished(root)
    options = writing_options(root, panel, normalise, gene_table, names, image_px)
    if not isinstance(slide, str | Sequence) or not all(isinstance(one, str) for one in slide):
        raise ValueError(f"slide={slide!r}: pass a slide's name, or a list of names")
    wanted = [slide] if isinstance(slide, str) else list(slide)
    found = {one.name: one for one in root.catalog.select(Filters(slides=wanted), options.on_mismatch)}
    options = replace(options, columns=cell_columns(root, list(found.values())) if cells else None)
    return read_slides(slides_left(list(found.values()), options), options)


def cell_columns(root: Root, slides: Sequence[Slide]) -> "Callable[[Slide], pd.DataFrame]":
    """Return what gives a slide's cells per spot as columns, the same ones of each of some slides."""
    places = {slide.name: read_cells(root.catalog.root, slide, ["x", "y", "class"]) for slide in slides}
    classes = classes_of(places.values())
    return lambda slide: as_obs(places[slide.name], slide, classes)


def writing_options(
    root: Root,
    panel: Panel | Sequence[str] | str | Path | None,
    normalise: str,
    gene_table: str | Path | None,
    names: str,
    image_px: int,
) -> ExportOptions:
    """Return what is written of a root's slides; raises as `read_slide` does."""
    check_whole(image_px, "image_px", 1)
    if normalise not in NORMALISATIONS:
        raise ValueError(f"normalise={normalise!r}: pass one of {', '.join(NORMALISATIONS)}")
    genes = Panel.read(panel, str(gene_table) if gene_table else None) if panel is not None else None
    if normalise == "original" and not genes:
        raise ValueError("normalise='original' (--normalise original) is of a panel's genes: pass panel= (--panel) too")
    naming = Naming(str(gene_table), names) if gene_table and not genes else None
    return ExportOptions(naming, genes, normalise, image_px, root.selection.on_mismatch)


def slides_left(slides: Sequence[Slide], options: ExportOptions) -> list[Slide]:
    """Return the slides that are not left out, by ``on_mismatch``, of those that are asked for."""
    return Opening(Patch(), options.panel, options.on_mismatch).kept(slides)


def add_slide(
    data: "AnnData | str | Path",
    root: str | Path | Root,
    slide: str,
    *,
    image: str | Path | None = None,
    tech: str | None = None,
    species: str = "",
    tissue: str = "",
    pmid: str | int = "",
    title: str = "",
    involve_cancer: bool | None = None,
    labels: str | Path | Mapping[str, str] | None = None,
    label_column: str | None = None,
    label_run: str | int | None = None,
    layer: str | None = None,
    library: str | None = None,
    genome: str | None = None,
    positions: str | Path | None = None,
    spot_diameter: float | None = None,
    um_per_px: float | None = None,
    pitch_um: float | None = None,
    spot_um: float | None = None,
    whole_image: bool = False,
    on_mismatch: str = "error",
    rebin: int | None = None,
    trust_coordinates: bool = False,
    counts_as: str = "h5",
) -> Slide:
    """Add a slide to a root: its counts, coordinates, image and labels, and its row of the meta file.

    A slide that is there under the same name is replaced.

    Parameters
    ----------
    data
        An AnnData of one slide, laid out as scanpy, squidpy and `read_slide` make it: raw counts, ``obsm["spatial"]``
        and ``uns["spatial"]``. Or the path of one, a .h5ad file. Or Space Ranger's folder ``outs``; of Visium HD,
        ``outs/binned_outputs/square_008um``. Or a SpatialData store, a folder of Zarr. Or, of legacy ST, st_pipeline's
        table of counts, or its folder. Or an image alone, on whose tissue a lattice of spots is laid; the slide then
        has no counts.
    root
        A folder; it is made if it is not there.
    slide
        The slide's name. Names of spots get it in front, unless they begin with it.
    image
        The full-resolution image, or the name of one in the SpatialData store. Without it, the one of the data that
        shows most: where that is a small one, patches have few pixels.
    tech
        "ST", "Visium" or "VisiumHD", if it is not what the data says. For an image alone, the lattice: "Visium", the
        default, is hexagonal, of 55 µm spots 100 µm apart; "ST" square, of 100 µm spots 200 µm apart; "VisiumHD"
        square, of bins of 8 µm side by side.
    species, tissue, pmid, title, involve_cancer
        For the meta file.
    labels
        Pathologists' labels: a column of ``obs``; a table of barcodes and labels, as Loupe exports; or barcode → label,
        such as a pandas Series.
    label_column
        The table's column of labels, if it has several.
    label_run
        The number behind this slide's barcodes in the labels, if these are of an aggregated run: 2 of ``ACGT-2``.
    layer
        For an AnnData: the layer of raw counts, or "raw", which is its ``.raw``. Without it, ``X``.
    library
        For an AnnData of several slides: the one to take, as ``uns["spatial"]`` or ``obs`` call it. For a store of
        several slides or sizes of bins: the element of the spots, or their table.
    genome
        For counts of several genomes: the one to keep, as the data calls it.
    positions
        For legacy ST: the spot detector's table, or the alignment matrix, if none of this sample is beside the counts.
    spot_diameter
        The diameter of a spot, in pixels of the full-resolution image, if the data does not say it.
    um_per_px
        µm per pixel of the full-resolution image, if the data does not say it. An image alone needs it, unless its
        file says it.
    pitch_um, spot_um
        For an image alone: µm from a spot to the next, and across a spot; without the latter, in proportion to the
        pitch.
    whole_image
        For an image alone: lay spots on all of it, and do not look for tissue.
    on_mismatch
        What to do if spots lie beyond the image: "error", or "drop" these spots.
    rebin
        For Visium HD: add the data's bins to larger ones of so many µm, as 8, a multiple of their own. Counts are sums.
    trust_coordinates
        Do not ask whether the spots lie on the image's tissue.
    counts_as
        The form of the root's count file. "h5": the data's own HDF5 file where it has the counts of these very spots
        and genes, else one as 10x Genomics writes it. "csv": the wide CSV, which has each zero.

    Returns
    -------
    Slide
        Where its files are, and what the meta file says of it. A `Root` that was opened before does not have it.

    Raises
    ------
    DataError
        Before anything is written, if the data lacks something, counts are not raw, spots lie outside the image or
        beside its tissue, no label is of this slide, or the name is taken by a slide of another technology.
    ValueError
        If an argument has a value that it can't have.

    Examples
    --------
    >>> import stimage
    >>> adata = stimage.read_slide("sample", "Human_Breast_Sample1_ST_A1")
    >>> adata.obs["region"] = ["left" if x < 500 else "right" for x in adata.obsm["spatial"][:, 0]]
    >>> added = stimage.add_slide(adata, "mine", "Mine_1", species="human", tissue="breast", labels="region")
    >>> stimage.list_slides("mine")[["tech", "species", "tissue", "spots", "annotated"]].values.tolist()
    [['ST', 'human', 'breast', 28, True]]
    """
    folder, source = root_folder(root), path_of(data, "data") if isinstance(data, str | os.PathLike) else None
    _check_added(data, slide, labels)
    column = labels if isinstance(labels, str) and not is_table(labels) else None
    if column and source and source.is_dir() and not is_store(source):
        raise DataError(f"{column}: there is no such table of labels, and {data} has no columns of them")
    paths = {name: path_of(one, name) for name, one in (("image", image), ("positions", positions)) if one is not None}
    options = ImportOptions(layer=layer, genome=genome, labels=column, spot_diameter=spot_diameter, um_per_px=um_per_px,
                            on_mismatch=on_mismatch, tech=tech, library=library, pitch_um=pitch_um, spot_um=spot_um,
                            whole_image=bool(whole_image), **paths)  # fmt: skip
    found = read_source(source, options) if source else from_anndata(data, options)
    _check_lattice(found, options, rebin)
    if found.image_alone:  # its spots are known by the ids that the root gives them
        found = replace(found, barcodes=[f"{slide}_{spot}" for spot in found.barcodes])
    found = rebinned(found, rebin) if rebin is not None else found
    if on_mismatch == "drop":
        found = without_beyond(found)
    if labels is not None and not column:
        found = with_labels(found, labels, label_column, label_run)
    found = replace(found, tech=tech) if tech else found
    cancer = "" if involve_cancer is None else str(bool(involve_cancer))
    row = MetaRow(slide, str(species), str(tissue), str(pmid), str(title), involve_cancer=cancer)
    write_slide(found, folder, row, counts_as, trust_coordinates)
    (added,) = read_catalog(str(folder)).select(Filters(slides=slide))
    return added


def _check_lattice(found: ImportedSlide, options: ImportOptions, rebin: int | None) -> None:
    """Refuse a lattice for a slide that has spots, and bins of an image alone."""
    given = [name for name in ("pitch_um", "spot_um", "whole_image") if getattr(options, name)]
    if given and not found.image_alone:
        raise DataError(f"{found.where}: has spots of its own; leave out {given[0]}= (--{given[0].replace('_', '-')}), "
                        "which is of an image alone")  # fmt: skip
    if rebin is not None and found.image_alone:
        raise DataError(f"{found.where}: is an image alone, without bins to add; leave out rebin= (--rebin), and say "
                        "their side as pitch_um= (--pitch-um)")  # fmt: skip


def _check_added(data: object, slide: object, labels: object) -> None:
    """Refuse what is no slide, no name and no labels."""
    if not isinstance(data, str | os.PathLike) and not hasattr(data, "obsm"):
        raise ValueError(f"data: a {type(data).__name__} is no slide; pass an AnnData, or a path")
    if not (labels is None or isinstance(labels, str | os.PathLike) or hasattr(labels, "items")):
        raise ValueError(f"labels={labels!r}: pass a column's name, a table's path, or a mapping of barcode to label")
    check_name(slide, "slide")
