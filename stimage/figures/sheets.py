"""Draw a slide on a sheet: its image with its spots, beside patches and their content, or a gene and its prediction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stimage.figures.colours import OTHER, Look, label_looks, look_of
from stimage.figures.rings import tinted
from stimage.figures.scale import colour_bar, colours_of, count_colours, count_ticks, scale_bar, span_of
from stimage.figures.shapes import SlideImage, SpotShapes
from stimage.figures.spots import draw_spots
from stimage.figures.style import shortened, styled
from stimage.figures.views import INSET, show_slide

WIDTH = 9  # inches
BAR = 0.25  # of a map's width, that the colour bar takes
CELL, GAP, BELOW, LINE = 1.9, 0.22, 0.32, 0.135  # inches of a found patch, beside and below it, and of a line of text
MOST_NARROW = 3  # patches beside one another, for a title
NUMBER = {"boxstyle": "circle,pad=0.15", "facecolor": "black", "edgecolor": "none", "alpha": 0.7}


@styled
def contact_sheet(
    title: str,
    image: SlideImage,
    shapes: SpotShapes,
    totals: np.ndarray | None,
    chosen: np.ndarray,
    patches: Sequence[np.ndarray],
    captions: Sequence[str],
) -> Figure:
    """Draw a slide with its spots coloured by total count, beside a square of patches.

    Parameters
    ----------
    totals
        Total count of each spot (n); None where there are no counts.
    chosen
        Numbers of the spots whose patches (uint8 RGB) are drawn (int, m). On the slide, these spots have the numbers of
        their patches.
    captions
        Text above each patch, after its number.
    """
    figure = Figure((13, 7 + (INSET + 0.15 if image.beside else 0)), layout="constrained")
    slide, grid = figure.subplot_mosaic([["slide", "patches"]], width_ratios=[1, 1.05]).values()
    if totals is None:
        show_slide(slide, image, shapes, [OTHER] * len(shapes.xy), bar=False)
    else:
        colours = count_colours(totals)
        show_slide(slide, image, shapes, colours.to_rgba(totals), bar=False)
        _bar_of_counts(figure, slide, tinted(colours, image.view, shapes), totals)
    for k, (x, y) in enumerate(shapes.xy[chosen].tolist()):
        slide.text(x, y, str(k + 1), color="white", fontsize=7, ha="center", va="center", bbox=NUMBER)
    slide.set_title(title, fontsize=10)
    _axes_with_units(slide, shapes.um_per_px)
    grid.axis("off")
    side = int(np.ceil(len(chosen) ** 0.5))
    for k, (pixels, caption) in enumerate(zip(patches, captions)):
        cell = (k % side / side, 1 - (k // side + 1) / side, 0.9 / side, 0.76 / side)
        one = grid.inset_axes(cell)
        one.imshow(pixels, interpolation="nearest")
        lines = wrap(f"{k + 1}: {caption}", 23, max_lines=2, placeholder=" …", break_on_hyphens=False)
        one.set_title("\n".join(lines), fontsize=7)
        one.set(xticks=[], yticks=[])
    return figure


def _bar_of_counts(figure: Figure, axes: Axes, colours: ScalarMappable, totals: np.ndarray) -> None:
    top = (1.0, 1.0)  # as of `colour_bar`
    bar = figure.colorbar(colours, ax=axes, shrink=0.6, aspect=30, pad=0.02, panchor=top, label="total count of a spot")
    values, _, texts = zip(*count_ticks(colours, totals))
    bar.set_ticks(values, labels=texts)
    bar.minorticks_off()


@dataclass(frozen=True, eq=False)
class Cell:
    """A patch (uint8 RGB) with lines above it, and µm per pixel of the patch; None where the scale is unknown."""

    pixels: np.ndarray
    lines: tuple[str, ...]
    um_per_px: float | None = None


@styled
def search_sheet(title: str, query: Cell | None, found: Sequence[Cell]) -> Figure:
    """Draw the patches that a search found, the nearest first, with scale bars. The query's patch comes first, framed.

    A patch of unknown scale has a bar in pixels, which says so.
    """
    cells = [*([query] if query else []), *found]
    columns = min(len(cells), max(MOST_NARROW, int(np.ceil((1.4 * len(cells)) ** 0.5))))
    rows, head = -(-len(cells) // columns), wrap(title, int(columns * CELL * 12))
    lines = max(len(cell.lines) for cell in cells)
    above, top = LINE * (lines + 0.7), LINE * (1.6 * len(head) + 0.6)
    width, height = columns * (CELL + GAP) + GAP, top + rows * (above + CELL + BELOW)
    figure = Figure((width, height))
    figure.text(GAP / width, 1 - LINE / 2 / height, "\n".join(head), fontsize=11, va="top")
    for k, cell in enumerate(cells):
        row, column = divmod(k, columns)
        left, low = GAP + column * (CELL + GAP), height - top - (row + 1) * (above + CELL) - row * BELOW
        axes = figure.add_axes((left / width, low / height, CELL / width, CELL / height), anchor="NW")
        axes.imshow(cell.pixels, interpolation="lanczos")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(visible=cell is query, linewidth=2)
        text = "\n".join(shortened(line, int(CELL * 16)) for line in cell.lines)
        axes.set_title(text, fontsize=7, loc="left", pad=3, linespacing=1.25)
        scale_bar(axes, cell.um_per_px)
    return figure


def _axes_with_units(axes: Axes, um_per_px: float | None) -> None:
    """Count from the image's corner, in mm where the scale is known, else in pixels; a scale bar below."""
    factor, unit = (um_per_px / 1000, "mm") if um_per_px else (1.0, "pixels; µm per px not known")
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        ticks = np.array(MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low * factor, high * factor)) / factor
        ticks = ticks[(ticks >= low) & (ticks <= high)]
        axis.set_ticks(ticks, [f"{tick * factor:g}" for tick in ticks])
        axis.set_label_text(f"{name} ({unit})")
    scale_bar(axes, um_per_px)


@dataclass(frozen=True, eq=False)
class Gene:
    """A gene over a slide: its measured and predicted values (n each), their unit, and Pearson's r."""

    name: str
    measured: np.ndarray
    predicted: np.ndarray
    unit: str
    score: float


@styled
def overview(
    image: SlideImage,
    shapes: SpotShapes,
    labels: Sequence[str | None],
    patches: Mapping[str, Sequence[np.ndarray]],
    mapped: SpotShapes,
    gene: Gene,
) -> Figure:
    """Draw a slide with its spots, patches of some labels, and a gene beside its prediction, in one colour scale.

    Parameters
    ----------
    labels
        One for each spot. Rings are drawn around spots whose labels have patches.
    patches
        By label: patches, uint8 RGB.
    mapped
        The n spots at which the gene is measured and predicted.
    """
    looks = label_looks(labels)
    left, top, right, bottom = mapped.box
    rows, columns = max(len(patches), 1), max(map(len, patches.values()), default=1)
    ratios = [
        image.view.pixels.shape[1] / image.view.pixels.shape[0],
        columns / rows,
        *[(right - left) / (bottom - top)] * 2,
    ]
    figure = Figure((WIDTH, WIDTH / (sum(ratios) + BAR) + 0.4), layout="constrained")
    slide, cells, *maps = figure.subplots(1, 4, width_ratios=ratios)
    mine = np.array([label in patches for label in labels], bool)
    some = replace(shapes, xy=shapes.xy[mine], r=shapes.r[mine])
    show_slide(slide, image, some, [look_of(label, looks) for label in labels if label in patches])
    _patches(cells, patches, looks, rows, columns)
    both = [gene.measured, gene.predicted]
    colours = colours_of(span_of(both))
    for axes, values in zip(maps, both):
        draw_spots(axes, mapped, colours.to_rgba(values))
    colour_bar(figure, maps, colours, both, gene.unit)
    titles = ("a slide and its spots", "patches", f"{gene.name}, measured", f"predicted, r = {gene.score:.2f}")
    for axes, title in zip((slide, cells, *maps), titles):
        axes.set_title(title, fontsize=8)
        axes.set_anchor("N")
    return figure


def _patches(
    axes: Axes, patches: Mapping[str, Sequence[np.ndarray]], looks: dict[str, Look], rows: int, columns: int
) -> None:
    """Draw a row of patches for each label, in its colour, below its name."""
    axes.set_axis_off()
    axes.set_box_aspect(rows / columns)
    for row, (name, some) in enumerate(patches.items()):
        for column, pixels in enumerate(some):
            cell = ((column + 0.05) / columns, 1 - (row + 1) / rows, 0.75 / columns, 0.75 / rows)
            one = axes.inset_axes(cell)
            one.imshow(pixels, interpolation="lanczos")
            one.set(xticks=[], yticks=[])
            one.spines[:].set(visible=True, color=looks[name].colour, linewidth=1.4)
        axes.text(0.01, 1 - (row + 0.2) / rows, shortened(name, 22), color=looks[name].colour, fontsize=7,
                  transform=axes.transAxes)  # fmt: skip
