"""One picture of a slide: the image with its spots, and some patches with their top genes."""

from pathlib import Path
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from stimage.slides.counts.rows import CountRows
from stimage.slides.images.patches import Patch
from stimage.slides.images.thumbnail import thumbnail
from stimage.slides.spots import Spots

THUMBNAIL = 1600  # pixels of the longer side
GRID = 4  # patches a row and a column
TOP_GENES = 4
LABEL = {"boxstyle": "circle,pad=0.15", "facecolor": "black", "edgecolor": "none", "alpha": 0.7}


def contact_sheet(spots: Spots, path: Path) -> None:
    """Draw a slide with its spots coloured by total count, beside patches from all over it; write a PNG.

    Parameters
    ----------
    spots
        An opened slide.
    path
        The file to write.
    """
    chosen = np.unique(np.linspace(0, len(spots) - 1, GRID * GRID).round().astype(int))
    figure = Figure(figsize=(17, 9), dpi=110, layout="constrained")
    slide_axes, grid = figure.subplot_mosaic([["slide", "patches"]], width_ratios=[1, 1.05]).values()
    grid.axis("off")
    _draw_slide(slide_axes, spots, chosen)
    rows = spots.rows(chosen)
    patches = Patch().cut(
        spots.image_path, spots.x[chosen], spots.y[chosen], spots.r[chosen], spots.scale, spots.max_pixels
    )
    for k, pixels in enumerate(patches):
        size = 1 / GRID
        axes = grid.inset_axes((k % GRID * size, 1 - (k // GRID + 1) * size, size * 0.9, size * 0.76))
        axes.imshow(pixels, interpolation="nearest")
        title = f"{k + 1}: {', '.join(most_counted(rows, k, spots.genes))}"
        axes.set_title("\n".join(wrap(title, 28, max_lines=2, placeholder=" …")), fontsize=7.5)
        axes.set_xticks([], [])
        axes.set_yticks([], [])
    figure.savefig(path)


def most_counted(rows: CountRows, k: int, genes: list[str], n: int = TOP_GENES) -> list[str]:
    """Return the names of the genes with the highest counts in row ``k``; among equals, the file's first."""
    columns, values = rows[k]
    return [genes[column] for column in columns[np.argsort(-values, kind="stable")[:n]]]


def _draw_slide(axes: Axes, spots: Spots, chosen: np.ndarray) -> None:
    pixels, step = thumbnail(spots.image_path, spots.image_info, THUMBNAIL, spots.max_pixels)
    axes.imshow(pixels, extent=(0, pixels.shape[1] * step, pixels.shape[0] * step, 0))
    if spots.slide.tech == "VisiumHD":
        shapes = [Rectangle((x - r, y - r), 2 * r, 2 * r) for x, y, r in zip(spots.x, spots.y, spots.r)]
    else:
        shapes = [Circle((x, y), r) for x, y, r in zip(spots.x, spots.y, spots.r)]
    collection = PatchCollection(shapes, cmap="viridis", alpha=0.55, linewidth=0)
    collection.set_array(np.log10(1 + total_counts(spots)))
    axes.add_collection(collection)
    axes.figure.colorbar(collection, ax=axes, label="log10(1 + total count)", shrink=0.6)
    for k, i in enumerate(chosen.tolist()):
        axes.text(spots.x[i], spots.y[i], str(k + 1), color="white", fontsize=7, ha="center", va="center", bbox=LABEL)
    axes.set_title(f"{spots.slide.name}: {len(spots):,} spots, {len(spots.genes):,} genes", fontsize=10)
    _scale_bar(axes, spots)
    axes.set(xlim=(0, spots.image_info.width), ylim=(spots.image_info.height, 0))


def total_counts(spots: Spots) -> np.ndarray:
    """Return the sum of each spot's counts (float64, n)."""
    totals = np.empty(len(spots))
    for some, rows in spots.blocks():
        totals[some] = rows.totals()
    return totals


def _scale_bar(axes: Axes, spots: Spots) -> None:
    um_per_px = spots.scale.um_per_px
    if um_per_px is None:
        axes.set_xlabel("pixels; µm per pixel not known")
        return
    length = 10 ** np.floor(np.log10(spots.image_info.width * um_per_px / 3))
    left, bottom = 0.03 * spots.image_info.width, 0.97 * spots.image_info.height
    for color, linewidth in (("white", 7), ("black", 3)):
        axes.plot([left, left + length / um_per_px], [bottom, bottom], color=color, linewidth=linewidth)
    axes.set_xlabel(f"pixels of {um_per_px:.3g} µm; the bar is {length:g} µm")
