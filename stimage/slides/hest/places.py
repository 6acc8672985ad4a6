"""The positions of an AnnData's spots in pixels of the full image, by the names of the source's columns."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from stimage.core.errors import DataError, one_line, shown

PIXELS = (("pxl_col_in_fullres", "pxl_row_in_fullres"), ("pxl_col", "pxl_row"), ("imagecol", "imagerow"))
IN_TISSUE = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}
PAIRS = (*PIXELS, ("pixel_x", "pixel_y"), ("x", "y"))  # x and y; "x" and "y" in obs may be array coordinates

ARRAY = (("array_col", "array_row"),)


def holds_places(name: str) -> bool:
    """Return whether obsm has the spots' positions under this name."""
    return name.lower() in ("spatial", "x_spatial")


def places_of(obs: pd.DataFrame, obsm: Mapping[str, Any], where: str) -> np.ndarray:
    """Return x and y of spots (n x 2, floats), in the order of ``obs``; NaN for a spot without a position.

    They come from ``obsm["spatial"]``, an array or a table with named columns, or else from columns of ``obs``.

    Raises
    ------
    DataError
        If there are none, or it is unclear which is x and which is y.
    """
    name = next(filter(holds_places, obsm), None)
    try:
        if name is None:
            return _of_obs(obs, where)
        told, called = obsm[name], f"{where}: obsm[{name!r}]"
        if isinstance(told, np.ndarray) and told.dtype.names:
            told = pd.DataFrame(told, index=obs.index)
        if isinstance(told, pd.DataFrame):
            return _of_table(told, obs, called)
        xy = _first_two(np.asarray(told, float), called)
    except (TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{where}: its coordinates are no numbers ({one_line(error)})") from None
    if len(xy) != len(obs):
        raise DataError(f"{called} has {len(xy)} rows, obs has {len(obs)}")
    return xy[:, ::-1] if _is_swapped(xy, obs, called) else xy


def in_tissue(obs: pd.DataFrame, where: str) -> np.ndarray:
    """Return which spots are in tissue; ``obs`` may say so by numbers, truth values, texts or categories."""
    if "in_tissue" not in obs:
        return np.ones(len(obs), bool)
    known = obs["in_tissue"].astype(object).map(lambda told: IN_TISSUE.get(str(told).strip().lower()))
    if (unknown := known.isna()).any():
        raise DataError(f"{where}: in_tissue of spot {str(obs.index[unknown][0])!r} is "
                        f"{str(obs['in_tissue'][unknown.to_numpy()].iloc[0])!r}: it must be 1 or 0")  # fmt: skip
    return known.to_numpy(bool)


def _of_obs(obs: pd.DataFrame, where: str) -> np.ndarray:
    if not (pair := _pair(obs, PIXELS)):
        named = ", ".join(" and ".join(pair) for pair in PIXELS)
        raise DataError(f"{where}: has no coordinates: neither obsm['spatial'] nor, in obs, {named}")
    return obs[pair].to_numpy(float)


def _pair(table: pd.DataFrame, pairs: tuple[tuple[str, str], ...]) -> list[str]:
    """Return the columns that have x and y, whatever their case."""
    names: dict[str, Any] = {str(name).lower(): name for name in table}
    return next(([names[x], names[y]] for x, y in pairs if x in names and y in names), [])


def _of_table(table: pd.DataFrame, obs: pd.DataFrame, called: str) -> np.ndarray:
    if (rows := [str(name) for name in table.index]) != [str(name) for name in obs.index]:
        raise DataError(f"{called} has other rows than obs, or in another order: {shown(rows, 3)}")
    if pair := _pair(table, PAIRS):
        return table[pair].to_numpy(float)
    if all(re.fullmatch(r"(?:v|spatial_?)?\d", str(name).lower()) for name in table):  # 0, V1, spatial_1: no names
        return _first_two(table.to_numpy(float), called)
    raise DataError(f"{called} has the columns {shown([str(name) for name in table])}: call the one that goes right in "
                    "the image x, and the one that goes down y")  # fmt: skip


def _first_two(values: np.ndarray, called: str) -> np.ndarray:
    if values.ndim != 2 or values.shape[1] < 2:
        raise DataError(f"{called} must have two columns, x and y, and has the shape {values.shape}")
    for depth in values[:, 2:].T:
        if len(np.unique(depth[~np.isnan(depth)])) > 1:
            raise DataError(f"{called} has {values.shape[1]} columns, and more than two of them vary: is it several "
                            "sections? Write a file a section, with x and y alone")  # fmt: skip
    return values[:, :2]


def _is_swapped(xy: np.ndarray, obs: pd.DataFrame, called: str) -> bool:
    """Return if columns of ``obs`` say that an array has y first.

    Older scanpy calls x and y by each other's names in ``obs``, so that the array coordinates must say it, too.
    """
    if not (pair := _pair(obs, PIXELS)):
        return False
    named = obs[pair].to_numpy(float)
    if np.allclose(named, xy, equal_nan=True) or not np.allclose(named, xy[:, ::-1], atol=0.51, equal_nan=True):
        return False
    grid = _pair(obs, ARRAY)
    if not grid:
        raise DataError(f"{called} has first what obs calls {pair[1]}, and then {pair[0]}: one of both swaps x and y; "
                        f"remove the wrong one")  # fmt: skip
    column, row = (abs(np.corrcoef(named[:, 0], obs[name].to_numpy(float))[0, 1]) for name in grid)
    return bool(column > row)


def is_mirrored(xy: np.ndarray, obs: pd.DataFrame) -> bool:
    """Return whether the array coordinates in ``obs`` run the other way round than x and y (n x 2).

    No microscope turns them so: x and y are swapped, or the image was mirrored.
    """
    try:
        array = obs[_pair(obs, ARRAY)].to_numpy(float)
    except (TypeError, ValueError):  # columns of these names that are no coordinates
        return False
    known = np.isfinite(array).all(1) & np.isfinite(xy).all(1)
    if array.shape[1] != 2 or known.sum() < 3:
        return False
    design = np.column_stack([array[known], np.ones(known.sum())])
    steps, _, rank, _ = np.linalg.lstsq(design, xy[known], rcond=None)
    return bool(rank == 3 and np.linalg.det(steps[:2]) < 0)  # of one row alone, nothing is known
