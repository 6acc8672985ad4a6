"""Write the vectors of a root's spots into folders, in one or several processes."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from stimage.core.errors import DataError
from stimage.evaluation.embedding import embed_slides, settle_options, slides_left
from stimage.evaluation.joint.encoders import SpotEncoder, make_encoders
from stimage.jobs.roots import Root
from stimage.jobs.vectors.patches import Asked, cut_as_trained, words
from stimage.loading.provenance import Provenance, read_provenance
from stimage.loading.sources import Source
from stimage.slides.catalog import Slide
from stimage.slides.scale.given import given_scales
from stimage.towers.image_towers import UNTRAINED
from stimage.towers.options import TowerOptions


def embed_root(
    root: Root,
    model: str,
    out: Path,
    asked: Asked,
    batch_size: int = 64,
    workers: int = 0,
    dtype: str = "float32",
    options: TowerOptions | None = None,
    progress: bool = False,
    space: str = "tower",
    of: Sequence[str] = ("images",),
    gene_table: str | None = None,
    encoder: str | None = None,
) -> list[Path]:
    """Write the embeddings of a root's slides into a folder; each of several processes embeds its share.

    Each of several kinds, such as images and genes, goes into a folder of its name. Returns the folders.
    """
    provenance = provenance_of(model)
    source = cut_as_trained(root.source, asked, model, provenance)
    if progress and source.patch and int(os.environ.get("RANK", 0)) == 0:
        print(f"patches: {words(source.patch)}")
    state = PartialState(cpu=not torch.accelerator.is_available())  # without cpu, it would see one process
    if state.num_processes != int(os.environ.get("WORLD_SIZE", 1)):
        raise DataError(f"{os.environ['WORLD_SIZE']} processes were started, but each sees {state.num_processes}")
    folders = [out] if len(of) == 1 else [out / kind for kind in of]
    try:
        encoders = make_encoders(source, model, space, of, state.device, dtype, options, gene_table, encoder)
        for made, folder in zip(encoders, folders):
            by = replace(made, provenance=provenance)
            with state.main_process_first():
                settle_options(folder, _options(source, model, by, batch_size, dtype))
                left = slides_left(source, root.slides, folder)
            state.wait_for_everyone()  # all have the same list before one begins to shorten it
            if progress and state.is_main_process:
                many = f"{len(root.slides):,} slide{'s' * (len(root.slides) != 1)}"
                print(f"{many}, {len(root.slides) - len(left)} of them done; {by.width} numbers a spot")
            mine = left[state.process_index :: state.num_processes]
            _embed_share(embed_slides(source, mine, by, folder, batch_size, workers), len(mine), progress)
            state.wait_for_everyone()
    finally:
        state.destroy_process_group()
    return folders


def provenance_of(model: str) -> Provenance | None:
    """Return what a model has seen; of an untrained one nothing, and its patches are cut as the trained one's."""
    found = read_provenance(model.removeprefix(UNTRAINED))
    if not model.startswith(UNTRAINED):
        return found
    return replace(found or Provenance(), trained={}, validation={}, panel=())


def _embed_share(embedded: Iterable[tuple[Slide, int, DataError | None]], slides: int, progress: bool) -> None:
    """Embed slides one by one; those that failed are told at the end."""
    failed = []
    for slide, spots, error in embedded:
        if progress:
            print(f"{slide.name}: {error or f'{spots:,} spots'}", flush=True)
        failed += [str(error)] if error else []
    if failed:
        raise DataError(f"{len(failed)} of {slides} slides failed, such as: {failed[0]}")


def _options(source: Source, model: str, encoder: SpotEncoder, batch_size: int, dtype: str) -> dict[str, Any]:
    """Return all that vectors depend on."""
    seen = {"seen": encoder.provenance.names} if encoder.provenance else {}
    return {
        "model": model,
        **encoder.record,
        **seen,
        "dtype": dtype,
        "batch_size": batch_size,
        "source": source.location,
        "patch": source.reading.get("patch"),
        "upsample": source.reading.get("upsample") or None,
        "pyramid": source.reading.get("pyramid") or None,
        "um_per_px": given_scales(source.reading.get("um_per_px"), ["all slides"]) or None,
        "on_mismatch": source.reading.get("on_mismatch"),
    }
