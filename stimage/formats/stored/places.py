"""Where a store's spots are, in their element's own coordinates: centres and size of circles, squares or labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from stimage.core.errors import DataError, shown
from stimage.core.extras import needs
from stimage.formats.imported import reading

SAME = 0.01  # by which sizes of spots may differ


@dataclass(frozen=True, eq=False)
class Places:
    """Centres (n x 2, x and y) of a table's rows, NaN where the element lacks a row's instance, and the radius."""

    xy: np.ndarray
    r: float


def places_in(data: Any, region: str, instances: pd.Series, where: str) -> Places:
    """Return the places of spots by their instances; a square's radius is half its side.

    Raises
    ------
    DataError
        If the element is missing, has none of the instances, one twice, or shapes of many sizes.
    """
    if region not in data.shapes and region not in data.labels:
        has = shown([*data.shapes, *data.labels]) or "none"
        raise DataError(f"{where}: annotates {region!r}, but the store's shapes and labels are {has}")
    called = f"{where}: its {region!r}"
    with reading(where, f"what annotates {region!r}"):
        table = _of_shapes(data.shapes[region]) if region in data.shapes else _of_labels(data.labels[region])
        wanted = pd.Index(instances.astype(object).map(_text), dtype=object)
        table.index = pd.Index([_text(one) for one in table.index], dtype=object)
    for names, what in ((table.index, "element"), (wanted, "table")):
        if names.has_duplicates:
            raise DataError(f"{called} and its table are joined by instance, and the {what} has "
                            f"{names[names.duplicated()][0]!r} twice; give each spot its own")  # fmt: skip
    at = table.index.get_indexer(wanted)
    if (at < 0).all():
        raise DataError(f"{called} has {shown(table.index.tolist(), 3)}, and none of the table's instances, "
                        f"{shown(wanted.tolist(), 3)}")  # fmt: skip
    r = table["r"].to_numpy()[at[at >= 0]]
    if r.max() > (1 + SAME) * r.min():
        raise DataError(f"{called} are shapes of many sizes, {2 * r.min():.3g} to {2 * r.max():.3g} across: cells, not "
                        "spots")  # fmt: skip
    xy = np.full((len(wanted), 2), np.nan)
    xy[at >= 0] = table[["x", "y"]].to_numpy()[at[at >= 0]]
    return Places(xy, float(np.median(r)))


def _text(instance: Any) -> str:
    return str(int(instance)) if isinstance(instance, float) and instance.is_integer() else str(instance)


def _of_shapes(shapes: Any) -> pd.DataFrame:
    kinds = set(shapes.geom_type)
    if kinds == {"Point"}:
        return pd.DataFrame({"x": shapes.geometry.x, "y": shapes.geometry.y, "r": shapes["radius"].astype(float)})
    area, box, centre = shapes.area, shapes.bounds, shapes.centroid
    full = (box.maxx - box.minx) * (box.maxy - box.miny)
    square = bool((area > (1 - SAME) * full).all())
    found = pd.DataFrame({"x": centre.x, "y": centre.y, "r": np.sqrt(area) / 2 if square else np.sqrt(area / np.pi)})
    if square and {"x", "y", "radius"} <= {*shapes}:  # as we write them: sums of corners are not exact
        exact = shapes[["x", "y", "radius"]].set_axis(["x", "y", "r"], axis=1).astype(float)
        return exact if np.allclose(exact, found, 1e-9, 1e-6) else found
    return found


def _of_labels(labels: Any) -> pd.DataFrame:
    """Return places in pixels of the labels' image.

    Bins of a pixel each are as spatialdata.rasterize_bins writes them: the transformation takes a pixel's row and
    column to the bin's centre. Of others, a pixel's centre is half a pixel on.
    """
    if hasattr(labels, "children"):  # at several scales
        labels = needs("spatialdata").get_pyramid_levels(labels, n=0)
    painted = np.asarray(labels.transpose("y", "x").data)
    y, x = np.nonzero(painted)
    names, which, pixels = np.unique(painted[y, x], return_inverse=True, return_counts=True)
    half = 0.5 if (pixels > 1).any() else 0.0
    x, y = (np.bincount(which, along + half) / pixels for along in (x, y))
    return pd.DataFrame({"x": x, "y": y, "r": np.sqrt(pixels) / 2}, index=names)
