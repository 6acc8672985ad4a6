"""Roots written by hand, with the standard library and Pillow alone."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

GENES = ["ERBB2", "ESR1", "MKI67", "CD3E"]
META = "slide,species,tissue,pmid,title,abstract,keywords,involve_cancer,tech,spot_num,gene_num".split(",")


def write_csv(path: Path, rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def write_slide(
    root: Path, name: str, tech: str, side: int = 3, seed: int = 0, meta: dict | None = None, **save
) -> None:
    """Add a slide of side x side spots, 20 pixels apart, to a root: coord top-down, counts the other way round."""
    rng = np.random.default_rng(seed)
    ids = [f"{name}_{i}x{j}" for i in range(side) for j in range(side)]
    centres = [(20.0 + 20 * i, 20.0 + 20 * j) for i in range(side) for j in range(side)]
    counts = rng.poisson(1, (len(ids), len(GENES)))
    write_csv(
        root / tech / "coord" / f"{name}_coord.csv",
        [["", "yaxis", "xaxis", "r"]] + [[spot, y, x, 5.0] for spot, (y, x) in zip(ids, centres)],
    )
    write_csv(
        root / tech / "gene_exp" / f"{name}_count.csv",
        [["", *GENES]] + [[spot, *row] for spot, row in reversed(list(zip(ids, counts.tolist())))],
    )
    image = root / tech / "image" / f"{name}.png"
    image.parent.mkdir(parents=True, exist_ok=True)
    size = 20 * (side + 1)
    pixels = rng.integers(0, 255, (size, size + 10, 3), np.uint8)
    Image.fromarray(pixels).save(image, **({"format": "PNG"} | save))
    row = {"slide": name, "species": "human", "tissue": "breast", "pmid": "111,222", "involve_cancer": "True"}
    row |= {"tech": tech, "spot_num": str(len(ids)), "gene_num": str(len(GENES))} | (meta or {})
    path = root / "meta" / "meta_all_gene.csv"
    old = path.read_text().splitlines()[1:] if path.exists() else []
    write_csv(path, [META, *csv.reader(old), [row.get(column, "") for column in META]])


def write_genes(root: Path, name: str, genes: list[str], tech: str = "ST") -> Path:
    """Add a slide of four spots with the counts 1, 2, … of these genes; return its count file."""
    write_slide(root, name, tech, side=2)
    path = root / tech / f"gene_exp/{name}_count.csv"
    with path.open(newline="") as file:
        spots = [row[0] for row in csv.reader(file)][1:]
    write_csv(path, [["", *genes], *([spot, *range(1, len(genes) + 1)] for spot in spots)])
    return path


def first_counts(examples, names: list[str]) -> dict[str, dict[str, float]]:
    """Return slide → gene → count of its first spot."""
    found: dict[str, dict[str, float]] = {}
    for e in examples:
        found.setdefault(e["slide"], {names[i]: count for i, count in zip(e["gene_ids"], e["counts"])})
    return found
