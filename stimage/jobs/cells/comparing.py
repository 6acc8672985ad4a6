"""Cells per spot beside what deconvolution says of the same spots."""

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
    """Hold shares of cells by class against proportions of a deconvolution (RCTD, cell2location, …), slide by slide.

    Parameters
    ----------
    root
        What `open_root` takes or returns; the slides that are meant must have cells with classes.
    proportions
        A CSV with the spot ids first, as the root has them, and a column a type. Proportions of types of one class are
        added, and what is left is made to add up to 1.
    types
        What class each type is: a CSV with the columns ``source`` and ``class``, or a dict; "" leaves a type out.
    out
        A folder for ``cells_agreement.csv``, and a figure a slide, SLIDE_agreement.png and .pdf: the two of each spot,
        a panel a class.

    Returns
    -------
    pandas.DataFrame
        A row a slide and class: ``spots`` that have both, Pearson's ``r``, ``rmse``, and the means ``cells`` and
        ``deconvolved``. Shares of spots without cells are left out.

    Raises
    ------
    DataError
        As `count_cells` does; if a type is in no map, a proportion is no number, or a slide has no spot with both.

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
