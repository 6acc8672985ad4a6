"""Compare shares of cells by class with proportions from deconvolution, spot by spot."""

import os
from collections.abc import Mapping

import numpy as np
import pandas as pd

from stimage.core.errors import DataError, shown
from stimage.core.tables import read_table

LEAST = 3  # spots that a correlation is of


def read_proportions(path: str | os.PathLike, types: Mapping[str, str]) -> pd.DataFrame:
    """Read a table of proportions per spot, and add the proportions of types that belong to one class.

    Parameters
    ----------
    path
        A CSV with the spot ids first, then one column per type, as RCTD's or cell2location's results are saved.
    types
        Type → class; "" leaves a type out.

    Returns
    -------
    pandas.DataFrame
        By spot id: one column per class; the columns add up to 1.

    Raises
    ------
    DataError
        If a type is not in ``types``, a spot is there twice, or a proportion is not a number of 0 or more.
    """
    columns, rows = read_table(path, by_hand=False)
    spot, *names = columns
    if unknown := [name for name in names if name not in types]:
        raise DataError(f"{path}: the types {shown(unknown)} are in no map; pass types= (--types): a CSV with the "
                        "columns source and class")  # fmt: skip
    index = pd.Index([row[spot] for row in rows], name="SPOT")
    if index.has_duplicates:
        raise DataError(f"{path}: spot {index[index.duplicated()][0]!r} is there more than once")
    table = pd.DataFrame([[row[name] for name in names] for row in rows], index, names)
    values = table.apply(pd.to_numeric, errors="coerce")
    if (bad := ~(values >= 0)).to_numpy().any():
        at = tuple(np.argwhere(bad.to_numpy())[0])
        what = f"spot {index[at[0]]!r} has {table.iat[at]!r} for {names[at[1]]}"
        raise DataError(f"{path}: {what}, which is no proportion")
    classes = sorted({types[name] for name in names} - {""})
    sums = pd.DataFrame({one: values[[n for n in names if types[n] == one]].sum(axis=1) for one in classes}, index)
    return sums.div(sums.sum(axis=1).replace(0, np.nan), axis=0)


def paired(shares: pd.DataFrame, proportions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both tables for the spots that both have, with all classes; a class that one table lacks is 0 there.

    Parameters
    ----------
    shares, proportions
        By spot id, one column per class.

    Raises
    ------
    DataError
        If they have no spot in common.
    """
    both = shares.dropna(how="all").index.intersection(proportions.dropna(how="all").index)
    if not len(both):
        raise DataError(f"no spot has both cells and proportions: ids are such as {shares.index[:1].tolist()} and "
                        f"{proportions.index[:1].tolist()}")  # fmt: skip
    classes = list(dict.fromkeys([*shares.columns, *proportions.columns]))
    ours, theirs = (one.reindex(index=both, columns=classes).fillna(0) for one in (shares, proportions))
    return ours, theirs


def agreement(ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """Return, by class, how well shares of cells agree with proportions; both are as `paired` returns them.

    Returns
    -------
    pandas.DataFrame
        By class: ``spots``, Pearson's ``r`` (NaN where one side is constant, or with fewer than three spots), ``rmse``,
        and the means ``cells`` and ``deconvolved``.
    """
    rows = {}
    for name in ours.columns:
        x, y = ours[name].to_numpy(), theirs[name].to_numpy()
        told = len(x) >= LEAST and x.std() > 0 and y.std() > 0
        r = float(np.corrcoef(x, y)[0, 1]) if told else np.nan
        rmse = float(np.sqrt(((x - y) ** 2).mean()))
        rows[name] = {"spots": len(x), "r": r, "rmse": rmse, "cells": x.mean(), "deconvolved": y.mean()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("class")
