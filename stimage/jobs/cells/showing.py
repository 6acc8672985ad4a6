"""Cells over their slide's image."""

from pathlib import Path

from stimage.cells.cells import read_cells
from stimage.cells.looking import shapes_within, square_at
from stimage.core.arguments import check_above_0, check_whole, path_of
from stimage.core.storage import local_copy
from stimage.figures.colours import label_looks
from stimage.figures.pixels.cells import cell_picture
from stimage.jobs.roots import Root, open_unpublished
from stimage.slides.catalog import Filters
from stimage.slides.images.reader import image_info
from stimage.slides.images.views import read_views, whole

NEAR_PX = 1600  # along a side of the square


def show_cells(
    root: str | Path | Root,
    slide: str,
    out: str | Path,
    *,
    at: tuple[float, float] | None = None,
    um: float = 400,
    px: int = 4000,
) -> list[Path]:
    """Draw a slide's cells over its image, by class: a square of it from close by, and the whole slide.

    Parameters
    ----------
    root
        What `open_root` takes or returns; the slide must have cells, by `import_cells` or `detect_cells`.
    slide
        The slide's name.
    out
        A folder for SLIDE_cells_near.png and SLIDE_cells.png, with scale bar and legend.
    at
        x and y of the middle of the square, in pixels; without it, it is where the most cells are.
    um
        Side of the square in µm; twice as many pixels where the scale is not known.
    px
        Pixels of the longer side of the picture of the whole slide, if the image has so many.

    Returns
    -------
    list of pathlib.Path
        The two files.

    Raises
    ------
    DataError
        If the slide has no cells, its image can't be read, or there is no writing to ``out``.

    Examples
    --------
    >>> import stimage
    >>> root = stimage.open_root("sample", "Visium", species="human")
    >>> _ = stimage.detect_cells(root)
    >>> [path.name for path in stimage.show_cells(root, root.slides[0].name, "pictures")]
    ['Human_Breast_Sample3_Visium_A1_cells_near.png', 'Human_Breast_Sample3_Visium_A1_cells.png']
    """
    check_above_0(um, "um", "the side of the square in µm")
    check_whole(px, "px", 100)
    if not isinstance(slide, str):
        raise ValueError(f"slide={slide!r}: pass a slide's name")
    root, out = open_unpublished(root), path_of(out, "out")
    (one,) = root.catalog.select(Filters(slides=[slide]), root.source.reading["on_mismatch"])
    cells = read_cells(root.catalog.root, one)
    image, most = local_copy(one.image, one.access), root.source.reading["max_image_pixels"]
    info = image_info(image, most)
    looks, written = label_looks(cells.table["class"].to_pylist()), []
    shown = {"cells_near": (square_at(cells, um, at), NEAR_PX), "cells": (whole(info, px), px)}
    views = read_views(image, [part for part, _ in shown.values()], most)
    for (name, (part, longest)), view in zip(shown.items(), views):
        written.append(out / f"{one.name}_{name}.png")
        cell_picture(written[-1], view, shapes_within(cells, part), looks, cells.um_per_px, longest)
    return written
