"""Draw cells over the image of their slide."""

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
    """Draw the cells of a slide over its image, coloured by class: a square from close by, and the whole slide.

    Parameters
    ----------
    root
        A folder laid out as the data set, or a `Root` that `open_root` returned. The slide must have cells from
        `import_cells` or `detect_cells`.
    slide
        The name of the slide.
    out
        A folder to write SLIDE_cells_near.png and SLIDE_cells.png into, both with scale bar and legend.
    at
        x and y of the centre of the square, in pixels of the slide's image. None takes the place with most cells.
    um
        Side of the square in µm. Where the scale is unknown, the side is twice as many pixels.
    px
        Longer side of the picture of the whole slide in pixels, if the image is that large.

    Returns
    -------
    list of pathlib.Path
        The two files.

    Raises
    ------
    DataError
        If the slide has no cells, its image can't be read, or ``out`` can't be written.

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
