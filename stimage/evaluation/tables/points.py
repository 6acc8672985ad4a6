"""Positions of embeddings in the plane as a table, from which a figure can be drawn without the embeddings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from stimage.core.errors import DataError
from stimage.core.files import write_text
from stimage.core.tables import csv_text, read_table

POINT_COLUMNS = ("model", "spot_id", "slide", "label", "x", "y")


@dataclass(frozen=True)
class Points:
    """By model: positions in the plane (n x 2), and n spot ids, slides and labels."""

    places: dict[str, np.ndarray] = field(default_factory=dict)
    spot_ids: dict[str, list[str]] = field(default_factory=dict)
    slides: dict[str, list[str]] = field(default_factory=dict)
    labels: dict[str, list[str | None]] = field(default_factory=dict)


def write_points(path: Path, points: Points) -> None:
    """Write places as a CSV with the columns `POINT_COLUMNS`."""
    rows = [
        (model, spot, slide, label or "", x, y)
        for model, places in points.places.items()
        for spot, slide, label, (x, y) in zip(
            points.spot_ids[model], points.slides[model], points.labels[model], places.tolist()
        )
    ]
    write_text(path, csv_text([POINT_COLUMNS, *rows]))


def read_points(path: Path) -> Points:
    """Read a table of `write_points`; `DataError` if it is something else."""
    _, rows = read_table(path, POINT_COLUMNS)
    by_model: dict[str, list[Mapping]] = {}
    for row in rows:
        by_model.setdefault(row["model"], []).append(row)
    try:
        places = {m: np.array([(row["x"], row["y"]) for row in own], float) for m, own in by_model.items()}
    except ValueError as error:
        raise DataError(f"{path}: x and y must be numbers ({error}); make the table again by figures.py") from None
    if not places:
        raise DataError(f"{path}: has no spots; make the table again by figures.py")
    spot_ids, slides = ({m: [row[name] for row in own] for m, own in by_model.items()} for name in ("spot_id", "slide"))
    labels = {m: [row["label"] or None for row in own] for m, own in by_model.items()}
    return Points(places, spot_ids, slides, labels)
