"""Readers that share nothing with the project's: the csv module, Pillow and polars, on whole files."""

import csv
import io
from pathlib import Path

import numpy as np
import polars
from PIL import Image

from stimage.slides.counts.wide_csv import make_unique


def rows(path: Path, errors: str = "strict") -> list[list[str]]:
    """Read a comma-separated file without its blank lines."""
    with path.open(newline="", encoding="utf-8-sig", errors=errors) as file:
        return [row for row in csv.reader(file, strict=True) if row]


def table(path: Path) -> list[dict[str, str]]:
    head, *body = rows(path)
    return [dict(zip(head, [*row, *[""] * len(head)])) for row in body]


def coordinates(path: Path) -> dict[str, tuple[float, float, float]]:
    head, *body = rows(path)
    at = [[name.strip() for name in head].index(name) for name in ("xaxis", "yaxis", "r")]
    assert all(len(row) == len(head) for row in body)
    found = {row[0]: tuple(float(row[k]) for k in at) for row in body}
    assert len(found) == len(body)
    return found


def counts(path: Path) -> tuple[list[str], dict[str, dict[str, float]]]:
    """Return the genes, and each spot's counts that are not 0."""
    head, *body = rows(path)
    genes = make_unique(head[1:])
    assert all(len(row) == len(head) for row in body)
    found = {row[0]: {g: float(c) for g, c in zip(genes, row[1:]) if float(c)} for row in body}
    assert len(found) == len(body)
    return genes, found


def decoded(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def slide(root: Path, tech: str, name: str, image: str, whole: bool = True) -> dict[str, dict]:
    """Return a slide's spots by id: x, y, radius, annotation, pixels, counts by gene; or those that both files have."""
    places = coordinates(root / tech / "coord" / f"{name}_coord.csv")
    from tests.reliability.told import in_counts  # which reads the CSV by what is here

    (path,) = (root / tech / "gene_exp").glob(f"{name}_count.*")
    of_spot = in_counts(path)
    notes = root / "annotation" / f"{name}_anno.csv"
    labels = {row[next(iter(row))]: row["V2"] for row in table(notes)} if notes.is_file() else {}
    picture = decoded((root / tech / "image" / image).read_bytes())
    assert places.keys() == of_spot.keys() or not whole
    return {
        spot: {
            "place": tuple(np.float32([x, y, r]).tolist()),
            "annotation": labels.get(spot) or None,
            "image": picture.crop((x - r, y - r, x + r, y + r)).tobytes(),
            "counts": {gene: float(np.float32(count)) for gene, count in of_spot[spot].items()},
        }
        for spot, (x, y, r) in places.items()
        if spot in of_spot
    }


def parquet(path: Path) -> polars.DataFrame:
    return polars.read_parquet(path)
