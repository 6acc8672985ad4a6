"""An example of a reader: a folder with a table of spots, spots.csv, and an image, tissue.png."""

from pathlib import Path

import pandas as pd
from scipy.sparse import csr_matrix

from stimage.core.errors import DataError
from stimage.formats.imported import ImportedSlide, ImportOptions, raw_counts, reading, refuse_options

PLACES = ("barcode", "x", "y")


def is_flat(path: Path) -> bool:
    """Say whether a folder is of this format, by its files' names; no file is read."""
    return (path / "spots.csv").is_file() and (path / "tissue.png").is_file()


def read_flat(path: Path, options: ImportOptions) -> ImportedSlide:
    """Read a folder with a table of spots and an image.

    Raises
    ------
    DataError
        If the table cannot be read, lacks a column, or has what is no count; if the spots' diameter is not given.
    """
    refuse_options(options, path, "is a table of spots", ("layer", "genome", "library", "labels", "positions"))
    file = path / "spots.csv"
    with reading(file, "a table of spots"):
        table = pd.read_csv(file)
        if missing := [name for name in PLACES if name not in table]:
            raise DataError(f"{file}: has no column {missing[0]!r}")
        genes = table.drop(columns=list(PLACES))
        counts = csr_matrix(genes.to_numpy(float))
        x, y = (table[name].to_numpy(float) for name in ("x", "y"))
    if options.spot_diameter is None:
        raise DataError(f"{file}: does not say how large a spot is; pass spot_diameter= (--spot-diameter), in pixels")
    return ImportedSlide(
        where=str(path),
        barcodes=table["barcode"].astype(str).tolist(),
        genes=list(genes),
        counts=raw_counts(counts, file, "write the counts as they were before normalisation"),
        x=x,
        y=y,
        r=options.spot_diameter / 2,
        image=options.image or path / "tissue.png",
        labels={},
        tech=options.tech or "Visium",
        um_per_px=options.um_per_px,
        um_per_px_source="the user" if options.um_per_px else "",
    )
