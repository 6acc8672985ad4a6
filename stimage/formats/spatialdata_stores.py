"""Slides of SpatialData stores of Visium and Visium HD, as spatialdata-io and users' pipelines write them."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stimage.core.errors import DataError, shown
from stimage.formats.annotated.parts import parts_in_memory
from stimage.formats.annotated.pictures import Entry
from stimage.formats.h5ad import DIAMETER, slide_of
from stimage.formats.imported import ImportedSlide, ImportOptions, refuse_options
from stimage.formats.source_scale import BIN, SOURCE, SPACE_RANGER
from stimage.formats.stored.fitting import moved, pixels_without_image, scale_of
from stimage.formats.stored.pictures import Picture, lost_chunks, picture_of
from stimage.formats.stored.places import places_in
from stimage.formats.stored.store import ATTRS, Annotated, chosen_table, open_store, read_elements, read_table
from stimage.slides.images.reader import image_info

READERS = {"visium": "visium", "visium_hd": "visium hd"}  # of spatialdata-io, by HEST's names


def read_spatialdata(path: Path, options: ImportOptions) -> ImportedSlide:
    """Read one slide of a SpatialData store (Zarr 2 or 3): a table of counts, and the spots that its rows annotate.

    Spots are circles, squares or labels, joined to the table by its instances. Transformations to coordinate systems
    that both are in tell where spots lie in the image. Without ``options.image``, the image is the one that shows most;
    it stays in the store until it is written.

    Raises
    ------
    DataError
        If the store is damaged or none of spots, has no counts or no image of them, or if it has several slides, bins
        or images and none is named.
    """
    refuse_options(options, path, "is a SpatialData store", ("positions",))
    store = open_store(path)
    one = chosen_table(path, store, options.library)
    where = str(path / one.folder / one.table)
    table, data = read_table(path, store, one), read_elements(path)
    mine, instances = _rows(table, one, where)
    places = places_in(data, one.region, instances[mine], where)
    wanted, options = _image(path, data, replace(options, library=None))
    picture, entry, matrix = _placed(path, data, one, wanted, options)
    lost = {}
    if picture and not options.image:
        lost = lost_chunks(store, picture, moved(places.xy, picture.fit.matrix))
    factors = {**entry.factors, DIAMETER: 2 * places.r * scale_of(matrix)}
    reader = str(store.attrs.get("spatialdata_io_reader", "")) or None
    if reader == "visium_hd" and (bins := re.fullmatch(r"square_(\d{3})um", one.table)):
        factors[BIN] = int(bins[1])  # which spatialdata-io holds against Space Ranger's own
    xy = np.full((len(mine), 2), np.nan)
    xy[mine] = moved(places.xy, matrix)
    parts = replace(parts_in_memory(table, where), obsm={"spatial": xy}, uns={})
    told = {"st_technology": READERS.get(reader, reader)} if reader else {}
    told |= _scale_told(table, one.region)
    found = slide_of(parts, mine, replace(entry, factors=factors), options, told)
    return replace(found, left_out={**found.left_out, **lost})


def _scale_told(table: Any, region: str) -> dict[str, Any]:
    """Return the µm per pixel that a store of our own says, and who gave it."""
    spatial = table.uns.get("spatial")
    slide = spatial.get(region) if isinstance(spatial, Mapping) else None
    factors = slide.get("scalefactors", {}) if isinstance(slide, Mapping) else {}
    return {name: factors[name] for name in (SPACE_RANGER, SOURCE) if SOURCE in factors and name in factors}


def _placed(
    path: Path, data: Any, one: Annotated, wanted: str | None, options: ImportOptions
) -> tuple[Picture | None, Entry, np.ndarray]:
    """Return the store's image, its scale, and the matrix from the element's coordinates to the full image's pixels."""
    picture = picture_of(data, one.region, path, wanted, options.image is not None)
    if not picture:
        matrix = pixels_without_image(data[one.region], f"{path}: {one.region}", one.region in data.labels)
        return None, Entry(str(path)), matrix
    scale = _scale(picture, options)
    entry = Entry(str(path), {f"tissue_{picture.name}_scalef": scale}, {picture.name: picture.image})
    return picture, entry, np.diag([1 / scale, 1 / scale, 1.0]) @ picture.fit.matrix


def _image(path: Path, data: Any, options: ImportOptions) -> tuple[str | None, ImportOptions]:
    """Return the image of the store that ``options.image`` names, if it names one, and the options without it."""
    if not options.image or options.image.exists():
        return None, options
    if str(options.image) not in data.images:
        raise DataError(f"{options.image}: there is no such file; images of {path}: {shown([*data.images]) or 'none'}")
    return str(options.image), replace(options, image=None)


def _rows(table: Any, one: Annotated, where: str) -> tuple[np.ndarray, Any]:
    """Return which rows annotate the element, and all rows' instances."""
    told = table.uns.get(ATTRS)
    attrs = told if isinstance(told, Mapping) else {}
    keys = [str(attrs.get(name)) for name in ("region_key", "instance_key")]
    if lost := [key for key in keys if key not in table.obs]:
        raise DataError(f"{where}: obs has no column {lost[0]!r}, which says what a row annotates, but "
                        f"{shown([str(name) for name in table.obs])}")  # fmt: skip
    mine = (table.obs[keys[0]].astype(str) == one.region).to_numpy(bool)
    if not mine.any():
        raise DataError(f"{where}: no row annotates {one.region!r} by obs[{keys[0]!r}]")
    return mine, table.obs[keys[1]]


def _scale(picture: Picture, options: ImportOptions) -> float:
    """Return pixels of the store's image per pixel of the full image, which may be a file.

    The full image is the store's own, or the one whose pixels are a system's coordinates: by what spatialdata-io calls
    its small images, or by the size of the file.
    """
    if not options.image:
        return picture.small_scale or 1.0
    ratio = image_info(str(options.image)).width / picture.image.shape[1]
    return min([1.0, *picture.fit.units.values()], key=lambda scale: abs(np.log(ratio * scale)))
