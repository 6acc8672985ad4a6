"""The cells of a slide in a root: one Parquet file per slide in the folder cells/, which geopandas reads."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stimage.core.access import is_local
from stimage.core.errors import DataError, one_line, unreadable
from stimage.core.extras import needs
from stimage.core.files import replacing
from stimage.core.storage import list_folder, local_copy
from stimage.slides.catalog import Slide
from stimage.slides.images.reader import image_info

FOLDER = "cells"
ANY_SIZE = 1 << 62  # pixels: only the image's header is read
ABOUT = b"stimage.cells"  # what the file's metadata calls what is told of all cells
AROUND_UM = 50.0  # within which a cell's neighbours are counted
SCHEMA = pa.schema([
    ("id", pa.string()), ("x", pa.float64()), ("y", pa.float64()), ("class", pa.string()), ("area", pa.float64()),
    ("polygon", pa.binary()),
])  # fmt: skip
GEO = {  # of GeoParquet
    "version": "1.0.0", "primary_column": "polygon",
    "columns": {"polygon": {"encoding": "WKB", "geometry_types": [], "crs": None}},
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Cells:
    """The n cells of a slide.

    Attributes
    ----------
    table
        One row per cell: ``id``; centre ``x``, ``y`` in pixels of the slide's image; ``class``, null for none; ``area``
        in ``area_unit``, null where the source has only centres; ``polygon``, WKB in pixels, or null; and further
        measurements of the source.
    slide
        The name of the slide.
    image_size
        Width and height of the slide's image.
    region
        Left, top, right and bottom of the segmented region in pixels: the box around all centres, unless the source
        gives it.
    um_per_px
        µm per pixel by which areas are in µm²; None where it is unknown.
    source
        The source of the cells, in words.
    """

    table: pa.Table
    slide: str
    image_size: tuple[int, int]
    region: tuple[float, float, float, float]
    um_per_px: float | None
    source: str

    def __len__(self) -> int:
        return len(self.table)

    def take(self, kept: np.ndarray) -> "Cells":
        """Return the cells that are kept (bool, n)."""
        return replace(self, table=self.table.filter(pa.array(kept)))

    @property
    def area_unit(self) -> str:
        """The unit of areas: "µm²", or "px²" where the scale is unknown."""
        return "µm²" if self.um_per_px else "px²"

    @property
    def xy(self) -> np.ndarray:
        """Centres (n x 2) in pixels of the slide's image."""
        return np.stack([self.table[name].to_numpy() for name in ("x", "y")], 1)

    @property
    def classes(self) -> list[str]:
        """The classes of these cells, sorted."""
        return sorted(pc.unique(self.table["class"].drop_null()).to_pylist())


def box_of(xy: np.ndarray) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of centres (n x 2)."""
    (left, top), (right, bottom) = xy.min(0).tolist(), xy.max(0).tolist()
    return left, top, right, bottom


def density_of(xy_um: np.ndarray) -> np.ndarray:
    """Return how many cells per mm² there are within 50 µm of each (n), itself among them, by their centres in µm."""
    tree = needs("scipy.spatial").cKDTree(xy_um)
    around = tree.query_ball_point(tree.data, AROUND_UM, return_length=True)
    return around / (np.pi * (AROUND_UM / 1000) ** 2)


def cells_file(root: str, slide: str) -> str:
    """Return the path or URL of a slide's cells in a root."""
    return f"{root}/{FOLDER}/{slide}.parquet"


def write_cells(cells: Cells, path: Path) -> None:
    """Write a slide's cells, whole or not at all.

    Raises
    ------
    OutputError
        If the file can't be written.
    """
    about = {"slide": cells.slide, "image_size": cells.image_size, "region": cells.region,
             "um_per_px": cells.um_per_px, "area_unit": cells.area_unit, "source": cells.source}  # fmt: skip
    told = {ABOUT: json.dumps(about).encode(), b"geo": json.dumps(GEO).encode()}
    with replacing(path) as unfinished:
        pq.write_table(cells.table.replace_schema_metadata(told), unfinished, compression="zstd",
                       write_page_checksum=True)  # fmt: skip


def read_cells(root: str, slide: Slide, columns: list[str] | None = None) -> Cells:
    """Read the cells of a slide.

    Parameters
    ----------
    root
        Path or URL.
    columns
        The columns to read; None reads all.

    Raises
    ------
    DataError
        If the slide has no cells, or the file is damaged, or belongs to another slide or another image.
    """
    url = cells_file(root, slide.name)
    if f"{slide.name}.parquet" not in list_folder(root, FOLDER, slide.access):
        raise DataError(f"{url}: is missing: slide {slide.name} has no cells; add them by import_cells")
    return cells_of(replace(slide, cells=url), columns)


def cells_of(slide: Slide, columns: list[str] | None = None) -> Cells:
    """Read the cells of a slide whose catalog knows that it has some; see `read_cells`."""
    url = slide.cells or ""
    path = local_copy(url, slide.access)
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        about = _about(json.loads((file.schema_arrow.metadata or {})[ABOUT]))
        _check_columns(file.schema_arrow)
        table = file.read(columns)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise unreadable(url, error, f"is no file of cells, or damaged ({one_line(error)}); import them anew") from None
    if about["slide"] != slide.name:
        raise DataError(f"{url}: has the cells of slide {about['slide']}; import this slide's")
    size = image_info(slide.image, ANY_SIZE) if is_local(slide.image) else None
    if size and (size.width, size.height) != about["image_size"]:
        wide, high = about["image_size"]
        raise DataError(f"{url}: has the cells of an image of {wide} x {high} pixels, but "
                        f"{slide.image} has {size.width} x {size.height}; import them anew")  # fmt: skip
    return Cells(table, **about)


def _about(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file's metadata tell of all its cells; raise KeyError, TypeError or ValueError if they don't."""
    (wide, high), (left, top, right, bottom), um = told["image_size"], told["region"], told["um_per_px"]
    region = float(left), float(top), float(right), float(bottom)
    if not np.isfinite([*region, um or 1]).all() or (um is not None and not um > 0):
        raise ValueError(f"the region is {region}, and µm per pixel are {um}")
    return {"slide": str(told["slide"]), "image_size": (int(wide), int(high)), "region": region,
            "um_per_px": None if um is None else float(um), "source": str(told["source"])}  # fmt: skip


def _check_columns(schema: pa.Schema) -> None:
    """Raise ValueError if a column of all cells is missing or of another type."""
    for field in SCHEMA:
        if field.name not in schema.names or schema.field(field.name).type != field.type:
            raise ValueError(f"has no column {field.name!r} of the type {field.type}")
