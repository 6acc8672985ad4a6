"""Slides as AnnData, as scanpy and squidpy read them: in memory, or as .h5ad files, written block by block."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.io import write_elem
from scipy.sparse import csr_matrix, vstack

from stimage.core.files import replacing
from stimage.genes.dispersion import common_genes
from stimage.genes.names import Naming, places_among, rename_genes
from stimage.genes.normalise import fit_normalisation
from stimage.genes.panels import Panel
from stimage.slides.catalog import Slide
from stimage.slides.images.views import IMAGE_PX, read_views, whole
from stimage.slides.missing import need_counts
from stimage.slides.spots import Spots, open_spots

BLOCK_SPOTS = 512  # spots
CATEGORIES = ("slide", "tech", "species", "tissue", "pmid", "involve_cancer", "annotation")
READ_ALONE = "read images alone without panel= (--panel), and apart from other slides"
EMPTY = ("layers", "varm", "obsp", "varp")


def read_slides(
    slides: Sequence[Slide],
    naming: Naming | None = None,
    panel: Panel | None = None,
    normalise: str = "counts",
    image_px: int = IMAGE_PX,
    on_mismatch: str = "error",
) -> AnnData:
    """Return slides as one AnnData in memory, with what `write_h5ad`, which takes the same, writes."""
    genes = _genes(slides, naming, panel)
    blocks, pictures, obs, centres = [], {}, [], []
    for slide in slides:
        spots = open_spots(slide, on_mismatch)
        blocks += _blocks(spots, genes, naming, panel, normalise)
        pictures[slide.name] = _picture(spots, image_px)
        obs.append(_obs(spots))
        centres.append(np.stack([spots.x, spots.y], 1))
    return AnnData(
        vstack(blocks, "csr"), _joined(obs), pd.DataFrame(index=pd.Index(genes, dtype=object)),
        uns={"spatial": pictures}, obsm={"spatial": np.concatenate(centres)},
    )  # fmt: skip


def write_h5ad(
    slides: Sequence[Slide],
    path: Path,
    naming: Naming | None = None,
    panel: Panel | None = None,
    normalise: str = "counts",
    image_px: int = IMAGE_PX,
    on_mismatch: str = "error",
    progress: Callable[[Iterable[Slide]], Iterable[Slide]] = iter,
) -> None:
    """Write slides into one file, whole or not at all, in the memory of a block of counts and ``obs``.

    ``X`` has the counts (CSR, float32); ``obs`` what an example has beside image and counts; ``obsm["spatial"]`` x and
    y in pixels of the slide image; ``uns["spatial"]`` by slide an image, ``images["hires"]`` (uint8 RGB), and
    ``scalefactors``: ``tissue_hires_scalef``, image pixels to pixels of it, and ``spot_diameter_fullres`` in pixels of
    the slide image.

    Parameters
    ----------
    slides
        Spots are written in their order.
    path
        The file to write.
    naming
        What genes are called; without it, as in the files. Counts of genes that come to one name are added.
    panel
        The genes to write, named by its own table; without it, those that all slides have, in the order of the first.
    normalise
        What ``X`` is of the counts; see `stimage.genes.normalise.Normalisation`.
    image_px
        Pixels of the image's longer side, at most.
    on_mismatch
        As `open_spots` takes it.

    Raises
    ------
    DataError
        If an image alone is to have a panel's genes or is one of several slides. If slides have no gene in common or
        lack one of the panel; as `open_spots`, `Spots.rows` and `read_patches` do.
    """
    genes = _genes(slides, naming, panel)
    obs, centres, per_spot = [], [], []
    with replacing(path) as unfinished, h5py.File(unfinished, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        write_elem(file, "uns", {"spatial": {}})
        for slide in progress(slides):
            spots = open_spots(slide, on_mismatch)
            for block in _blocks(spots, genes, naming, panel, normalise):
                _append(file, block)
                per_spot.append(np.diff(block.indptr))
            write_elem(file["uns/spatial"], slide.name, _picture(spots, image_px))
            obs.append(_obs(spots))
            centres.append(np.stack([spots.x, spots.y], 1))
        _write_starts(file["X"], np.concatenate(per_spot), len(genes))
        write_elem(file, "obs", _joined(obs))
        write_elem(file, "var", pd.DataFrame(index=pd.Index(genes, dtype=object)))
        write_elem(file, "obsm", {"spatial": np.concatenate(centres)})
        for name in EMPTY:
            write_elem(file, name, {})


def _genes(slides: Sequence[Slide], naming: Naming | None, panel: Panel | None) -> list[str]:
    """Return the genes to write: those of a panel, or that all slides have; of images alone, none."""
    if panel or not all(slide.image_alone for slide in slides):
        need_counts(slides, "a panel" if panel else "one AnnData of several slides", READ_ALONE)
        return list(panel.genes) if panel else common_genes(slides, naming)
    return []


def _places(spots: Spots, genes: Sequence[str], naming: Naming | None, panel: Panel | None) -> np.ndarray:
    if panel:
        return panel.places_in(spots.genes, spots.counts_path, spots.slide.species)
    return places_among(genes, *rename_genes(spots.genes, naming, spots.slide.species, spots.counts_path))


def _blocks(
    spots: Spots, genes: Sequence[str], naming: Naming | None, panel: Panel | None, normalise: str
) -> Iterator[csr_matrix]:
    if spots.slide.image_alone:
        yield csr_matrix((len(spots), 0), dtype=np.float32)
        return
    places = _places(spots, genes, naming, panel)
    normal = fit_normalisation(normalise, spots, places)
    for at in range(0, len(spots), BLOCK_SPOTS):
        rows = spots.rows(slice(at, at + BLOCK_SPOTS))
        block = rows.sparse(places, len(genes))
        block.data = normal(block.data, block.tocoo().row, rows.totals())
        yield block


def _append(file: h5py.File, block: csr_matrix) -> None:
    counts = file.require_group("X")
    for name, values in (("data", block.data), ("indices", block.indices)):
        if name in counts:
            counts[name].resize(len(counts[name]) + len(values), axis=0)
            counts[name][len(counts[name]) - len(values) :] = values
        else:
            counts.create_dataset(name, data=values, maxshape=(None,))


def _write_starts(counts: h5py.Group, per_spot: np.ndarray, genes: int) -> None:
    """Make a CSR matrix of what was appended: once, since HDF5 crashes where it replaces something on a full disk."""
    starts = np.append(0, np.cumsum(per_spot, dtype=np.int64))
    kind = counts["indices"].dtype  # scanpy needs one width for both, where it holds the numbers
    counts["indptr"] = starts.astype(kind) if starts[-1] <= np.iinfo(kind).max else starts
    counts.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": (len(per_spot), genes)})


def _obs(spots: Spots) -> pd.DataFrame:
    slide = spots.slide
    same = {name: getattr(slide, name) for name in ("tech", "species", "tissue", "pmid")}
    cancer = None if slide.involve_cancer is None else str(slide.involve_cancer)
    texts = {"slide": slide.name, **same, "involve_cancer": cancer}
    table = {name: np.full(len(spots), value, object) for name, value in texts.items()}
    table["radius"] = spots.r
    table["um_per_px"] = np.full(len(spots), spots.scale.um_per_px, float)  # NaN for None
    table["annotation"] = np.array(spots.annotation.to_pylist(), object)
    return pd.DataFrame(table, index=pd.Index(spots.ids.to_pylist(), dtype=object, name="spot_id"))


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return one table, its texts as Python strings: those of pandas 3 can't be written by every anndata."""
    table = pd.concat(tables)
    table.index = pd.Index(table.index.tolist(), dtype=object, name=table.index.name)
    return table.assign(**{name: _category(table[name].tolist()) for name in CATEGORIES})


def _category(values: Sequence[str | None]) -> pd.Categorical:
    known = sorted({value for value in values if isinstance(value, str)})
    return pd.Categorical(np.array(values, object), categories=pd.Index(known, dtype=object))


def _picture(spots: Spots, longest: int) -> dict:
    (view,) = read_views(spots.image_path, [whole(spots.image_info, longest)], spots.max_pixels)
    scale = {"tissue_hires_scalef": 1 / view.step, "spot_diameter_fullres": 2 * float(np.median(spots.r))}
    return {"images": {"hires": view.pixels}, "scalefactors": scale}
