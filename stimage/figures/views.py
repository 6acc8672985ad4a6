"""A slide's image with its spots on it; beside it, small, all of the image and which part of it is shown."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox
from PIL import Image

from stimage.figures.colours import Look
from stimage.figures.rings import draw_rings
from stimage.figures.scale import scale_bar
from stimage.figures.shapes import SlideImage, SpotShapes, View
from stimage.figures.spots import draw_outline

LEAST = 800  # pixels of the longer side that rings are drawn into
INSET = 0.8  # inches of the longer side of all of the image; of a fixed size, or the layout would not settle
FRAME = "#D55E00"


def show_slide(
    axes: Axes, image: SlideImage, shapes: SpotShapes, colours: np.ndarray | Sequence[Look], bar: bool = True
) -> None:
    """Show a slide's spots, each with a ring, and the tissue's outline; below, a scale bar and all of the image.

    Parameters
    ----------
    colours
        As `draw_rings` takes them.
    bar
        False leaves the ticks and draws no scale bar: the caller's axes have units.
    """
    view = _enlarged(image.view)
    at = (shapes.xy - (view.left, view.top)) / view.step
    show_view(axes, replace(view, pixels=draw_rings(view.pixels, at, shapes.r / view.step, colours, shapes.square)))
    limits = {"xlim": axes.get_xlim(), "ylim": axes.get_ylim()}
    draw_outline(axes, shapes)
    axes.set(**limits)  # the tissue may reach beyond the part
    if bar:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        scale_bar(axes, shapes.um_per_px)
    axes.set_anchor("N")  # or what is below pushes the title out of the figure
    if image.beside is not None:
        _show_whole(axes, view, image.beside)


def _enlarged(view: View) -> View:
    """Return a view of at least so many pixels that rings drawn into it are round."""
    times = -(-LEAST // max(view.pixels.shape[:2]))
    if times == 1:
        return view
    size = (times * view.pixels.shape[1], times * view.pixels.shape[0])
    pixels = np.asarray(Image.fromarray(view.pixels).resize(size, Image.Resampling.BICUBIC))
    return replace(view, pixels=pixels, step=view.step / times)


def show_view(axes: Axes, view: View) -> None:
    """Show a part of a slide's image; the axes are in pixels of the whole image, y downwards."""
    down, across = np.array(view.pixels.shape[:2]) * view.step
    axes.imshow(view.pixels, extent=(view.left, view.left + across, view.top + down, view.top), interpolation="lanczos")


def _show_whole(axes: Axes, view: View, whole: View) -> None:
    """Show all of the image below the part's right corner, where it hides nothing, with the part framed."""
    (part_down, part_across), (down, across) = (np.array(v.pixels.shape[:2]) * v.step for v in (view, whole))
    wide, high = (INSET * side / max(across, down) for side in (across, down))
    inset = axes.inset_axes((0, 0, 1, 1))
    inset.set_axes_locator(partial(_below, axes, np.array([wide, high])))
    show_view(inset, whole)
    inset.set(xticks=[], yticks=[])
    inset.spines[:].set(visible=True, color="#999999", linewidth=0.5)
    inset.add_patch(Rectangle((view.left, view.top), part_across, part_down, fill=False, edgecolor=FRAME, linewidth=1))


def _below(axes: Axes, inches: np.ndarray, *_: Any) -> Bbox:
    """Return where axes of so many inches (width, height) lie whose right upper corner is below that of ``axes``."""
    right, top = axes.transAxes.transform((1, -0.03))
    wide, high = inches * axes.figure.dpi
    return Bbox([[right - wide, top - high], [right, top]]).transformed(axes.figure.transSubfigure.inverted())
