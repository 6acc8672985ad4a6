"""Slides as AnnData, in and out of a root."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stimage.examples.opening import Opening
from stimage.formats.anndata_files import IMAGE_PX, read_slides
from stimage.genes.names import Naming
from stimage.genes.panels import Panel
from stimage.jobs.roots import Root, open_root
from stimage.slides.catalog import Filters
from stimage.slides.images.patches import Patch

if TYPE_CHECKING:
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

    Returns
    -------
    anndata.AnnData
        n spots x genes. ``X``: CSR, float32. ``obs``, by spot id: ``slide``, ``tech``, ``species``, ``tissue``,
        ``pmid``, ``involve_cancer``, ``annotation`` (categories), ``radius`` in pixels of the slide image,
        ``um_per_px``. ``obsm["spatial"]``: x and y, in pixels of the slide image. ``uns["spatial"][slide]``:
        ``images["hires"]`` (uint8 RGB), and ``scalefactors``, which say how its pixels and the spots' diameter relate
        to the slide image.

    Raises
    ------
    DataError
        If there is no such slide, one of its files is damaged, or it lacks a gene of the panel.

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
    root = open_root(root)
    genes = Panel.read(panel, str(gene_table) if gene_table else None) if panel is not None else None
    if normalise == "original" and not genes:
        raise ValueError("normalise='original' is of a panel's genes: pass panel= too")
    naming = Naming(str(gene_table), names) if gene_table and not genes else None
    how = root.selection.on_mismatch
    wanted = [slide] if isinstance(slide, str) else list(slide)
    found = {one.name: one for one in root.catalog.select(Filters(slides=wanted), how)}
    slides = Opening(Patch(), genes, how).kept(list(found.values()))
    return read_slides(slides, naming, genes, normalise, image_px, how)
