"""What lies on a slide's image on the page: spots by count, label and gene, and cells, as a script that the page loads.

A page that is opened from disk may load scripts, but read no other file. Arrays are compressed: a slide may have
600,000 bins.
"""

import base64
import json
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from stimage.cells.cells import Cells
from stimage.cells.counting import UNCLASSED
from stimage.collection.checks.evidence import Evidence
from stimage.collection.page.overlay import Named, by_spot
from stimage.core.files import write_text
from stimage.figures.colours import OTHER, UNLABELLED, Look, label_looks, look_of
from stimage.figures.scale import count_colours, count_ticks
from stimage.slides.coordinates import Coordinates
from stimage.slides.images.tiles import Tiles
from stimage.slides.images.views import bins_turn

MOST = 1_000_000  # spots, and cells: of more, an even share is on the page, and the page says so


def write_layers(e: Evidence, tiles: Tiles, named: Named, path: Path) -> None:
    """Write the layers of a slide.

    Parameters
    ----------
    e
        What was read of the slide; its counts have the genes that the page is to show.
    tiles
        Of the slide's image.
    named
        The genes that were asked for: the page names those that the slide lacks.
    path
        The script to write.
    """
    layers = {
        "image": {"width": tiles.width, "height": tiles.height, "step": tiles.step, "levels": tiles.levels,
                  "tile": tiles.tile},
        "um_per_px": e.scale.um_per_px if e.scale else None,
        "square": e.slide.tech == "VisiumHD",
        "turn": bins_turn(e.slide, e.scale),
        "spots": _spots(e, e.coordinates, named) if e.coordinates is not None else None,
        "cells": _cells(e.cells) if e.cells is not None and len(e.cells) else None,
    }  # fmt: skip
    write_text(path, f"stimageLayers({json.dumps(layers, ensure_ascii=True, allow_nan=False)});\n")


def _spots(e: Evidence, every_spot: Coordinates, named: Named) -> dict:
    every = -(-len(every_spot) // MOST)
    at = every_spot if every == 1 else every_spot.filter(np.arange(len(every_spot)) % every == 0)
    names = at.ids.to_pylist()
    found = {"n": len(at), "of": len(every_spot), "names": pack("\0".join(names).encode()), "x": floats(at.x),
             "y": floats(at.y), "r": floats(at.r), "values": [], "missing": [], "labels": None}  # fmt: skip
    if e.labels:
        found["labels"] = _kinds([e.labels.get(name) for name in names], "no label")
    if e.counts:
        many = {"total count": e.counts.totals, **{named.title(g): values for g, values in e.counts.of_genes.items()}}
        found["values"] = [_values(name, values) for name, values in by_spot(e.counts, at.ids, many).items()]
        found["missing"] = [gene for gene in named.genes if named.found(gene, e.counts) is None]
    return found


def _values(name: str, values: np.ndarray) -> dict:
    """Return the counts of spots, and how colours stand for them."""
    colours = count_colours(values)
    low, high = colours.get_clim()
    ticks = [[place, text] for _, place, text in count_ticks(colours, values)]
    return {"name": name, "low": float(low), "high": float(high), "ticks": ticks, "values": floats(values)}


def _kinds(labels: Sequence[str | None], none: str, names: Sequence[str] | None = None) -> dict:
    """Return the label of each place as a number, and the names and looks of labels; number 0 is none."""
    looks = label_looks(labels)
    names = [*looks, *sorted({label for label in labels if label} - looks.keys())]
    number = {name: k for k, name in enumerate(names, 1)} | {None: 0, "": 0}
    kinds = [_kind(none, UNLABELLED), *(_kind(name, look_of(name, looks)) for name in names)]
    return {"kinds": kinds, "codes": pack(np.array([number[label] for label in labels], "<u4").tobytes())}


def _kind(name: str, look: Look) -> dict:
    return {"name": name, "colour": look.colour, "marked": look.marked, "rare": look == OTHER}


def _cells(cells: Cells) -> dict:
    every = -(-len(cells) // MOST)
    table = cells.table.take(pa.array(np.arange(0, len(cells), every)))
    kinds = _kinds(table["class"].to_pylist(), UNCLASSED)
    xy = {name: floats(table[name].to_numpy()) for name in ("x", "y")}
    return {"n": len(table), "of": len(cells), **xy, **kinds}


def floats(values: np.ndarray) -> str:
    """Return numbers (float32, little-endian) as `pack` does."""
    return pack(np.asarray(values, "<f4").tobytes())


def pack(content: bytes) -> str:
    """Return bytes, compressed by zlib, as text."""
    return base64.b64encode(zlib.compress(content, 6)).decode("ascii")
