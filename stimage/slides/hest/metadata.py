"""HEST's metadata of a sample, from metadata/ID.json and the table of samples, as a row of the meta file."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stimage.core.errors import DataError, one_line, unreadable
from stimage.core.files import content_of
from stimage.core.tables import number_of

SCALE = "pixel_size_um_estimated"
SCALE_SOURCE = f"HEST ({SCALE})"
HEST_TECHS = {
    "visium": "Visium",
    "visium hd": "VisiumHD",
    "spatial transcriptomics": "ST",
    "xenium": "VisiumHD",  # pooled to squares side by side, as bins are
}
NOMINAL = {"visium": (100.0, 55.0), "spatial transcriptomics": (200.0, 100.0)}  # pitch and spot, µm
OWN = "stimage"  # key of what a sample that was written from a root says exactly
EXACT = ("species", "tissue", "pmid", "involve_cancer", "study", "patient")
SPECIES = {"homo sapiens": "human", "mus musculus": "mouse"}
PUBMED = re.compile(r"pubmed(?:\.ncbi\.nlm\.nih\.gov)?/(\d+)")
UNKNOWN = ("", "nan", "none", "null", "na", "n/a")


def read_metadata(path: Path | str, source: Path | str = "") -> dict[str, Any]:
    """Return the values of a metadata/ID.json that are known; HEST writes unknown ones as bare NaN.

    Raises
    ------
    DataError
        If the file can't be read, or is no JSON object. ``source`` is its name in the error.
    """
    try:
        if not isinstance(told := json.loads(content_of(Path(path)).decode("utf-8-sig")), dict):
            raise ValueError(f"it is no JSON object, but a {type(told).__name__}")
    except (OSError, ValueError, RecursionError) as error:
        why = f"cannot be read ({one_line(error)}); get it again"
        raise unreadable(source or path, error, why) from None
    return known(told)


def known(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of it: neither empty nor one of the ways to write that nothing is known."""
    return {name: value for name, value in told.items() if str(value).strip().lower() not in UNKNOWN}


def meta_row(name: str, told: Mapping[str, Any], where: str) -> dict[str, str]:
    """Return a sample's row of the meta file, with the columns study and patient, too.

    A patient is of its study: where HEST does not name one, all such samples of the study are of one unknown patient,
    as for HEST-Benchmark.

    Raises
    ------
    DataError
        If the technology is none that is known, or a pixel's size is no number above 0.
    """
    called = _text(told, "st_technology").lower()
    if called not in HEST_TECHS:
        raise DataError(f"{where}: st_technology is {called!r}, none of {', '.join(HEST_TECHS)}; correct it")
    if SCALE in told and _number(told, SCALE) is None:
        raise DataError(f"{where}: {SCALE} is {told[SCALE]!r}, no number above 0; correct it, or remove it")
    study = _text(told, "dataset_title") or _text(told, "study_link")
    patient, links = _text(told, "patient"), " ".join(_text(told, key) for key in ("study_link", "download_page_link1"))
    of = f"{study}: " if study else ""
    numbers = {
        "spot_num": _number(told, "spots_under_tissue"),
        "gene_num": _number(told, "nb_genes"),
        "um_per_px": _number(told, SCALE),
    }
    row = {
        "slide": name,
        "species": SPECIES.get((species := _text(told, "species")).lower(), species.lower()),
        "tissue": (_text(told, "organ") or _text(told, "tissue")).lower(),
        "pmid": ",".join(dict.fromkeys(PUBMED.findall(links))),
        "title": _text(told, "dataset_title"),
        "involve_cancer": _cancer(told),
        "tech": HEST_TECHS[called],
        "um_per_px_source": SCALE_SOURCE if SCALE in told else "",
        "study": study,
        "patient": f"{of}{patient}" if patient else f"{of}unknown patient" if study else "",
        **{column: f"{number!r}".removesuffix(".0") if number else "" for column, number in numbers.items()},
    }
    own = told.get(OWN)
    exact = {key: own[key] for key in EXACT if key in own} if isinstance(own, dict) else {}
    return row | {key: "" if value is None else str(value) for key, value in exact.items()}


def grid_of(told: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return pitch and diameter of a sample's spots in µm, as HEST says, or nominal ones of the technology."""
    nominal = NOMINAL.get(_text(told, "st_technology").lower(), (None, None))
    pitch, spot = _number(told, "inter_spot_dist") or nominal[0], _number(told, "spot_diameter") or nominal[1]
    return (pitch, spot) if pitch and spot else None


def size_of(told: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return width and height of a sample's image, as HEST says."""
    width, height = _number(told, "fullres_px_width"), _number(told, "fullres_px_height")
    return (round(width), round(height)) if width and height else None


def _cancer(told: Mapping[str, Any]) -> str:
    """Say whether a sample involves cancer: it has OncoTree's code, or a state that tells; "" where neither does."""
    state = _text(told, "disease_state").lower()
    if "oncotree_code" in told or state in ("cancer", "tumor", "tumour"):
        return "True"
    return "False" if state == "healthy" else ""


def _text(told: Mapping[str, Any], name: str) -> str:
    return str(told.get(name, "")).strip()


def _number(told: Mapping[str, Any], name: str) -> float | None:
    number = number_of(str(told.get(name, "")))
    return number if 0 < number < np.inf else None
