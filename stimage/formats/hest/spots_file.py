"""A slide's st/ID.h5ad as HEST has it: raw counts, block by block, and the sums of quality control."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from anndata.io import write_elem
from scipy.sparse import csr_matrix

from stimage.core.errors import DataError
from stimage.core.files import replacing_hdf5
from stimage.formats.written.anndata_files import BLOCK_SPOTS, EMPTY, append_rows, write_starts
from stimage.slides.images.views import read_views, whole
from stimage.slides.spots import Spots

SMALL = 1000  # pixels of the longer side of the small image
TOPS = (50, 100, 200, 500)  # genes whose share of a spot's counts is told


def write_spots(spots: Spots, ids: Sequence[str], path: Path) -> np.ndarray:
    """Write the file, whole or not at all; return its small image (uint8 RGB).

    Parameters
    ----------
    ids
        What the spots are called.

    Raises
    ------
    DataError
        If a count is no whole number, or one that float32 can't hold; as `Spots.rows` and `read_views` do.
    """
    genes, mito = spots.genes, np.array([gene.upper().startswith("MT-") for gene in spots.genes])
    per_spot, told, of_genes, totals = [], [], np.zeros(len(genes)), np.zeros(len(genes))
    with replacing_hdf5(path) as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        for at in range(0, len(spots), BLOCK_SPOTS):
            rows = spots.rows(slice(at, at + BLOCK_SPOTS))
            block = rows.sparse(np.arange(len(genes)), len(genes))
            if len(bad := block.data[block.data != block.data.astype(np.float32).astype(np.int64)]):
                raise DataError(f"{spots.counts_path}: has {bad[0]:g}, which is no raw count: HEST's files have these")
            append_rows(file, block.astype(np.float32))
            per_spot.append(np.diff(block.indptr))
            told.append(_of_spots(block, mito))
            of_genes += np.bincount(block.indices, minlength=len(genes))
            totals += np.bincount(block.indices, block.data, len(genes))
        write_starts(file["X"], np.concatenate(per_spot), len(genes))
        (view,) = read_views(spots.image_path, [whole(spots.image_info, SMALL)], spots.max_pixels)
        factors = {"tissue_downscaled_fullres_scalef": 1 / view.step, "spot_diameter_fullres": 2 * float(spots.r[0])}
        one = {"images": {"downscaled_fullres": view.pixels}, "scalefactors": factors}
        write_elem(file, "uns", {"spatial": {"ST": one}})
        write_elem(file, "obs", _obs(spots, ids, pd.concat(told)))
        write_elem(file, "var", _var(genes, of_genes, totals, mito, len(spots)))
        write_elem(file, "obsm", {"spatial": np.stack([spots.x, spots.y], 1)})
        for name in EMPTY:
            write_elem(file, name, {})
    return view.pixels


def _of_spots(block: csr_matrix, mito: np.ndarray) -> pd.DataFrame:
    """Return the sums of a block's spots, a row each."""
    spot, n = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr)), block.shape[0]
    total = np.bincount(spot, block.data, n)
    order = np.lexsort((-block.data, spot))
    rank = np.arange(len(order)) - block.indptr[spot]
    told: dict[str, np.ndarray] = {
        "n_counts": total,
        "n_genes_by_counts": np.bincount(spot, minlength=n),
        "total_counts": total,
    }
    told |= {f"log1p_{name}": np.log1p(told[name]) for name in ("n_genes_by_counts", "total_counts")}
    share = 100 / np.where(total, total, np.nan)
    for top in TOPS:
        if top <= block.shape[1]:
            most = np.bincount(spot, block.data[order] * (rank < top), n)
            told[f"pct_counts_in_top_{top}_genes"] = most * share
    told["total_counts_mito"] = np.bincount(spot, block.data * mito[block.indices], n)
    told["log1p_total_counts_mito"] = np.log1p(told["total_counts_mito"])
    told["pct_counts_mito"] = told["total_counts_mito"] * share
    return pd.DataFrame(told)


def _obs(spots: Spots, ids: Sequence[str], told: pd.DataFrame) -> pd.DataFrame:
    table = pd.DataFrame({"in_tissue": 1, "pxl_col_in_fullres": spots.x, "pxl_row_in_fullres": spots.y})
    table = pd.concat([table, told.reset_index(drop=True)], axis=1)
    table.index = pd.Index(list(ids), dtype=object)
    if spots.annotation.null_count < len(spots):
        labels = spots.annotation.to_pylist()
        names = pd.Index(sorted({label for label in labels if label is not None}), dtype=object)
        table["annotation"] = pd.Categorical(np.array(labels, object), categories=names)
    return table


def _var(genes: Sequence[str], spots: np.ndarray, total: np.ndarray, mito: np.ndarray, n: int) -> pd.DataFrame:
    told = {"n_cells_by_counts": spots.astype(np.int64), "mean_counts": total / n, "total_counts": total}
    told |= {f"log1p_{name}": np.log1p(told[name]) for name in ("mean_counts", "total_counts")}
    told |= {"pct_dropout_by_counts": 100 * (1 - spots / n), "mito": mito}
    return pd.DataFrame(told, index=pd.Index(list(genes), dtype=object))
