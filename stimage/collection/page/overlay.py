"""The picture of a slide that is checked: which colours its spots have, by total counts, annotation or a gene."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stimage.collection.checks.evidence import Counts, Evidence
from stimage.figures.colours import OTHER, Look, label_looks, legend_of, look_of
from stimage.figures.pixels.check_picture import Bar, Legend, check_picture
from stimage.figures.scale import count_colours
from stimage.figures.shapes import SlideImage, View
from stimage.genes.names import titles_of
from stimage.slides.images.views import shapes_of


@dataclass(frozen=True)
class Named:
    """The genes that are asked for, each with what it may be called in the slide, and a table of symbols if given."""

    genes: Mapping[str, tuple[str, ...]]
    gene_table: str | None
    species: str | None

    def found(self, gene: str, counts: Counts) -> str | None:
        """Return the slide's name of a gene, None if the slide lacks it."""
        return next((name for name in self.genes.get(gene, (gene,)) if name in counts.of_genes), None)

    def title(self, name: str) -> str:
        """Return the name of a slide's gene in a picture."""
        return f"{titles_of([name], self.gene_table, self.species)[0]}, count"


def draw_overlay(e: Evidence, colour: str, named: Named, path: Path, small: Path) -> bool:
    """Write a JPEG of the slide's image with rings around its spots, and a small one; False if there is no image.

    Parameters
    ----------
    colour
        "counts", "annotation", or a gene that the evidence was gathered with.
    named
        What genes are called.
    """
    if e.picture is None:
        return False
    image = SlideImage(e.picture.view, View(e.picture.thumbnail, 0, 0, e.picture.step))
    if e.coordinates is None:
        check_picture(path, small, image, None, [], "")
    else:
        looks, legend = _looks(e, e.coordinates.ids, colour, named)
        check_picture(path, small, image, shapes_of(e.coordinates, e.slide, e.scale), looks, legend)
    return True


def _looks(e: Evidence, ids: pa.ChunkedArray, colour: str, named: Named) -> tuple[np.ndarray | list[Look], Legend]:
    """Return a colour or a look for each spot, and what these mean."""
    if colour == "annotation":
        labels = [(e.labels or {}).get(spot) for spot in ids.to_pylist()]
        looks = label_looks(labels)
        return [look_of(label, looks) for label in labels], legend_of(labels, looks)
    gene = None if e.counts is None or colour == "counts" else named.found(colour, e.counts)
    if e.counts is None or (gene is None and colour != "counts"):
        return [OTHER] * len(ids), f"no {colour}"
    title, values = (named.title(gene), e.counts.of_genes[gene]) if gene else ("total count", e.counts.totals)
    values = by_spot(e.counts, ids, {title: values})[title]
    colours = count_colours(values)
    return colours.to_rgba(values), Bar(title, values, colours)


def by_spot(counts: Counts, ids: pa.ChunkedArray, many: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what the rows of the count file have (n) for spots in their own order; 0 for spots without a row."""
    row = pc.fill_null(pc.index_in(ids, counts.ids), -1).to_numpy()
    return {name: np.where(row >= 0, values[row], 0) for name, values in many.items()}
