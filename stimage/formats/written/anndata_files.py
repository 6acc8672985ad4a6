"""Slides as AnnData for scanpy and squidpy: in memory, or as .h5ad files, written block by block."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.io import write_elem
from scipy.sparse import csr_matrix, vstack

from stimage.core.files import replacing_hdf5
from stimage.formats.source_scale import SOURCE, SPACE_RANGER, USER
from stimage.formats.written.options import ExportOptions
from stimage.genes.normalise import fit_normalisation
from stimage.slides.catalog import Slide
from stimage.slides.images.views import read_views, whole
from stimage.slides.spots import Spots, open_spots

BLOCK_SPOTS = 512  # spots
CATEGORIES = ("slide", "tech", "species", "tissue", "pmid", "involve_cancer", "annotation")
EMPTY = ("layers", "varm", "obsp", "varp")
USUAL = ExportOptions()


def read_slides(slides: Sequence[Slide], options: ExportOptions = USUAL) -> AnnData:
    """Return slides as one AnnData in memory, the same that `write_h5ad` writes for the same arguments."""
    genes = options.genes_of(slides)
    blocks, pictures, tables = [], {}, []
    for slide in slides:
        spots = open_spots(slide, options.on_mismatch)
        blocks += blocks_of(spots, genes, options)
        pictures[slide.name] = picture_of(spots, options.image_px)
        tables.append(tables_of(spots, options))
    return AnnData(
        vstack(blocks, "csr"), obs_of(tables), var_of(genes), uns={"spatial": pictures}, obsm=obsm_of(tables)
    )


def write_h5ad(
    slides: Sequence[Slide],
    path: Path,
    options: ExportOptions = USUAL,
    progress: Callable[[Iterable[Slide]], Iterable[Slide]] = iter,
) -> None:
    """Write slides into one file, whole or not at all, in the memory of a block of counts and ``obs``.

    ``X`` has the counts (CSR, float32); ``obs`` what an example has beside image and counts; ``obsm["spatial"]`` x and
    y in pixels of the slide image; ``uns["spatial"]`` by slide an image, ``images["hires"]`` (uint8 RGB), and
    ``scalefactors``: ``tissue_hires_scalef``, image pixels to pixels of it, and ``spot_diameter_fullres`` in pixels of
    the slide image; ``microns_per_pixel`` where the slide's source or the user says it.

    Parameters
    ----------
    slides
        Spots are written in their order.
    path
        The file to write.

    Raises
    ------
    DataError
        If an image alone is to have a panel's genes or is one of several slides. If slides have no gene in common or
        lack one of the panel, or a spot has no embedding; as `open_spots`, `Spots.rows` and `read_patches` do.
    """
    genes = options.genes_of(slides)
    tables, per_spot = [], []
    with replacing_hdf5(path) as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        write_elem(file, "uns", {"spatial": {}})
        for slide in progress(slides):
            spots = open_spots(slide, options.on_mismatch)
            for block in blocks_of(spots, genes, options):
                append_rows(file, block)
                per_spot.append(np.diff(block.indptr))
            write_elem(file["uns/spatial"], slide.name, picture_of(spots, options.image_px))
            tables.append(tables_of(spots, options))
        write_starts(file["X"], np.concatenate(per_spot), len(genes))
        write_elem(file, "obs", obs_of(tables))
        write_elem(file, "var", var_of(genes))
        write_elem(file, "obsm", obsm_of(tables))
        for name in EMPTY:
            write_elem(file, name, {})


def blocks_of(spots: Spots, genes: Sequence[str], options: ExportOptions) -> Iterator[csr_matrix]:
    """Yield the counts of a slide, in the order of its spots, block by block; of an image alone, one without genes."""
    read = block_reader(spots, genes, options)
    for at in range(0, len(spots), BLOCK_SPOTS):
        yield read(slice(at, at + BLOCK_SPOTS))


def block_reader(spots: Spots, genes: Sequence[str], options: ExportOptions) -> Callable[[slice], csr_matrix]:
    """Return what reads the counts of some spots, normalised, as float32."""
    if spots.slide.image_alone:
        return lambda some: csr_matrix((len(spots.x[some]), 0), dtype=np.float32)
    places = options.places(spots, genes)
    normal = fit_normalisation(options.normalise, spots, places)

    def read(some: slice) -> csr_matrix:
        rows = spots.rows(some)
        block = rows.sparse(places, len(genes))
        block.data = normal(block.data, block.tocoo().row, rows.totals())
        return block

    return read


def append_rows(file: h5py.File, block: csr_matrix) -> None:
    """Write a block's rows at the end of those that ``X`` has; see `write_starts`."""
    counts = file.require_group("X")
    for name, values in (("data", block.data), ("indices", block.indices)):
        if name in counts:
            counts[name].resize(len(counts[name]) + len(values), axis=0)
            counts[name][len(counts[name]) - len(values) :] = values
        else:
            counts.create_dataset(name, data=values, maxshape=(None,))


def write_starts(counts: h5py.Group, per_spot: np.ndarray, genes: int) -> None:
    """Make a CSR matrix of what was appended: once, since HDF5 crashes where it replaces something on a full disk."""
    starts = np.append(0, np.cumsum(per_spot, dtype=np.int64))
    kind = counts["indices"].dtype  # scanpy needs one width for both, where it holds the numbers
    counts["indptr"] = starts.astype(kind) if starts[-1] <= np.iinfo(kind).max else starts
    counts.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": (len(per_spot), genes)})


@dataclass(frozen=True, eq=False)
class SpotTables:
    """What is written of a slide's spots beside their counts: ``obs``, and by key what ``obsm`` has (n x d)."""

    obs: pd.DataFrame
    obsm: Mapping[str, np.ndarray]


def tables_of(spots: Spots, options: ExportOptions) -> SpotTables:
    """Return what is written of a slide's spots; raises `DataError` as `SpotVectors.of` does."""
    slide, ids = spots.slide, spots.ids.to_pylist()
    same = {name: getattr(slide, name) for name in ("tech", "species", "tissue", "pmid")}
    cancer = None if slide.involve_cancer is None else str(slide.involve_cancer)
    texts = {"slide": slide.name, **same, "involve_cancer": cancer}
    table = {name: np.full(len(spots), value, object) for name, value in texts.items()}
    table["radius"] = spots.r
    table["um_per_px"] = np.full(len(spots), spots.scale.um_per_px, float)  # NaN for None
    table["annotation"] = np.array(spots.annotation.to_pylist(), object)
    found = {key: vectors.of(ids, options.on_mismatch) for key, vectors in options.embeddings.items()}
    obs = pd.DataFrame(table, index=pd.Index(ids, dtype=object, name="spot_id"))
    if options.columns:
        obs = obs.join(options.columns(slide))
    return SpotTables(obs, {"spatial": np.stack([spots.x, spots.y], 1), **found})


def obs_of(tables: Sequence[SpotTables]) -> pd.DataFrame:
    """Return one ``obs``, its texts as Python strings: those of pandas 3 can't be written by every anndata."""
    table = pd.concat([one.obs for one in tables])
    table.index = pd.Index(table.index.tolist(), dtype=object, name=table.index.name)
    return table.assign(**{name: category_of(table[name].tolist()) for name in CATEGORIES})


def obsm_of(tables: Sequence[SpotTables]) -> dict[str, np.ndarray]:
    """Return one ``obsm``."""
    return {key: np.concatenate([one.obsm[key] for one in tables]) for key in tables[0].obsm}


def var_of(genes: Sequence[str]) -> pd.DataFrame:
    """Return ``var``, which has the genes' names as its index."""
    return pd.DataFrame(index=pd.Index(list(genes), dtype=object))


def category_of(values: Sequence[str | None]) -> pd.Categorical:
    """Return a column of texts, which may be missing."""
    known = sorted({value for value in values if isinstance(value, str)})
    return pd.Categorical(np.array(values, object), categories=pd.Index(known, dtype=object))


def picture_of(spots: Spots, longest: int) -> dict[str, Any]:
    """Return a slide's entry of ``uns["spatial"]``: its image made small, and its scale by Space Ranger's names.

    µm per pixel are said where they are given, with who gives them.
    """
    (view,) = read_views(spots.image_path, [whole(spots.image_info, longest)], spots.max_pixels)
    scale: dict[str, float | str] = {
        "tissue_hires_scalef": 1 / view.step,
        "spot_diameter_fullres": 2 * float(np.median(spots.r)),
    }
    if um := spots.slide.um_per_px:
        scale |= {SPACE_RANGER: um, SOURCE: spots.slide.um_per_px_source or USER}
    return {"images": {"hires": view.pixels}, "scalefactors": scale}
