"""Cells that a segmenter found, taken into a root."""

import os
from collections.abc import Mapping
from pathlib import Path

from stimage.cells.cells import Cells, cells_file, write_cells
from stimage.cells.importing import ImportOptions, read_foreign
from stimage.core.access import is_local
from stimage.core.arguments import check_above_0, path_of
from stimage.core.errors import DataError
from stimage.jobs.roots import Root, open_unpublished
from stimage.slides.catalog import Filters


def import_cells(
    root: str | Path | Root,
    slide: str,
    file: str | Path,
    *,
    classes: str | os.PathLike | Mapping[str, str] | None = None,
    factor: float = 1.0,
    swap: bool = False,
    drop_broken: bool = False,
    unchecked: bool = False,
) -> Cells:
    """Take the cells that a segmenter found in a slide's image into the root, as cells/SLIDE.parquet.

    The file's content tells what it is: CellViT's ``cells.geojson``, ``cell_detection.geojson`` or
    ``cell_detection.json``; HoVer-Net's JSON; GeoJSON of QuPath or of Space Ranger 4; or a label image, a TIFF or .npy
    of integers, as StarDist and Cellpose write it. Places are to be pixels of the slide's image, which is held against
    them. Cells that are there already are replaced.

    Parameters
    ----------
    root
        What `open_root` takes or returns: a folder of this machine. ``um_per_px`` is heeded.
    slide
        The slide's name.
    file
        The segmenter's file.
    classes
        How the file's classes are to be called: "pannuke", "consep" or "monusac", the training set whose names or
        numbers they are; "keep", which takes names as they are; a CSV with the columns ``source`` and ``class``, or a
        dict, "" for none. By default, names are looked for in all three.
    factor, swap
        What places are to be multiplied by, and whether x and y are to be swapped, to be pixels of the image.
    drop_broken
        Leave out cells whose outline has less than three points, or a point that is no number.
    unchecked
        Take cells wherever they lie.

    Returns
    -------
    Cells
        Its ``table`` has a row a cell: id, x, y, class, area (µm², or px² where the scale is not known) and polygon.

    Raises
    ------
    DataError
        If the file is empty, cut off or none of these; if a class is in no map; if an outline is broken; if cells lie
        outside the image, on background as often as on tissue, or on what is no darker than around: then with the
        factor that would fit.
    ValueError
        If an argument has a value that it can't have.

    Examples
    --------
    >>> import json, stimage
    >>> outline = [[20, 20], [30, 20], [30, 30], [20, 30]]
    >>> cells = [{"centroid": [25, 25], "contour": outline, "type": 2}]
    >>> with open("nuclei.json", "w") as file:
    ...     json.dump({"mag": None, "nuc": dict(enumerate(cells))}, file)
    >>> slide = stimage.list_slides("sample").index[0]
    >>> cells = stimage.import_cells("sample", slide, "nuclei.json", classes="pannuke", unchecked=True)
    >>> cells.table["class"].to_pylist()
    ['Inflammatory']
    """
    check_above_0(factor, "factor", "what places are multiplied by")
    root, file = open_unpublished(root), path_of(file, "file")
    if not isinstance(slide, str):
        raise ValueError(f"slide={slide!r}: pass a slide's name")
    if not is_local(root.catalog.root):
        raise DataError(f"{root.location}: can't be written from here; copy the root to this machine first")
    (one,) = root.catalog.select(Filters(slides=[slide]), root.source.reading["on_mismatch"])
    most = root.source.reading["max_image_pixels"]
    cells = read_foreign(file, one, ImportOptions(classes, factor, swap, drop_broken, unchecked, most))
    write_cells(cells, Path(cells_file(root.catalog.root, one.name)))
    return cells
