"""Count cells per spot, for slides whose cells a root has."""

from pathlib import Path

import pandas as pd

from stimage.cells.cells import read_cells
from stimage.cells.counting import PLACES, VALUES, classes_of, count_per_spot
from stimage.core.arguments import check_one_of, path_of
from stimage.core.files import write_text
from stimage.jobs.roots import Root, open_unpublished


def count_cells(root: str | Path | Root, out: str | Path | None = None, *, values: str = "counts") -> pd.DataFrame:
    """Count the cells of each class in each spot, by the centres of the cells.

    A cell belongs to a spot if its centre lies within the spot's radius, or within the square of a Visium HD bin. Spots
    that are not wholly in the segmented region have no row.

    Parameters
    ----------
    root
        A folder laid out as the data set, or a `Root` that `open_root` returned. Its chosen slides must have cells from
        `import_cells` or `detect_cells`.
    out
        A folder to write SLIDE_cells.csv into: SPOT, yaxis, xaxis, r, and one column per class. None writes nothing.
    values
        "counts"; "shares" of the spot's cells, NaN for a spot without cells; or "density", cells per mm².

    Returns
    -------
    pandas.DataFrame
        By spot id: ``slide``, ``yaxis``, ``xaxis`` and ``r`` (pixels of the slide's image), and one column per class
        that any of the slides has: first PanNuke's classes, then others, then ``unclassed`` for cells without a class.

    Raises
    ------
    DataError
        If a slide has no cells, has no spot in the segmented region, or, for density, has no known µm per pixel.
    ValueError
        If ``values`` is none of these.

    Examples
    --------
    >>> import json, stimage
    >>> slide = stimage.list_slides("sample").index[0]
    >>> cells = [{"centroid": [x, 10 + x], "type": 2} for x in range(500)]
    >>> with open("nuclei.json", "w") as file:
    ...     json.dump({"mag": None, "nuc": dict(enumerate(cells))}, file)
    >>> cells = stimage.import_cells("sample", slide, "nuclei.json", classes="pannuke", unchecked=True)
    >>> table = stimage.count_cells(stimage.open_root("sample", slides=slide))
    >>> table.columns.tolist()
    ['slide', 'yaxis', 'xaxis', 'r', 'Inflammatory']
    """
    check_one_of(values, "values", VALUES)
    root, out = open_unpublished(root), None if out is None else path_of(out, "out")
    places = {slide: read_cells(root.catalog.root, slide, ["x", "y", "class"]) for slide in root.slides}
    classes, tables = classes_of(places.values()), []
    for slide, cells in places.items():
        table = count_per_spot(cells, slide, classes).valued(values)
        tables.append(table.assign(slide=slide.name)[["slide", *PLACES.values(), *classes]])
        if out:
            write_text(out / f"{slide.name}_cells.csv", table.to_csv())
    return pd.concat(tables)
