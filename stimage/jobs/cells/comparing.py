"""Compare the cells of spots with a deconvolution of the same spots."""

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from stimage.cells.agreement import agreement, paired, read_proportions
from stimage.cells.classes import own_map
from stimage.core.arguments import path_of
from stimage.core.files import write_text
from stimage.figures.agreement import agreement_panels
from stimage.figures.style import save
from stimage.jobs.cells.counting import count_cells
from stimage.jobs.roots import Root


def compare_cells(
    root: str | Path | Root,
    proportions: str | Path,
    types: str | os.PathLike | Mapping[str, str],
    out: str | Path | None = None,
) -> pd.DataFrame:
    """Compare the shares of cells by class with the proportions of a deconvolution (RCTD, cell2location, …), by slide.

    Parameters
    ----------
    root
        A folder laid out as the data set, or a `Root` that `open_root` returned. Its chosen slides must have cells with
        classes.
    proportions
        A CSV with the root's spot ids in the first column, and one column per cell type. Proportions of types that
        belong to one class are added. The sums are then scaled to add up to 1.
    types
        The class of each cell type: a CSV with the columns ``source`` and ``class``, or a dict. The class "" leaves a
        type out.
    out
        A folder to write ``cells_agreement.csv`` into, and a figure per slide, SLIDE_agreement.png and .pdf, with a
        panel per class and a point per spot. None writes nothing.

    Returns
    -------
    pandas.DataFrame
        One row per slide and class: the number of ``spots`` that have both values, Pearson's ``r``, the root mean
        squared error ``rmse``, and the means ``cells`` and ``deconvolved``. Spots without cells are left out.

    Raises
    ------
    DataError
        As in `count_cells`. Also if a type has no class, a proportion is not a number, or no spot of a slide has both
        values.

    Examples
    --------
    >>> import json, stimage
    >>> slide = stimage.list_slides("sample").index[0]
    >>> cells = [{"centroid": [x, y], "type": 1 + x % 2} for x in range(0, 600, 3) for y in range(0, 600, 5)]
    >>> with open("nuclei.json", "w") as file:
    ...     json.dump({"mag": None, "nuc": dict(enumerate(cells))}, file)
    >>> _ = stimage.import_cells("sample", slide, "nuclei.json", classes="pannuke", unchecked=True)
    >>> root = stimage.open_root("sample", slides=slide)
    >>> table = stimage.count_cells(root, values="shares")
    >>> table[["Neoplastic", "Inflammatory"]].to_csv("rctd.csv")
    >>> types = {"Neoplastic": "Neoplastic", "Inflammatory": "Inflammatory"}
    >>> stimage.compare_cells(root, "rctd.csv", types).rmse.tolist()
    [0.0, 0.0]
    """
    table = read_proportions(path_of(proportions, "proportions"), own_map(types))
    shares = count_cells(root, values="shares")
    both = {str(name): paired(own.iloc[:, 4:], table) for name, own in shares.groupby("slide", sort=False)}
    found = {name: agreement(*pair) for name, pair in both.items()}
    told = pd.concat(found, names=["slide"]).reset_index()
    if out is not None:
        folder = path_of(out, "out")
        write_text(folder / "cells_agreement.csv", told.to_csv(index=False))
        for name, pair in both.items():
            save(agreement_panels(name, *pair, found[name]), folder / f"{name}_agreement")
    return told
