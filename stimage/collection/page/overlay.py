"""The picture of a slide that is checked: which colours its spots have, by total counts, annotation or a gene."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stimage.collection.checks.evidence import Counts, Evidence
from stimage.figures.colours import OTHER, Look, label_looks, legend_of, look_of
from stimage.figures.pixels.check_picture import Bar, Legend, check_picture
from stimage.figures.scale import count_colours
from stimage.slides.images.views import shapes_of


def draw_overlay(e: Evidence, colour: str, path: Path, small: Path) -> bool:
    """Write a JPEG of the slide's image with rings around its spots, and a small one; False if there is no image.

    Parameters
    ----------
    colour
        "counts", "annotation", or the gene that the evidence was gathered with.
    """
    if e.picture is None:
        return False
    if e.coordinates is None:
        check_picture(path, small, e.picture.view, None, [], "")
    else:
        looks, legend = _looks(e, e.coordinates.ids, colour)
        check_picture(path, small, e.picture.view, shapes_of(e.coordinates, e.slide, e.scale), looks, legend)
    return True


def _looks(e: Evidence, ids: pa.ChunkedArray, colour: str) -> tuple[np.ndarray | list[Look], Legend]:
    """Return a colour or a look for each spot, and what these mean."""
    if colour == "annotation":
        labels = [(e.labels or {}).get(spot) for spot in ids.to_pylist()]
        looks = label_looks(labels)
        return [look_of(label, looks) for label in labels], legend_of(labels, looks)
    values = None if e.counts is None else e.counts.totals if colour == "counts" else e.counts.of_genes.get(colour)
    if e.counts is None or values is None:
        return [OTHER] * len(ids), f"no {colour}"
    values = by_spot(e.counts, ids, {colour: values})[colour]
    colours = count_colours(values)
    return colours.to_rgba(values), Bar("total count" if colour == "counts" else f"{colour}, count", values, colours)


def by_spot(counts: Counts, ids: pa.ChunkedArray, many: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what the rows of the count file have (n) for spots in their own order; 0 for spots without a row."""
    row = pc.fill_null(pc.index_in(ids, counts.ids), -1).to_numpy()
    return {name: np.where(row >= 0, values[row], 0) for name, values in many.items()}
