"""Slides as .h5ad files, as scanpy and squidpy read them; counts are written block by block."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata.io import sparse_dataset, write_elem
from scipy.sparse import csr_matrix

from stimage.collection.contact_sheet import thumbnail
from stimage.errors import DataError
from stimage.processing.gene_names import Naming, named, places_among
from stimage.slides import Spots
from stimage.slides.counts import rows_at

IMAGE_PX = 2000  # of the longer side, as Space Ranger's "hires" image
BLOCK = 512  # spots


def write_h5ad(spots: Sequence[Spots], path: Path, image_px: int = IMAGE_PX, naming: Naming | None = None) -> None:
    """Write slides into one file, whole or not at all, in the memory of a block of counts and a small image each.

    ``X`` has raw counts (CSR, float32), of the genes that all slides have, in the order of the first; ``obs`` what an
    example has beside image and counts; ``obsm["spatial"]`` x and y in pixels of the slide image; ``uns["spatial"]``
    by slide an image, ``images["hires"]`` (uint8 RGB), and ``scalefactors``: ``tissue_hires_scalef``, image pixels to
    pixels of it, and ``spot_diameter_fullres`` in pixels of the slide image.

    Parameters
    ----------
    spots
        Opened slides; spots are written in their order.
    path
        The file to write.
    image_px
        Pixels of the image's longer side, at most.
    naming
        What genes are called; without it, as in the files. Counts of genes that come to one name are added.

    Raises
    ------
    DataError
        If slides have no gene in common; as `rows_at` and `read_patches` do.
    """
    known = [named(one.genes, naming, one.slide.species) for one in spots]
    genes = _common([names for names, _ in known])
    with _replacing(path) as unfinished, h5py.File(unfinished, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        for k, block in enumerate(_all_blocks(spots, [places_among(genes, *one) for one in known], len(genes))):
            if k == 0:
                write_elem(file, "X", block)
            else:
                sparse_dataset(file["X"]).append(block)
        write_elem(file, "obs", _obs(spots))
        write_elem(file, "var", pd.DataFrame(index=pd.Index(genes, dtype=object)))
        write_elem(file, "obsm", {"spatial": np.concatenate([np.stack([one.x, one.y], 1) for one in spots])})
        write_elem(file, "uns", {"spatial": {one.slide.name: _picture(one, image_px) for one in spots}})
        for name in ("layers", "varm", "obsp", "varp"):
            write_elem(file, name, {})


def _common(genes: Sequence[Sequence[str]]) -> list[str]:
    common = set(genes[0]).intersection(*genes[1:])
    if not common:
        raise DataError(f"{len(genes)} slides have no gene in common; write a file each, or map their names first")
    return [gene for gene in genes[0] if gene in common]


def _all_blocks(spots: Sequence[Spots], places: Sequence[np.ndarray], genes: int) -> Iterator[csr_matrix]:
    return (block for one, of_slide in zip(spots, places) for block in _blocks(one, of_slide, genes))


def _blocks(spots: Spots, places: np.ndarray, genes: int) -> Iterator[csr_matrix]:
    for at in range(0, len(spots), BLOCK):
        part = slice(at, at + BLOCK)
        rows = rows_at(spots.counts, spots.genes, spots.row_start[part], spots.row_end[part])
        row, column = np.repeat(np.arange(len(rows.ids)), np.diff(rows.indptr)), places[rows.columns]
        kept = column >= 0
        shape = (len(rows.ids), genes)
        yield csr_matrix((rows.values[kept].astype(np.float32), (row[kept], column[kept])), shape)


def _obs(spots: Sequence[Spots]) -> pd.DataFrame:
    lengths = [len(one) for one in spots]
    of_slides = {"slide": [one.slide.name for one in spots]}
    of_slides |= {name: [getattr(one.slide, name) for one in spots] for name in ("tech", "species", "tissue", "pmid")}
    table = {name: _category(np.repeat(np.array(values, object), lengths)) for name, values in of_slides.items()}
    cancer = [None if one.slide.involve_cancer is None else str(one.slide.involve_cancer) for one in spots]
    table["involve_cancer"] = _category(np.repeat(np.array(cancer, object), lengths))
    table["radius"] = np.concatenate([one.r for one in spots])
    scales = [np.nan if one.scale.um_per_px is None else one.scale.um_per_px for one in spots]
    table["um_per_px"] = np.repeat(scales, lengths)
    table["annotation"] = _category(np.array([label for one in spots for label in one.annotation.to_pylist()], object))
    ids = [spot for one in spots for spot in one.ids.to_pylist()]
    return pd.DataFrame(table, index=pd.Index(ids, dtype=object, name="spot_id"))


def _category(values: np.ndarray) -> pd.Categorical:
    """Return text as categories of Python strings: those of pandas 3 can't be written by every anndata."""
    known = sorted({value for value in values.tolist() if value is not None})
    return pd.Categorical(values, categories=pd.Index(known, dtype=object))


def _picture(spots: Spots, longest: int) -> dict:
    pixels, step = thumbnail(spots.image, spots.image_info, longest, spots.max_pixels)
    scale = {"tissue_hires_scalef": 1 / step, "spot_diameter_fullres": 2 * float(np.median(spots.r))}
    return {"images": {"hires": pixels}, "scalefactors": scale}


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
