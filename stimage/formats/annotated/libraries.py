"""Which slide of an AnnData is meant, and which spots are its own."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from stimage.core.errors import DataError, shown

LIBRARY_COLUMNS = ("library_id", "library", "slide", "slide_id", "sample", "sample_id")
VIEW = re.compile(r"(.*)_(full|hires|lowres)_image")  # as spatialdata-io calls images of one slide


def library_of(obs: pd.DataFrame, spatial: Any, wanted: str | None, where: str) -> tuple[str | None, np.ndarray]:
    """Return the entry of uns["spatial"] to take, None where there is none, and which spots are of it.

    Of several slides in one file, ``wanted`` names one. A column of ``obs``, such as ``library_id`` or ``sample``, or
    else the beginning or end of barcodes, tells whose a spot is.

    Raises
    ------
    DataError
        If there are several slides and none is named, or there is none of this name.
    """
    entries = _entries(spatial)
    column = _column(obs, entries, wanted)
    named = [str(one) for one in obs[column].dropna().unique()] if column else []
    choices = named if len(named) > 1 else entries or named
    if wanted and wanted not in {*choices, *entries, *named}:
        raise DataError(f"{where}: has no slide {wanted!r}, but {shown(choices) or 'names none'}")
    if len(choices) > 1 and not wanted:
        by = f" in obs[{column!r}]" if len(named) > 1 else " in uns['spatial']"
        raise DataError(
            f"{where}: has {len(choices)} slides{by}: {shown(choices)}; name the one to take as library= (--library)"
        )
    mine = wanted if wanted else next(iter(choices), None)
    lone = entries[0] if len(entries) == 1 and entries[0] not in named else None  # of no other slide of obs
    entry = mine if mine in entries else lone
    if entries and entry is None:
        raise DataError(
            f"{where}: uns['spatial'] has no entry {mine!r}, only {shown(entries)}; give the entry the name that obs "
            "has"
        )
    if len(named) > 1:
        return entry, (obs[column].astype(str) == mine).to_numpy(bool)
    return entry, _by_barcodes(obs, entries, str(mine), where) if len(entries) > 1 else np.ones(len(obs), bool)


def _entries(spatial: Any) -> list[str]:
    """Return the entries that are slides: those with scale factors; of views of one slide, that of the full image."""
    spatial = spatial if isinstance(spatial, Mapping) else {}
    entries = [
        name
        for name, one in spatial.items()
        if isinstance(one, Mapping) and isinstance(one.get("scalefactors"), Mapping)
    ]
    views = [VIEW.fullmatch(name) for name in entries]
    if len(entries) > 1 and all(views) and len({view[1] for view in views if view}) == 1:
        return [min(entries, key=lambda name: ("full", "hires", "lowres").index(VIEW.fullmatch(name)[2]))]  # type: ignore[index]
    return entries


def _column(obs: pd.DataFrame, entries: list[str], wanted: str | None) -> str | None:
    """Return the column of obs that tells slides apart: by the entries' names, or else by its own."""
    for name in obs:
        if (
            obs[name].dtype.kind not in "fiub"
            and len(entries) > 1
            and set(obs[name].dropna().astype(str)) <= {*entries}
        ):
            return str(name)
    known = [name for name in LIBRARY_COLUMNS if name in obs and obs[name].nunique() > 1]
    return next((name for name in known if wanted and wanted in set(obs[name].astype(str))), next(iter(known), None))


def _by_barcodes(obs: pd.DataFrame, entries: list[str], mine: str, where: str) -> np.ndarray:
    names = obs.index.astype(str)
    begins, ends = {one: (f"{one}_", f"{one}-") for one in entries}, {one: (f"_{one}", f"-{one}") for one in entries}
    of = {one: np.array([n.startswith(begins[one]) or n.endswith(ends[one]) for n in names]) for one in entries}
    if (np.sum(list(of.values()), 0) != 1).any():
        raise DataError(
            f"{where}: has {len(entries)} slides in uns['spatial'], {shown(entries)}, and nothing says to which slide "
            "a spot belongs; add a column library_id with the slides' names to obs"
        )
    return of[mine]
