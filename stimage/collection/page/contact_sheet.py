"""The content of a contact sheet: a slide's image around its spots, total counts, and patches with their genes."""

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure

from stimage.figures.sheets import contact_sheet
from stimage.genes.names import read_gene_table
from stimage.slides.counts.rows import CountRows
from stimage.slides.images.patches import Patch
from stimage.slides.images.views import shapes_of, slide_image
from stimage.slides.spots import Spots

LEAST = 1000  # pixels of the longer side
PATCHES = 16
TOP_GENES = 4


def sheet_of(spots: Spots, gene_table: str | None = None) -> Figure:
    """Draw a slide with its spots coloured by total count, beside patches from all over it with their top genes.

    For an image alone, spots have one colour, and patches have the ids of their spots. A table of symbols and Ensembl
    ids gives genes their symbols.
    """
    chosen = np.unique(np.linspace(0, len(spots) - 1, PATCHES).round().astype(int))
    shapes, counted = shapes_of(spots, spots.slide, spots.scale), not spots.slide.image_alone
    image = slide_image(spots, shapes, LEAST)
    patches = Patch().cut(
        spots.image_path, spots.x[chosen], spots.y[chosen], spots.r[chosen], spots.scale, spots.max_pixels
    )
    title = f"{spots.slide.name}: {len(spots):,} spots, {len(spots.genes):,} genes"
    if counted:
        rows, symbols = (
            spots.rows(chosen),
            read_gene_table(gene_table, spots.slide.species).symbols if gene_table else {},
        )
        genes = [symbols.get(gene.partition(".")[0], gene) for gene in spots.genes]
        captions = [", ".join(most_counted(rows, k, genes)) for k in range(len(chosen))]
    else:
        captions = [one.removeprefix(f"{spots.slide.name}_") for one in spots.ids.take(pa.array(chosen)).to_pylist()]
    totals = total_counts(spots) if counted else None
    return contact_sheet(title, image, shapes, totals, chosen, list(patches), captions)


def most_counted(rows: CountRows, k: int, genes: list[str], n: int = TOP_GENES) -> list[str]:
    """Return the names of the genes with the highest counts in row ``k``; among equals, the file's first."""
    columns, values = rows[k]
    return [genes[column] for column in columns[np.argsort(-values, kind="stable")[:n]]]


def total_counts(spots: Spots) -> np.ndarray:
    """Return the sum of each spot's counts (float64, n)."""
    totals = np.empty(len(spots))
    for some, rows in spots.blocks():
        totals[some] = rows.totals()
    return totals
