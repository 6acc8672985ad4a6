"""Read slides from a root as AnnData, and add slides to a root."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from stimage.cells.cells import read_cells
from stimage.cells.counting import as_obs, classes_of
from stimage.collection.meta.name_maps import note_on_species
from stimage.core.arguments import check_one_of, check_whole, path_of
from stimage.core.errors import DataError
from stimage.examples.opening import Opening
from stimage.formats.adding import write_slide
from stimage.formats.alone.reading import check_lattice
from stimage.formats.frame import without_beyond
from stimage.formats.h5ad import from_anndata
from stimage.formats.imported import ImportOptions
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

log = logging.getLogger(__name__)


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
    """Read a slide as AnnData, as scanpy and squidpy expect it, or several slides as one AnnData.

    Parameters
    ----------
    root
        A folder laid out as the data set, or a `Root` that `open_root` returned. The ``um_per_px`` and ``on_mismatch``
        of a `Root` apply.
    slide
        The name of the slide, or several names. The spots of several slides follow each other.
    panel
        The genes to read: a `Panel`, names of genes, or a panel file. None reads all genes of the slide, or all genes
        that several slides have in common.
    normalise
        The values of ``X``: "counts", "log1p", "median-log1p" (scaled to the slide's median total first), or, with a
        panel only, "original".
    gene_table, names
        A table of gene symbols and Ensembl ids, such as 10x's ``features.tsv.gz``, and the kind of names that genes
        get: "symbol" or "ensembl". Counts of genes that get the same name are added. Without a table, genes keep the
        names of the files.
    image_px
        Longest side of the image, in pixels.
    cells
        Add the number of cells per spot, for slides whose cells `import_cells` or `detect_cells` stored:
        ``obs["cells"]`` and, for each class, ``obs["cells_CLASS"]``. Spots that are not wholly in the segmented region
        have NaN.

    Returns
    -------
    anndata.AnnData
        n spots x genes (0 genes for an image alone). ``X``: CSR, float32. ``obs``, by spot id: ``slide``, ``tech``,
        ``species``, ``tissue``, ``pmid``, ``involve_cancer``, ``annotation`` (categories), ``radius`` in pixels of the
        slide's image, ``um_per_px``. ``obsm["spatial"]``: x and y in pixels of the slide's image.
        ``uns["spatial"][slide]``: ``images["hires"]`` (uint8, RGB), and ``scalefactors``, which relate its pixels and
        the spots' diameter to the slide's image.

    Raises
    ------
    DataError
        If there is no such slide, one of its files is damaged, or it lacks a gene of the panel. Also if an image alone
        is read with a panel, or together with slides that have counts.

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
    """Return the export options for a root's slides; raises as `read_slide` does."""
    check_whole(image_px, "image_px", 1)
    check_one_of(normalise, "normalise", NORMALISATIONS)
    genes = Panel.read(panel, str(gene_table) if gene_table else None) if panel is not None else None
    if normalise == "original" and not genes:
        raise ValueError("normalise='original' (--normalise original) works only on a panel's genes: "
                         "pass panel= (--panel) too")  # fmt: skip
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

    A slide of the same name is replaced.

    Parameters
    ----------
    data
        An AnnData of one slide in the layout of scanpy, squidpy and `read_slide`, with raw counts, ``obsm["spatial"]``
        and ``uns["spatial"]``; or a path. A path names a .h5ad file; Space Ranger's folder ``outs`` (Visium HD:
        ``outs/binned_outputs/square_008um``); a SpatialData store (.zarr); st_pipeline's table of legacy ST counts, or
        its folder; or an image alone. On the tissue of an image alone, a lattice of spots is laid, without counts.
    root
        The folder to add the slide to. A folder that does not exist is made.
    slide
        The name of the slide. The ids of its spots get this name in front, unless they begin with it.
    image
        The full-resolution image, or the name of one in the store. None takes the finest image of the data, whose
        patches may have few pixels.
    tech
        "ST", "Visium" or "VisiumHD", where the data does not give the right one. For an image alone, the lattice:
        "Visium" (default) is hexagonal, with spots of 55 µm, 100 µm apart; "ST" is square, with spots of 100 µm, 200 µm
        apart; "VisiumHD" is square, with bins of 8 µm side by side.
    species, tissue, pmid, title, involve_cancer
        Values for the meta file. A species that the data set does not know, or calls otherwise, is logged.
    labels
        The pathologists' labels: a column of ``obs``; a table with the columns barcode and label, as Loupe exports it;
        or barcode → label, such as a pandas Series. None keeps the annotation that the root already has.
    label_column
        The column that has the labels, where their table has several.
    label_run
        The number behind this slide's barcodes, where the labels come from an aggregated run: 2 for ``ACGT-2``.
    layer
        The layer of an AnnData that has the raw counts, or "raw" for its ``.raw``. None takes ``X``.
    library
        For an AnnData of several slides: the slide to take, as ``uns["spatial"]`` or ``obs`` names it. For a store with
        several slides or bin sizes: the element of the spots, or their table.
    genome
        The genome to keep, as the data names it, where the counts have several.
    positions
        For legacy ST: the table of the spot detector, or the alignment matrix. None takes the one beside the counts.
    spot_diameter
        The diameter of a spot in pixels of the full-resolution image, where the data does not give it.
    um_per_px
        µm per pixel of the full-resolution image, where the data does not give it. An image alone needs it, unless its
        file has it.
    pitch_um, spot_um
        For an image alone: µm from one spot to the next, and the diameter of a spot in µm. With ``pitch_um`` alone, the
        diameter is in proportion to it.
    whole_image
        For an image alone: lay spots on the whole image, and not on its tissue alone.
    on_mismatch
        What to do with spots beyond the edge of the image: "error" refuses the slide, "drop" leaves these spots out.
    rebin
        For Visium HD: sum the bins into larger ones with a side of this many µm, a multiple of theirs, such as 8.
    trust_coordinates
        Skip the check that the spots lie on the tissue of the image.
    counts_as
        The form of the count file. "h5" is sparse HDF5: the data's own file where it has exactly these spots and genes,
        or a file as 10x Genomics writes it. "csv" is the wide CSV of the data set, with all zeros.

    Returns
    -------
    Slide
        The paths of its files, and its values of the meta file. A `Root` that was opened before lacks the new slide.

    Raises
    ------
    DataError
        Before anything is written: if the data lacks something, counts are not raw, spots lie outside the image or
        beside its tissue, no label belongs to this slide, or a slide of another technology has the same name.
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
    check_lattice(found, options, rebin)
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
    if note := note_on_species(row.species):
        log.warning("%s: %s", slide, note)
    (added,) = read_catalog(str(folder)).select(Filters(slides=slide))
    return added


def _check_added(data: object, slide: object, labels: object) -> None:
    """Refuse what is no slide, no name and no labels."""
    if not isinstance(data, str | os.PathLike) and not hasattr(data, "obsm"):
        raise ValueError(f"data: a {type(data).__name__} is no slide; pass an AnnData, or a path")
    if not (labels is None or isinstance(labels, str | os.PathLike) or hasattr(labels, "items")):
        raise ValueError(f"labels={labels!r}: pass a column's name, a table's path, or a mapping of barcode to label")
    check_name(slide, "slide")
