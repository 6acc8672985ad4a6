"""Slides of other public formats: Space Ranger's folders and AnnData files."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from stimage.core.errors import DataError, one_line
from stimage.core.extras import needs
from stimage.formats.source_scale import hest_metadata, source_scale
from stimage.slides.catalog import TECHS

MATRIX = "filtered_feature_bc_matrix"
POSITIONS = ("tissue_positions.parquet", "tissue_positions.csv", "tissue_positions_list.csv")
COLUMNS_10X = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]


@dataclass(frozen=True, eq=False)
class ImportedSlide:
    """A slide as another format has it: n spots' counts (n x genes), and x, y and r in pixels of its image.

    ``um_per_px`` is what the source says of a pixel of the image, or None, and ``um_per_px_source`` who says it.
    """

    where: str
    barcodes: list[str]
    genes: list[str]
    counts: csr_matrix
    x: np.ndarray
    y: np.ndarray
    r: float
    image: Path | np.ndarray
    labels: Mapping[str, str]
    tech: str = "Visium"
    um_per_px: float | None = None
    um_per_px_source: str = ""


def read_space_ranger(outs: Path, image: Path | None = None, um_per_px: float | None = None) -> ImportedSlide:
    """Read Space Ranger's ``outs``, or one of its ``binned_outputs/square_…um``.

    Parameters
    ----------
    image
        The full-resolution image that Space Ranger was given. Without it, ``spatial/tissue_hires_image.png``, whose
        patches are of some ten pixels.
    um_per_px
        What the user says of a pixel of the full-resolution image; without it, what the source says.

    Raises
    ------
    DataError
        If a file is missing, or a spot of the matrix has no position.
    """
    spatial, matrix = outs / "spatial", outs / f"{MATRIX}.h5"
    if not matrix.exists() and not matrix.with_suffix("").is_dir():
        raise DataError(f"{outs}: has no {MATRIX}.h5 and no folder {MATRIX}; name Space Ranger's folder outs")
    scanpy = needs("scanpy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of symbols that occur twice: `read_header` tells them apart
        try:
            counts = scanpy.read_10x_h5(matrix) if matrix.exists() else scanpy.read_10x_mtx(matrix.with_suffix(""))
        except OSError as error:
            raise DataError(f"{matrix}: cannot be read ({one_line(error)})") from None
    path = next((spatial / name for name in POSITIONS if (spatial / name).exists()), None)
    if path is None or not (spatial / "scalefactors_json.json").exists():
        raise DataError(f"{spatial}: has no scalefactors_json.json, or none of {', '.join(POSITIONS)}; get them again")
    places = _positions(path).reindex(counts.obs_names)
    if places.isna().any(axis=None):
        lost = places.index[places.isna().any(axis=1)][0]
        raise DataError(f"{path}: has no spot {lost!r}, which the matrix has: is it another slide's?")
    where = spatial / "scalefactors_json.json"
    factors = _factors(where)
    scale, r, tech = _scaled(factors, image, where)
    hires = spatial / "tissue_hires_image.png"
    if image is None and not hires.exists():
        raise DataError(f"{hires}: is missing; get it, or pass the full-resolution image as --image")
    x, y = places["x"].to_numpy() * scale, places["y"].to_numpy() * scale
    return ImportedSlide(str(outs), list(counts.obs_names), list(counts.var_names), _raw(counts.X, outs), x, y, r,
                 image or hires, {}, tech, *source_scale([factors], scale, where, um_per_px))  # fmt: skip


def read_h5ad(path: Path, *options: Any) -> ImportedSlide:
    """Read one slide of a .h5ad file; options, errors and layout are those of `from_anndata`."""
    try:
        data = anndata.read_h5ad(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read as .h5ad ({one_line(error)})") from None
    return from_anndata(data, path, *options)


def from_anndata(
    data: anndata.AnnData,
    where: Path | str = "the AnnData",
    image: Path | None = None,
    layer: str | None = None,
    labels: str | None = None,
    um_per_px: float | None = None,
) -> ImportedSlide:
    """Take one slide of an AnnData laid out as scanpy, squidpy and spatialdata-io make Visium's.

    Parameters
    ----------
    where
        What errors call it: the file's path, beside which HEST's metadata are looked for.
    image
        As `read_space_ranger` takes it; without it ``uns["spatial"][slide]["images"]["hires"]``.
    layer
        Where the raw counts are; without it in ``X``.
    labels
        Column of ``obs``.
    um_per_px
        As `read_space_ranger` takes it.

    Raises
    ------
    DataError
        Naming what it lacks, or if it has several slides.
    """
    slides = data.uns.get("spatial", {})
    if "spatial" not in data.obsm or len(slides) != 1:
        raise DataError(f"{where}: must have obsm['spatial'] and one slide in uns['spatial'], which has {len(slides)}; "
                        "write a file a slide, as scanpy and squidpy do")  # fmt: skip
    if layer and layer not in data.layers:
        raise DataError(f"{where}: has no layer {layer!r}, but {', '.join(data.layers) or 'none'}")
    if labels and labels not in data.obs:
        raise DataError(f"{where}: obs has no column {labels!r}, but {', '.join(data.obs)}")
    data = data[data.obs["in_tissue"].astype(int) == 1] if "in_tissue" in data.obs else data
    (one,) = slides.values()
    if not image and "hires" not in one.get("images", {}):
        raise DataError(f"{where}: uns['spatial'] has no image 'hires'; pass the full-resolution image as --image")
    scale, r, tech = _scaled(one.get("scalefactors", {}), image, f"{where}: uns['spatial']")
    said = set(data.obs.get("tech", ())) & set(TECHS)  # as `write_h5ad` writes it
    tech = said.pop() if len(said) == 1 else tech
    x, y = np.asarray(data.obsm["spatial"], float)[:, :2].T * scale
    texts = dict(data.obs[labels].dropna().astype(str)) if labels else {}
    counts = _raw(data.layers[layer] if layer else data.X, where)
    pixels = image or _pixels(one["images"]["hires"], where)
    told = [one.get("scalefactors", {}), one.get("metadata", {}), one, data.uns]
    told += [hest_metadata(where)] if isinstance(where, Path) else []
    return ImportedSlide(str(where), list(data.obs_names), list(data.var_names), counts, x, y, r, pixels, texts, tech,
                 *source_scale(told, scale, where, um_per_px))  # fmt: skip


def _factors(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise DataError(f"{path}: is damaged ({one_line(error)}); get it again") from None


def _scaled(factors: Mapping[str, Any], image: Path | None, where: Path | str) -> tuple[float, float, str]:
    """Return what pixels of the full image are multiplied by, a spot's radius thereafter, and the technology."""
    try:
        scale = 1.0 if image else float(factors["tissue_hires_scalef"])
        r = float(factors["spot_diameter_fullres"]) / 2 * scale
    except KeyError as error:
        raise DataError(f"{where}: has no scale factor {error}; get it again") from None
    return scale, r, "VisiumHD" if "bin_size_um" in factors else "Visium"


def _positions(path: Path) -> pd.DataFrame:
    """Return x and y in pixels of the full image, by barcode, of spots in tissue; older files have no header."""
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
    else:
        table = pd.read_csv(path, names=COLUMNS_10X, header=0 if path.name == POSITIONS[1] else None)
    table = table[table["in_tissue"] == 1].set_index("barcode")
    return pd.DataFrame({"x": table["pxl_col_in_fullres"], "y": table["pxl_row_in_fullres"]}, dtype=float)


def _raw(counts: Any, where: Path | str) -> csr_matrix:
    if counts is None:
        raise DataError(f"{where}: has no X; name the layer that has raw counts as --layer")
    counts = csr_matrix(counts)
    if not counts.has_canonical_format:
        counts = counts.copy()  # it may be a user's own
        counts.sum_duplicates()
    if len(bad := counts.data[(counts.data % 1 != 0) | (counts.data < 0)]):
        raise DataError(f"{where}: has {bad[0]:g}, which is no raw count; name the layer that has them as --layer")
    return counts


def _pixels(image: np.ndarray, where: Path | str) -> np.ndarray:
    """Return uint8 RGB of an image as scanpy has it: 0 to 1 in floats, or bytes."""
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] < 3 or (image.dtype != np.uint8 and image.max(initial=0) > 1):
        raise DataError(
            f"{where}: its image, {image.dtype} {image.shape}, is no RGB of bytes, or of 0 to 1; pass --image"
        )
    image = image[..., :3]
    return image if image.dtype == np.uint8 else (image * 255).round().clip(0, 255).astype(np.uint8)
