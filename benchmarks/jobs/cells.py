"""Cells of a segmenter into a root, and counted per spot, beside plain programs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from benchmarks.jobs import loads

FILE, SLIDE = "cells.geojson", "Bench_Cells"
WATCHED = ("stimage.jobs.cells.importing", "stimage.jobs.cells.counting", "shapely", "scipy.spatial", "scipy.ndimage")


@loads(*WATCHED)
def take(root: str) -> dict:
    """Read, check and write the cells of a slide."""
    import stimage

    table = stimage.import_cells(root, SLIDE, Path(root, FILE)).table
    return {"cells": len(table), "x": table["x"].to_numpy().mean(), "area": table["area"].to_numpy().sum() / len(table)}


@loads("shapely")
def take_plain(root: str) -> dict:
    """Read them with json, and make a polygon of each."""
    from shapely.geometry import Polygon

    um, rows = _um(root), []
    for feature in json.loads(Path(root, FILE).read_text()):
        for rings in feature["geometry"]["coordinates"]:
            polygon = Polygon(rings[0])
            name = feature["properties"]["classification"]["name"]
            rows.append((polygon.centroid.x, polygon.centroid.y, name, polygon.area * um**2, polygon.wkb))
    table = pd.DataFrame(rows, columns=["x", "y", "class", "area", "polygon"])
    table.to_parquet(Path(root, "plain.parquet"))
    return {"cells": len(table), "x": table.x.mean(), "area": table.area.mean()}


@loads(*WATCHED)
def count(root: str) -> Iterator[dict | None]:
    """Count the cells of each spot."""
    import stimage

    if not Path(root, f"cells/{SLIDE}.parquet").exists():
        take(root)
    yield None
    yield {"counted": stimage.count_cells(root).iloc[:, 4:].to_numpy().sum()}


@loads()
def count_plain(root: str) -> Iterator[dict | None]:
    """Count them as the original does, by the distances of all cells to each spot."""
    if not Path(root, f"cells/{SLIDE}.parquet").exists():
        take(root)
    yield None
    cells, total = pd.read_parquet(Path(root, f"cells/{SLIDE}.parquet"), columns=["x", "y", "class"]), 0
    low, high = cells[["x", "y"]].min(), cells[["x", "y"]].max()
    spots = pd.read_csv(Path(root, f"Visium/coord/{SLIDE}_coord.csv"))
    for x, y, r in spots[["xaxis", "yaxis", "r"]].itertuples(index=False):
        if x - r >= low.x and x + r <= high.x and y - r >= low.y and y + r <= high.y:
            near = (cells.x - x) ** 2 + (cells.y - y) ** 2 <= r**2
            total += cells["class"][near].value_counts().sum()
    yield {"counted": float(total)}


def _um(root: str) -> float:
    import stimage

    return stimage.cells.known_scale(stimage.open_root(root).slides[0], "this")
