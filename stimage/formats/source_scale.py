"""What a slide's source says of its scale: Space Ranger's scale factors, HEST's metadata."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stimage.core.arguments import check_above_0
from stimage.core.errors import DataError
from stimage.slides.hest.metadata import SCALE, SCALE_SOURCE, read_metadata

SPACE_RANGER = "microns_per_pixel"
SOURCE = "um_per_px_source"  # beside it, where we wrote it
BIN, SIDE = "bin_size_um", "spot_diameter_fullres"  # of Visium HD: a bin's side in µm, and in pixels
REMEDY = "correct it, or pass um_per_px= (--um-per-px)"
USER = "user (add_slide --um-per-px)"
SOURCES = {SPACE_RANGER: f"Space Ranger ({SPACE_RANGER})", SCALE: SCALE_SOURCE}


def source_scale(
    told: Iterable[Any], scale: float, where: Path | str, um_per_px: float | None = None
) -> tuple[float | None, str]:
    """Return µm per pixel of the image that is added, and who says it; None and "" if nobody does.

    Parameters
    ----------
    told
        What the source says of the full image, by name: the first that says anything is taken.
    scale
        Pixels of the image that is added per pixel of the full one, such as Space Ranger's ``tissue_hires_scalef``.
    um_per_px
        What the user says of the full image: it rules.

    Raises
    ------
    DataError
        If what the source says is no number above 0.
    ValueError
        If what the user says is none.
    """
    if um_per_px is not None:
        check_above_0(um_per_px, "um_per_px", "µm per pixel of the full-resolution image")
        return um_per_px / scale, USER
    for names in filter(lambda names: isinstance(names, Mapping), told):
        for name, source in SOURCES.items():
            if name in names:
                return number_above_0(names, name, where, REMEDY) / scale, str(names.get(SOURCE, source))
        if BIN in names and SIDE in names:
            return _bin_side(names, where) / scale, f"Space Ranger ({BIN})"
    return None, ""


def hest_metadata(path: Path) -> dict:
    """Return what HEST says of a slide beside its file st/ID.h5ad, in metadata/ID.json; nothing where there is none."""
    beside = hest_metadata_file(path)
    return read_metadata(beside) if path.absolute().parent.name == "st" and os.path.lexists(beside) else {}


def hest_metadata_file(path: Path) -> Path:
    """Return where HEST keeps what it says of a slide whose file is st/ID.h5ad."""
    return path.absolute().parents[1] / "metadata" / f"{path.stem}.json"


def number_above_0(names: Mapping[str, Any], name: str, where: Path | str, remedy: str) -> float:
    """Return a number that a source says.

    Raises
    ------
    DataError
        If it is no number above 0.
    """
    try:
        number = np.nan if isinstance(names[name], bool) else float(names[name])
    except (TypeError, ValueError):
        number = np.nan
    if not 0 < number < np.inf:
        raise DataError(f"{where}: {name} is {names[name]!r}, no number above 0; {remedy}")
    return number


def _bin_side(names: Mapping[str, Any], where: Path | str) -> float:
    """Return the µm per pixel of Visium HD, by a bin's side in µm and in pixels."""
    return number_above_0(names, BIN, where, REMEDY) / number_above_0(names, SIDE, where, REMEDY)
