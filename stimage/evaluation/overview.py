"""One slide at a glance: its spots, their patches, and a gene as measured and as predicted."""

from collections import Counter

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure

from stimage.evaluation.expression import SlidePrediction
from stimage.evaluation.expression_data import read_places
from stimage.figures.colours import OKABE_ITO
from stimage.figures.style import draw_spots, label_styles, styled
from stimage.scores.ridge import fair_pearson
from stimage.slides.images.patches import Patch
from stimage.slides.images.thumbnail import thumbnail
from stimage.slides.spots import Spots

WIDTH = 8  # inches
LABELS, PATCHES = 4, 3  # rows of patches, and how many in each
LONGEST = 520  # pixels of the slide's picture


@styled
def overview(spots: Spots, labels: list[str | None], prediction: SlidePrediction) -> Figure:
    """Draw a slide with its spots, patches of its commonest labels, and the first predicted gene beside its truth.

    Parameters
    ----------
    labels
        One for each spot.
    """
    styles, (xy, r) = commonest_styles(labels), read_places(prediction.spots)
    across, down = np.ptp(xy, axis=0) + 4 * r.max()
    shapes = [spots.image_info.width / spots.image_info.height, PATCHES / LABELS, across / down, across / down]
    figure = Figure((WIDTH, WIDTH / sum(shapes) + 0.1), layout="constrained")
    slide, patches, measured, predicted = figure.subplots(1, 4, width_ratios=shapes)
    _slide(slide, spots, labels, styles)
    _patches(patches, spots, labels, styles)
    gene, score = prediction.genes[0], fair_pearson(prediction.truth[:, :1], prediction.predicted[:, :1])[0]
    for axes, values in ((measured, prediction.truth[:, 0]), (predicted, prediction.predicted[:, 0])):
        span = matplotlib.colors.Normalize(*np.quantile(values, (0.01, 0.99)))
        colours = matplotlib.cm.ScalarMappable(span, "viridis").to_rgba(values)
        draw_spots(axes, xy, 1.25 * r, colours, spots.slide.tech == "VisiumHD")
    titles = ("a slide and its spots", "patches", f"{gene}, measured", f"predicted from images, r = {score:.2f}")
    for axes, title in zip((slide, patches, measured, predicted), titles):
        axes.set_title(title, fontsize=8)
        axes.set_anchor("N")
    return figure


def commonest_styles(labels: list[str | None]) -> dict:
    """Return the styles that the commonest labels have in all figures."""
    styles = label_styles(labels, len(OKABE_ITO))
    counts = Counter(label for label in labels if label in styles)
    return {name: styles[name] for name in sorted(styles, key=lambda name: -counts[name])[:LABELS]}


def _slide(axes: Axes, spots: Spots, labels: list[str | None], styles: dict) -> None:
    pixels, step = thumbnail(spots.image_path, spots.image_info, LONGEST, spots.max_pixels)
    axes.imshow(pixels, extent=(0, pixels.shape[1] * step, pixels.shape[0] * step, 0), interpolation="lanczos")
    for name, (colour, _) in styles.items():
        mine = np.array([label == name for label in labels])
        xy, r = np.stack([spots.x, spots.y], 1)[mine], spots.r[mine]
        for edge, width in (("white", 2.2), (colour, 1.1)):  # a white ring below, as tissue may be of the colour
            rings = {"facecolors": "none", "edgecolors": edge, "linewidths": width, "offset_transform": axes.transData}
            axes.add_collection(EllipseCollection(2 * r, 2 * r, 0 * r, units="x", offsets=xy, **rings))
    axes.set(xlim=(0, spots.image_info.width), ylim=(spots.image_info.height, 0))
    axes.set_axis_off()


def _patches(axes: Axes, spots: Spots, labels: list[str | None], styles: dict) -> None:
    """Draw a row of patches for each label, of spots from all over the slide that lie wholly on its image."""
    axes.set_axis_off()
    axes.set_box_aspect(LABELS / PATCHES)
    size = spots.image_info.width, spots.image_info.height
    whole = np.all([(v >= spots.r) & (v + spots.r <= n) for v, n in zip((spots.x, spots.y), size)], axis=0)
    for row, (name, (colour, _)) in enumerate(styles.items()):
        mine = np.flatnonzero(whole & np.array([label == name for label in labels]))
        some = mine[np.unique(np.linspace(0, len(mine) - 1, PATCHES + 2).astype(int)[1:-1])] if len(mine) else mine
        cut = Patch().cut(spots.image_path, spots.x[some], spots.y[some], spots.r[some], spots.scale, spots.max_pixels)
        for column, pixels in enumerate(cut):
            one = axes.inset_axes(((column + 0.05) / PATCHES, 1 - (row + 1) / LABELS, 0.75 / PATCHES, 0.75 / LABELS))
            one.imshow(pixels, interpolation="lanczos")
            one.set(xticks=[], yticks=[])
            one.spines[:].set(visible=True, color=colour, linewidth=1.2)
        axes.text(0.01, 1 - (row + 0.2) / LABELS, name, color=colour, fontsize=7, transform=axes.transAxes)
