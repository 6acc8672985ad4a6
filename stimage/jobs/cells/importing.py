"""Store the cells that a segmenter found in a root."""

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
    """Store the cells that a segmenter found in a slide's image in the root, as cells/SLIDE.parquet.

    The content of the file tells its format: CellViT's ``cells.geojson``, ``cell_detection.geojson`` or
    ``cell_detection.json``; HoVer-Net's JSON; GeoJSON from QuPath or Space Ranger 4; or a label image, a TIFF or .npy
    of integers, as StarDist and Cellpose write it. Coordinates must be pixels of the slide's image, and are checked
    against that image. Earlier cells of the slide are replaced.

    Parameters
    ----------
    root
        A folder on this machine laid out as the data set, or a `Root` that `open_root` returned, whose ``um_per_px``
        applies.
    slide
        The name of the slide.
    file
        The file that the segmenter wrote.
    classes
        The names of the classes. "pannuke", "consep" or "monusac" is the training set that the file's names or numbers
        belong to. "keep" leaves names as they are. A CSV with the columns ``source`` and ``class``, or a dict, renames
        them, and the class "" stands for none. None looks names up in all three training sets.
    factor, swap
        A factor that coordinates are multiplied by, and whether x and y are swapped, so that they become pixels of the
        image.
    drop_broken
        Leave out cells whose outline has fewer than three points, or a point that is not a number.
    unchecked
        Skip the check that the cells lie on the tissue of the image.

    Returns
    -------
    Cells
        Its ``table`` has one row per cell: id, x, y, class, area (µm², or px² where the scale is unknown) and polygon.

    Raises
    ------
    DataError
        If the file is empty, cut off, or in none of these formats; if a class has no name in the map; or if an outline
        is broken. Also if cells lie outside the image, on background as often as on tissue, or on spots no darker than
        their surroundings; the error then names the factor that would fit.
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
