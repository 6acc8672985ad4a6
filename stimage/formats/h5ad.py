"""Slides of AnnData: in memory, or in .h5ad files of anndata 0.6 to now and of programs that write them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd

from stimage.core.errors import DataError, shown
from stimage.formats.annotated.counts import counts_of, kept_features, symbols_and_ids
from stimage.formats.annotated.libraries import VIEW, library_of
from stimage.formats.annotated.parts import Parts, parts_in_memory, parts_of_file
from stimage.formats.annotated.pictures import Entry, entry_of, preview_of
from stimage.formats.imported import ImportedSlide, ImportOptions, factor, refuse_options
from stimage.formats.source_scale import BIN, REMEDY, hest_metadata, hest_metadata_file, number_above_0, source_scale
from stimage.slides.catalog import TECHS
from stimage.slides.hest.metadata import HEST_TECHS, SCALE
from stimage.slides.hest.places import in_tissue, is_mirrored, places_of
from stimage.slides.images.reader import image_info
from stimage.slides.scale.grids import BIN as BARCODE_HD

DIAMETER = "spot_diameter_fullres"
OWN_TECHS = {called: tech for called, tech in HEST_TECHS.items() if called != "xenium"}  # which the user decides


def read_h5ad(path: Path, options: ImportOptions) -> ImportedSlide:
    """Read one slide of a .h5ad file; options, errors and layout are those of `from_anndata`.

    Of the file, what a slide needs is read, and of its matrices that of the counts.
    """
    with parts_of_file(path) as parts:
        return _slide_of(parts, options)


def from_anndata(
    data: anndata.AnnData, options: ImportOptions | None = None, where: Path | str = "the AnnData"
) -> ImportedSlide:
    """Read one slide from an AnnData in the layout of scanpy, squidpy and spatialdata-io for Visium.

    ``where`` is its name in errors. Without ``options.image``, the finest image in ``uns["spatial"]`` is taken:
    ``fullres``, ``hires``, HEST's ``downscaled_fullres`` or ``lowres``.

    Raises
    ------
    DataError
        If it lacks something, which the error names; or if it has several slides, and ``options.library`` names none.
    """
    return _slide_of(parts_in_memory(data, str(where)), options or ImportOptions())


def _slide_of(parts: Parts, options: ImportOptions) -> ImportedSlide:
    where = parts.where
    refuse_options(options, where, "is an AnnData", ("positions",))
    hest = hest_metadata(parts.path) if parts.path else {}
    if parts.path and SCALE in hest and options.um_per_px is None:
        number_above_0(hest, SCALE, hest_metadata_file(parts.path), REMEDY)
    name, mine = library_of(parts.obs, parts.uns.get("spatial"), options.library, where)
    entry = entry_of(name, parts.uns["spatial"][name], where) if name else Entry(f"{where}: uns['spatial']")
    if options.image and name and VIEW.fullmatch(name):
        _check_drawn(entry, options.image)
    return slide_of(parts, mine, entry, options, hest)


def _check_drawn(entry: Entry, image: Path) -> None:
    """Refuse an image beside one that spatialdata-io drew anew, in whose pixels the places are then."""
    info, frame = image_info(str(image)), entry.frame()
    if frame and max(abs(info.width - frame[0]), abs(info.height - frame[1])) > 2:
        raise DataError(
            f"{image}: is {info.width / frame[0]:.3g} x the image that the positions are of: it is {info.width:,} x "
            f"{info.height:,} pixels, that one {frame[0]:,.0f} x {frame[1]:,.0f}, as to_legacy_anndata has drawn "
            f"{entry.where}; add the SpatialData store itself, or leave out image= (--image)"
        )


def slide_of(
    parts: Parts, mine: np.ndarray, entry: Entry, options: ImportOptions, told_beside: Mapping[str, Any]
) -> ImportedSlide:
    """Return a slide of those spots of an AnnData that are its own (``mine``, bool), and its entry of scale and images.

    ``told_beside`` is what is said of the slide in a file beside it, by HEST's names.

    Raises
    ------
    DataError
        As `from_anndata` does.
    """
    obs, where, hest = parts.obs, parts.where, told_beside
    spots, xy, left_out = _spots(parts, mine, options)
    labels = _labels(obs[spots], options.labels, where)
    counts, genes = counts_of(parts, options.layer, spots)
    keep, others = kept_features(genes, options.genome, where)
    symbols, ids = symbols_and_ids(genes[keep], where, options.genome)
    scale, r = _scale(entry, options)
    image = options.image or entry.picture()
    told = [entry.factors, entry.metadata, entry.told, parts.uns, hest]
    um_per_px, source = source_scale(told, scale, where, options.um_per_px)
    return ImportedSlide(
        where=where,
        barcodes=[str(one) for one in obs.index[spots]],
        genes=symbols,
        gene_ids=ids,
        counts=counts[:, keep] if others else counts,
        x=xy[spots, 0] * scale,
        y=xy[spots, 1] * scale,
        r=r,
        image=image,
        labels=labels,
        tech=_tech(
            obs[spots],
            entry,
            hest,
            options,
            f"{where}: metadata/{parts.path.stem}.json" if hest and parts.path else where,
        ),
        um_per_px=um_per_px,
        um_per_px_source=source,
        frame=_frame(entry, hest, parts.path) if options.image else None,
        preview=preview_of(entry.images[entry.largest()], where) if options.image and entry.frame() else None,
        left_out={**left_out, **others},
        counts_file=None if options.layer else parts.path,
        mirrored=is_mirrored(xy[spots], obs[spots]),
    )


def _spots(parts: Parts, mine: np.ndarray, options: ImportOptions) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Return which spots are of the slide, in tissue and somewhere; all spots' x and y; and how many are left out."""
    obs, where = parts.obs, parts.where
    on = mine & in_tissue(obs, where)
    xy = places_of(obs, parts.obsm, where)
    lost = on & ~np.isfinite(xy).all(1)
    if lost.any() and options.on_mismatch != "drop":
        raise DataError(f"{where}: spot {str(obs.index[lost][0])!r} has no coordinates, as have {lost.sum():,} of "
                        f"{on.sum():,}; leave them out with on_mismatch='drop' (--on-mismatch drop)")  # fmt: skip
    spots = on & ~lost
    if not spots.any():
        raise DataError(f"{where}: has no spots in tissue, of {len(obs):,}")
    if (again := obs.index[spots].duplicated()).any():
        twice = str(obs.index[spots][again][0])
        raise DataError(f"{where}: the barcode {twice!r} occurs twice: is it several slides in one file? Name the "
                        "slide of each spot in obs as library_id, or write a file a slide")  # fmt: skip
    counted = {
        "spots of other slides": ~mine,
        "spots outside the tissue": mine & ~on,
        "spots without coordinates": lost,
    }
    return spots, xy, {reason: int(which.sum()) for reason, which in counted.items() if which.any()}


def _scale(entry: Entry, options: ImportOptions) -> tuple[float, float]:
    """Return what pixels of the full image are multiplied by, and a spot's radius thereafter."""
    scale = 1.0 if options.image else entry.scale_of(entry.largest())
    remedy = "pass the diameter in pixels of the full-resolution image as spot_diameter= (--spot-diameter)"
    diameter = options.spot_diameter or factor(entry.factors, DIAMETER, entry.where, remedy)
    return scale, diameter / 2 * scale


def _labels(obs: pd.DataFrame, column: str | None, where: str) -> dict[str, str]:
    if column and column not in obs:
        raise DataError(f"{where}: obs has no column {column!r}, but {shown([str(name) for name in obs])}")
    return {str(spot): str(label) for spot, label in obs[column].dropna().items()} if column else {}


def _tech(obs: pd.DataFrame, entry: Entry, hest: Mapping[str, Any], options: ImportOptions, where: str) -> str:
    """Return the technology that the user says, or the source: `write_h5ad`, Space Ranger or HEST."""
    said = set(obs["tech"].astype(str)) & set(TECHS) if "tech" in obs else set()
    if options.tech or len(said) == 1:
        return options.tech or said.pop()
    if called := hest.get("st_technology"):
        if str(called).lower() not in OWN_TECHS:
            raise DataError(f"{where}: is of {called} by its metadata, which is none of {', '.join(TECHS)}; pass the "
                            "one that is most like it as tech= (--tech)")  # fmt: skip
        return OWN_TECHS[str(called).lower()]
    bins = all(re.search(BARCODE_HD, str(spot)) for spot in obs.index)
    return "VisiumHD" if BIN in entry.factors or bins else "Visium"


def _frame(entry: Entry, hest: Mapping[str, Any], path: Path | None) -> tuple[float, float, str] | None:
    """Return the full image's size by HEST's metadata, or by the entry's images."""
    size = [hest.get(name) for name in ("fullres_px_width", "fullres_px_height")]
    if path and all(isinstance(side, int | float) and 0 < side < np.inf for side in size):
        return float(size[0]), float(size[1]), f"metadata/{path.stem}.json"  # type: ignore[arg-type]
    return entry.frame()
