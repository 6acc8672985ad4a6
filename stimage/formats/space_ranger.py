"""Slides of Space Ranger's folders."""

import json
import warnings
from pathlib import Path

import pandas as pd

from stimage.core.errors import DataError, one_line
from stimage.core.extras import needs
from stimage.formats.imported import ImportedSlide, ImportOptions, raw_counts, scale_to
from stimage.formats.source_scale import source_scale

MATRIX = "filtered_feature_bc_matrix"
POSITIONS = ("tissue_positions.parquet", "tissue_positions.csv", "tissue_positions_list.csv")
COLUMNS_10X = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]


def read_space_ranger(outs: Path, options: ImportOptions) -> ImportedSlide:
    """Read Space Ranger's ``outs``, or one of its ``binned_outputs/square_…um``.

    Without ``options.image``, the image is ``spatial/tissue_hires_image.png``, whose patches are of some ten pixels.

    Raises
    ------
    DataError
        If a file is missing, or a spot of the matrix has no position.
    """
    image, spatial, matrix = options.image, outs / "spatial", outs / f"{MATRIX}.h5"
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
    scale, r, tech = scale_to(image, factors, where)
    hires = spatial / "tissue_hires_image.png"
    if image is None and not hires.exists():
        raise DataError(f"{hires}: is missing; get it, or pass the full-resolution image as --image")
    x, y = places["x"].to_numpy() * scale, places["y"].to_numpy() * scale
    return ImportedSlide(str(outs), list(counts.obs_names), list(counts.var_names), raw_counts(counts.X, outs), x, y, r,
                 image or hires, {}, tech, *source_scale([factors], scale, where, options.um_per_px))  # fmt: skip


def _factors(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise DataError(f"{path}: is damaged ({one_line(error)}); get it again") from None


def _positions(path: Path) -> pd.DataFrame:
    """Return x and y in pixels of the full image, by barcode, of spots in tissue; older files have no header."""
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
    else:
        table = pd.read_csv(path, names=COLUMNS_10X, header=0 if path.name == POSITIONS[1] else None)
    table = table[table["in_tissue"] == 1].set_index("barcode")
    return pd.DataFrame({"x": table["pxl_col_in_fullres"], "y": table["pxl_row_in_fullres"]}, dtype=float)
