"""A slide as a SpatialData store: its image with a pyramid, spots as shapes, and a table of counts."""

import re
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from stimage.cells.cells import Cells
from stimage.core.errors import DataError
from stimage.core.extras import needs
from stimage.core.files import locked, replacing_folder
from stimage.formats.stored.store import MARKS
from stimage.formats.written.anndata_files import (
    block_reader,
    category_of,
    obs_of,
    obsm_of,
    picture_of,
    tables_of,
    var_of,
)
from stimage.formats.written.options import ExportOptions
from stimage.slides.catalog import Slide
from stimage.slides.images.reader import read_patches
from stimage.slides.spots import Spots, open_spots

REGION, INSTANCE, TABLE = "region", "spot", "table"
GLOBAL, UM = "global", "micrometers"  # coordinate systems: pixels of the image, and µm
TILE = 512  # pixels: of the image's chunks, and rows that are decoded at a time
TOP = 1024  # pixels of a side that need no smaller level
BLOCK_SPOTS = 4096  # of counts that are written at a time


def write_store(slides: Sequence[Slide], path: Path, options: ExportOptions) -> None:
    """Write a slide as a store of its own, whole or not at all, in the memory of the counts of a block and some tiles.

    ``images`` has ``SLIDE_full_image`` with its levels; ``shapes`` has ``SLIDE``, circles, or squares of Visium HD, by
    the number of a spot; ``tables`` has ``table``, an AnnData as `write_h5ad` writes it. The
    coordinate system "global" is of pixels of the slide image, and "micrometers", where a scale is known, of µm. With
    ``options.cells``, ``SLIDE_cells`` has the cells by id, with class, area and what else is measured of them: outlines
    in ``shapes``, or, of cells that have centres alone, ``points``.

    Raises
    ------
    DataError
        As `write_h5ad` does, and if another thing than a store is there already.
    """
    (slide,) = slides
    if path.exists() and not any((path / name).exists() for name in MARKS):
        raise DataError(
            f"{path}: is there, and is no Zarr store; move it away, or choose another folder as out= (--out)"
        )
    spatialdata, spots = needs("spatialdata"), open_spots(slide, options.on_mismatch)
    region = element_name(slide.name)
    with locked(path.parent), replacing_folder(path) as unfinished, _quiet():
        table = _table(spots, region, options)
        data = spatialdata.SpatialData(
            images={f"{region}_full_image": _image(spots, unfinished / "pixels")},
            shapes={region: _shapes(spots)}, tables={TABLE: table},
        )  # fmt: skip
        if options.cells:
            data[f"{region}_cells"] = _cells(options.cells(slide), spots)
        data.write(unfinished / "store")
        shutil.rmtree(unfinished / "pixels")
        for part in (unfinished / "store").iterdir():
            part.rename(unfinished / part.name)
        (unfinished / "store").rmdir()


def element_name(slide: str) -> str:
    """Return the name of a slide's elements: SpatialData takes plain letters, digits, "_", "-" and "."."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", slide)


@contextmanager
def _quiet() -> Iterator[None]:
    """Write all chunks of an image, also black ones, and keep libraries from warning of each other."""
    with warnings.catch_warnings(), needs("zarr").config.set({"array.write_empty_chunks": True}):
        warnings.simplefilter("ignore")
        yield


def _table(spots: Spots, region: str, options: ExportOptions) -> anndata.AnnData:
    """Return the table, whose counts are read when they are written, block by block."""
    genes = options.genes_of([spots.slide])
    tables = [tables_of(spots, options)]
    obs = obs_of(tables)
    obs[REGION], obs[INSTANCE] = category_of([region] * len(obs)), np.arange(len(obs))
    uns = {"spatial": {region: picture_of(spots, options.image_px)}}
    table = anndata.AnnData(_counts(spots, genes, options), obs, var_of(genes), uns, obsm_of(tables))
    return needs("spatialdata.models").TableModel.parse(table, region, REGION, INSTANCE)


def _counts(spots: Spots, genes: Sequence[str], options: ExportOptions) -> Any:
    """Return the counts as a dask array of CSR blocks."""
    block, n = block_reader(spots, genes, options), len(spots)

    def read(block_info: Any = None) -> csr_matrix:
        (begin, end), _ = block_info[None]["array-location"]
        return block(slice(begin, end))

    sizes = tuple(min(BLOCK_SPOTS, n - at) for at in range(0, n, BLOCK_SPOTS))
    return needs("dask.array").map_blocks(read, chunks=(sizes, (len(genes),)), dtype=np.float32,
                                          meta=csr_matrix((0, 0), dtype=np.float32))  # fmt: skip


def _shapes(spots: Spots) -> Any:
    """Return circles, or, of Visium HD, squares, which have exact centres and half sides as columns, too."""
    geopandas, shapely = needs("geopandas"), needs("shapely")
    x, y, r = spots.x, spots.y, spots.r
    if spots.slide.tech == "VisiumHD":
        exact = pd.DataFrame({"x": x, "y": y, "radius": r})
        shapes = geopandas.GeoDataFrame(exact, geometry=shapely.box(x - r, y - r, x + r, y + r))
    else:
        shapes = geopandas.GeoDataFrame({"radius": r}, geometry=shapely.points(x, y))
    return needs("spatialdata.models").ShapesModel.parse(shapes, transformations=_systems(spots))


def _cells(cells: Cells, spots: Spots) -> Any:
    """Return outlines of cells, or points where a cell has a centre alone, by the cells' ids."""
    models, told = needs("spatialdata.models"), cells.table.to_pandas().set_index("id")
    polygons = told.pop("polygon")
    told["class"] = told["class"].astype("category")
    if polygons.isna().any():
        return models.PointsModel.parse(told, coordinates={"x": "x", "y": "y"}, transformations=_systems(spots))
    outlines = needs("geopandas").GeoDataFrame(
        told.drop(columns=["x", "y"]), geometry=needs("shapely").from_wkb(polygons)
    )
    return models.ShapesModel.parse(outlines, transformations=_systems(spots))


def _systems(spots: Spots) -> dict[str, Any]:
    """Return the coordinate systems, and what takes pixels of the slide image to them."""
    transformations = needs("spatialdata.transformations")
    systems = {GLOBAL: transformations.Identity()}
    if um := spots.scale.um_per_px:
        systems[UM] = transformations.Scale([um, um], axes=("x", "y"))
    return systems


def _image(spots: Spots, folder: Path) -> Any:
    """Decode the image once, into tiles in a folder, and return it with its smaller levels, which are made of these."""
    info = spots.image_info
    tiles = needs("zarr").create_array(
        folder, shape=(3, info.height, info.width), chunks=(3, TILE, TILE), dtype="uint8"
    )
    edges = np.arange(0, info.height, TILE)
    bands = np.stack([0 * edges, edges, 0 * edges + info.width, np.minimum(edges + TILE, info.height)], 1)
    for top, band in zip(edges.tolist(), read_patches(spots.image_path, bands, spots.max_pixels)):
        tiles[:, top : top + len(band)] = np.moveaxis(band, 2, 0)
    levels = 0
    while min(info.width, info.height) >> levels > TOP:
        levels += 1
    return needs("spatialdata.models").Image2DModel.parse(
        needs("dask.array").from_zarr(tiles), dims=("c", "y", "x"), c_coords=["r", "g", "b"],
        scale_factors=[2] * levels or None, transformations=_systems(spots), chunks=(3, TILE, TILE),
    )  # fmt: skip
