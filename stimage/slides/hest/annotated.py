"""Where the spots of a HEST sample are: its st/ID.h5ad, which has the counts too."""

from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa

from stimage.core.errors import DataError, one_line, shown
from stimage.slides.counts.hdf5_layout import opened
from stimage.slides.hest.places import in_tissue, places_of

DIAMETER = "spot_diameter_fullres"
LOOKED_AT = 1 << 16  # counts that tell raw ones from normalised ones


def read_spots(path: str) -> tuple[pa.ChunkedArray, np.ndarray, float]:
    """Return the ids (n) of the spots in tissue, their x and y (n x 2), and their radius, in pixels of the image.

    Raises
    ------
    DataError
        If one of these is missing, or ``X`` has what are no raw counts.
    """
    from anndata.io import read_elem

    with opened(path) as file:
        _refuse_normalised(file, path)
        try:
            obs = read_elem(file["obs"])
            obsm = {name: read_elem(file["obsm"][name]) for name in file.get("obsm", {}) if name == "spatial"}
        except Exception as error:  # anndata's, of many classes
            raise DataError(f"{path}: its obs or obsm cannot be read ({one_line(error)}); get it again") from None
        r = _diameter(file, path) / 2
    if not isinstance(obs, pd.DataFrame):
        raise DataError(f"{path}: its obs is no table; get it again")
    ids, xy, on = [str(one) for one in obs.index], places_of(obs, obsm, path), in_tissue(obs, path)
    return pa.chunked_array([pa.array(ids, pa.string()).filter(pa.array(on))]), xy[on], r


def _diameter(file: h5py.File, path: str) -> float:
    """Return the spots' diameter in pixels, of the one entry of uns["spatial"]."""
    entries: Any = file.get("uns/spatial", {})
    found = [f"uns/spatial/{name}/scalefactors/{DIAMETER}" for name in entries]
    found = [place for place in found if place in file]
    if len(found) != 1:
        has = f"has several: {shown(found)}" if found else f"has no {DIAMETER} in uns/spatial/ST/scalefactors"
        raise DataError(f"{path}: {has}; get HEST's own file, or add the slide with spot_diameter= (--spot-diameter)")
    values = np.ravel(file[found[0]][()])
    if len(values) != 1 or values.dtype.kind not in "iuf" or not 0 < values[0] < np.inf:
        raise DataError(f"{path}: {DIAMETER} is {shown([str(one) for one in values], 3)}, no number above 0")
    return float(values[0])


def _refuse_normalised(file: h5py.File, path: str) -> None:
    x = file.get("X")
    data = x if isinstance(x, h5py.Dataset) else x.get("data") if isinstance(x, h5py.Group) else None
    if data is None or data.dtype.kind != "f" or data.ndim not in (1, 2):  # what is wrong, the reader of counts says
        return
    values = np.ravel(data[: LOOKED_AT // (1 if data.ndim == 1 else max(1, data.shape[1])) + 1])
    if len(bad := values[values % 1 != 0]):
        raise DataError(f"{path}: X has {bad[0]:g}, which is no raw count; get HEST's own file, or, if a layer has "
                        "raw counts, add the slide with layer= (--layer)")  # fmt: skip
