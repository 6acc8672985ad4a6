"""Cells per spot, of slides whose cells a root has."""

from pathlib import Path

import pandas as pd

from stimage.cells.cells import read_cells
from stimage.cells.counting import PLACES, VALUES, classes_of, count_per_spot
from stimage.core.arguments import path_of
from stimage.core.files import write_text
from stimage.jobs.roots import Root, open_unpublished


def count_cells(root: str | Path | Root, out: str | Path | None = None, *, values: str = "counts") -> pd.DataFrame:
    """Count the cells of each class in each spot: those whose centre lies within the spot's radius.

    On Visium HD, it lies within the bin's square. Only spots that lie wholly in the segmented region have a row.

    Parameters
    ----------
    root
        What `open_root` takes or returns; the slides that are meant must have cells, by `import_cells` or
        `detect_cells`.
    out
        A folder for SLIDE_cells.csv: SPOT, yaxis, xaxis, r, and a column a class.
    values
        "counts"; "shares" of the spot's cells, NaN where it has none; or "density", cells per mm².

    Returns
    -------
    pandas.DataFrame
        By spot id: ``slide``, ``yaxis``, ``xaxis`` and ``r`` (pixels of the slide's image), and a column a class that
        any of the slides has: PanNuke's first, then others, then ``unclassed`` of cells without a class.

    Raises
    ------
    DataError
        If a slide has no cells, no spot in the region that was segmented, or, for density, no scale.
    ValueError
        If there are no such values.

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
    if values not in VALUES:
        raise ValueError(f"values={values!r}: pass one of {', '.join(VALUES)}")
    root, out = open_unpublished(root), None if out is None else path_of(out, "out")
    places = {slide: read_cells(root.catalog.root, slide, ["x", "y", "class"]) for slide in root.slides}
    classes, tables = classes_of(places.values()), []
    for slide, cells in places.items():
        table = count_per_spot(cells, slide, classes).valued(values)
        tables.append(table.assign(slide=slide.name)[["slide", *PLACES.values(), *classes]])
        if out:
            write_text(out / f"{slide.name}_cells.csv", table.to_csv())
    return pd.concat(tables)
