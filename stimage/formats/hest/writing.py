"""Writing slides of a root in the layout of HEST-1k, each whole or not at all; what is there already is kept."""

import csv
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stimage.core.errors import DataError
from stimage.core.files import listed, locked, write_text
from stimage.core.storage import local_copy
from stimage.core.tables import csv_text
from stimage.core.together import finish_placing, place, staged
from stimage.formats.hest.patches import write_patches
from stimage.formats.hest.spots_file import write_spots
from stimage.formats.written.options import ExportOptions
from stimage.slides.catalog import Slide
from stimage.slides.coordinates import read_coordinates
from stimage.slides.freshness import slide_identity, with_stamps
from stimage.slides.hest.metadata import EXACT, OWN, SCALE, SPECIES, read_metadata
from stimage.slides.images.pyramid import write_pyramid
from stimage.slides.missing import need_counts
from stimage.slides.scale.grids import GRIDS
from stimage.slides.scale.scale import AGREE, slide_scale
from stimage.slides.spots import Spots, open_spots

TABLE = "HEST_v1_1_0.csv"
COLUMNS = ("dataset_title", "id", "image_filename", "organ", "disease_state", "oncotree_code", "species", "patient",
           "st_technology", "study_link", "inter_spot_dist", "spot_diameter", "spots_under_tissue", "nb_genes",
           "pixel_size_um_embedded", SCALE, "fullres_px_width", "fullres_px_height")  # fmt: skip
TECHS_OF_HEST = {"Visium": "Visium", "VisiumHD": "Visium HD", "ST": "Spatial Transcriptomics"}
MADE = "made_from"  # digest of the slide and the options that a sample was made of
USUAL = ExportOptions()
log = logging.getLogger(__name__)


def write_hest(
    slides: Sequence[Slide],
    out: Path,
    options: ExportOptions = USUAL,
    progress: Callable[[Iterable[Slide]], Iterable[Slide]] = iter,
) -> None:
    """Write slides as samples of a folder of HEST's; those that are there, unchanged, are kept.

    Raises
    ------
    DataError
        Before anything is written, if a slide has no counts or no scale that is trusted; later, if one can't be read.
    OutputError
        If ``out`` can't be written.
    """
    need_counts(slides, "HEST's layout")
    _need_scales(slides)
    kept = 0
    for slide in progress(with_stamps(slides)):
        made = _digest(slide, options)
        if _made_from(out, slide.name) == made:
            kept += 1
            continue
        with staged(out) as stage:
            told = _write_sample(slide, stage, options)
            write_text(stage / f"metadata/{slide.name}.json", json.dumps({**told, MADE: made}, indent=1))
            with locked(out):
                place(stage, out)
    finish_placing(out)
    with locked(out):
        rows = [read_metadata(path) for path in listed(out / "metadata", "*.json")]
        cells = ([str(row.get(column, "")) for column in COLUMNS] for row in rows)
        write_text(out / TABLE, "\ufeff" + csv_text([COLUMNS, *cells], csv.QUOTE_MINIMAL))
    if kept:
        log.info("%s: %d of %d slides were there already, unchanged", out, kept, len(slides))


def _digest(slide: Slide, options: ExportOptions) -> str:
    """Return what changes with a slide's files, and with what is written of them."""
    how, title = options.hest, options.hest.titles.get(slide.name, "")
    patch = how.patch and asdict(how.patch)
    told = [slide_identity(slide), how.compression, how.quality, patch, title, options.on_mismatch]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _need_scales(slides: Sequence[Slide]) -> None:
    """Refuse slides whose scale is not trusted: HEST's metadata say what a pixel is."""
    for slide in slides:
        scale = slide_scale(read_coordinates(local_copy(slide.coord, slide.access)), slide)
        if scale.um_per_px is None:
            raise DataError(f"{slide.name}: HEST's layout needs µm per pixel, and this slide's is {scale.reason}; or "
                            "leave it out by exclude= (--exclude)")  # fmt: skip


def _made_from(out: Path, name: str) -> str:
    """Return what a sample that is there was made from; "" where there is none, or part of it is gone."""
    path = out / f"metadata/{name}.json"
    if not all((out / part).exists() for part in (f"st/{name}.h5ad", f"wsis/{name}.tif", f"metadata/{name}.json")):
        return ""
    return str(read_metadata(path).get(MADE, ""))


def _write_sample(slide: Slide, stage: Path, options: ExportOptions) -> dict[str, Any]:
    """Write a sample's files, but for its metadata, which are returned."""
    spots = open_spots(slide, options.on_mismatch)
    if np.ptp(spots.r) > 1e-6 * spots.r[0]:
        raise DataError(f"{slide.coord}: has spots with r of {spots.r.min():g} to {spots.r.max():g}; HEST's layout has "
                        "one for all")  # fmt: skip
    how, name, ids, um_per_px = options.hest, slide.name, spots.ids.to_pylist(), spots.scale.um_per_px
    if all(one.startswith(f"{name}_") for one in ids):
        ids = [one.removeprefix(f"{name}_") for one in ids]
    small = write_spots(spots, ids, stage / f"st/{name}.h5ad")
    write_pyramid(spots.image_path, stage / f"wsis/{name}.tif", um_per_px, how.compression, how.quality)
    if how.patch:
        write_patches(spots, ids, how.patch, stage / f"patches/{name}.h5")
    (stage / "thumbnails").mkdir()
    Image.fromarray(small).save(stage / f"thumbnails/{name}_downscaled_fullres.jpeg", quality=90)
    labels = [(spot, label) for spot, label in zip(ids, spots.annotation.to_pylist()) if label is not None]
    if labels:
        write_text(stage / f"annotation/{name}_anno.csv", csv_text([("", "V2"), *labels]))
    return _metadata(slide, spots, how.titles.get(name, ""))


def _metadata(slide: Slide, spots: Spots, title: str) -> dict[str, Any]:
    """Return what metadata/ID.json says of a slide; what our own reader takes exactly is under a key of its own."""
    um_per_px, info = spots.scale.um_per_px or 0, spots.image_info
    pitch = spots.scale.lattice.pitch * um_per_px if spots.scale.lattice else None
    nominal = [grid.pitch_um for grid in GRIDS[slide.tech] if pitch and abs(pitch / grid.pitch_um - 1) <= AGREE]
    return {
        "id": slide.name,
        "dataset_title": title or slide.study or (f"PubMed {slide.pmid}" if slide.pmid else None),
        "image_filename": f"{slide.name}.tif",
        "organ": (slide.tissue or "").capitalize() or None,
        "tissue": slide.tissue,
        "disease_state": "Cancer" if slide.involve_cancer else None,
        "oncotree_code": None,
        "species": next(
            (latin.capitalize() for latin, name in SPECIES.items() if name == slide.species), slide.species
        ),
        "patient": slide.patient,
        "st_technology": TECHS_OF_HEST[slide.tech],
        "study_link": f"https://pubmed.ncbi.nlm.nih.gov/{slide.pmids[0]}/" if slide.pmids else None,
        "inter_spot_dist": (slide.grid_um or (nominal[0] if nominal else pitch,))[0],
        "spot_diameter": 2 * float(spots.r[0]) * um_per_px,
        "spots_under_tissue": len(spots),
        "nb_genes": len(spots.genes),
        "pixel_size_um_embedded": um_per_px,
        SCALE: um_per_px,
        "fullres_px_width": info.width,
        "fullres_px_height": info.height,
        OWN: {key: getattr(slide, key) for key in EXACT},
    }
