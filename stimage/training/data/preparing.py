"""A root's slides as prepared data sets: of those to train on, and of those held out."""

import sys
from collections.abc import Iterator
from typing import Any

import datasets
from joblib import cpu_count

import stimage_1k4m
from stimage.training.data.magnification import without_coarse
from stimage.training.data.parts import Parts, choose_parts
from stimage.training.settings.groups import Settings


def prepare_root(settings: Settings, parts: Parts, most: int | None = None) -> Iterator[datasets.Dataset | None]:
    """Yield the spots to train on, and those held out (None where there are none); other slides are not prepared.

    Parameters
    ----------
    most
        Processes that share the slides, at most; None has this process do it. What comes of it is the same.

    Raises
    ------
    DataError
        As `stimage_1k4m.load` does.
    """
    # PNG would take half of the room, but a fifth of the time before the first step, and five times as long to decode
    options: dict[str, Any] = {"splits": "none", "streaming": False, "image_format": "ppm"}
    data = settings.data
    options |= {"um_per_px": data.um_per_px}
    if not data.image_vectors:  # else no patch is cut
        options |= {"upsample": data.upsample, "pyramid": data.pyramid}
        if data.patch_um or data.patch_px:
            options["patch"] = {"um": data.patch_um, "px": data.patch_px}
    if settings.takes_panel:
        options |= {"panel": settings.panel, "normalise": data.normalise, "gene_table": data.gene_table}
    if data.image_vectors:
        genes = ["expression"] if "panel" in options else ["gene_ids", "counts"]
        options["columns"] = ["spot_id", "slide", "annotation", "x", "y", "um_per_px", *genes]
    for slides in map(list, (parts.train, parts.validation)):
        shared = min(most or 1, len(slides))
        options |= {"slides": slides, "num_proc": shared if shared > 1 else None}
        yield stimage_1k4m.load(data.tech, data.source, **options) if slides else None


def prepare_all(settings: Settings, most: int) -> None:
    """Prepare what a run with these settings will ask for, in one process for each core, and ``most`` at most."""
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    parts, _ = without_coarse(settings, choose_parts(settings), lambda line: None)
    list(prepare_root(settings, parts, min(cpu_count(), most)))
