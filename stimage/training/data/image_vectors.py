"""Image vectors of spots that `embed` wrote: heads are trained on them, and no image is read."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stimage.core.errors import DataError, one_line, shown
from stimage.loading.embeddings import Embeddings, read_embeddings
from stimage.loading.sources import open_source
from stimage.training.settings.groups import DataSettings, Settings
from stimage.training.spots import TrainingSpots

MADE = "embedding.json"  # what embed notes in its folder
TOLD = (
    "of",
    "space",
    "weights",
    "pooling",
    "size",
    "mean",
    "std",
    "model_args",
    "dtype",
    "patch",
    "upsample",
    "pyramid",
)


@dataclass(frozen=True, eq=False)
class ImageVectors:
    """Vectors of images, and what made them.

    Attributes
    ----------
    path
        The file or folder, as it was named.
    embeddings
        By spot, sorted by id.
    made
        For the model's configuration: ``model``, the encoder's name and a digest of its weights, and of a folder of
        `embed` what its vectors depend on: pooling, size and colours of the images, how the patches were cut.
    """

    path: str
    embeddings: Embeddings
    made: dict[str, Any]

    @property
    def width(self) -> int:
        """Length of the vectors."""
        return self.embeddings.vectors.shape[1]

    @property
    def patch(self) -> dict[str, Any] | None:
        """How the patches were cut, as a `Provenance` has it; None where it is not known."""
        cut = self.made.get("patch")
        sides = cut if isinstance(cut, Mapping) else {}
        flags = {name: bool(self.made.get(name)) for name in ("upsample", "pyramid")}
        return cut and {"um": sides.get("um"), "px": sides.get("px"), **flags}


def read_image_vectors(path: str, slides: Iterable[str]) -> ImageVectors:
    """Read the vectors of ``data.image_vectors``; raises as `read_embeddings`, and for vectors of genes or text.

    ``slides`` are the names of all slides.
    """
    embeddings, note = read_embeddings(path, slides), Path(path) / MADE
    said: dict[str, Any] = {}
    if note.exists():
        try:
            said = dict(json.loads(note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise DataError(f"{note}: is damaged ({one_line(error)}), so what made the vectors is not known; make them "
                            "again") from None  # fmt: skip
    if (of := said.get("of", "images")) != "images":
        raise DataError(
            f"{path}: has vectors of {of}, but data.image_vectors needs vectors of images; make them by embed with "
            "of='images' (--of images)"
        )
    made = {name: said[name] for name in TOLD if said.get(name) is not None}
    return ImageVectors(path, embeddings, {"model": embeddings.model, **made})


def patch_note(vectors: ImageVectors, data: DataSettings) -> str | None:
    """Tell that vectors are of other patches than the settings cut for images, as a configuration may have them."""
    made, asked = vectors.patch, data.patch
    if not made or not asked.um or (made["um"], made["px"]) == (asked.um, asked.px):
        return None
    cut = f"{made['um']:g} µm (px {made['px']})" if made["um"] else "squares of 2r"
    return (f"note: no patch is cut, as there are vectors: those of {vectors.path} are of patches of {cut}, and "
            f"data.patch_um={asked.um:g} and data.patch_px={asked.px} are not used")  # fmt: skip


def with_vectors(spots: TrainingSpots, vectors: ImageVectors) -> TrainingSpots:
    """Return the same spots with these vectors in place of their images.

    Raises
    ------
    DataError
        If spots have no vector; with how many, and of which slides.
    """
    ids = spots.table.select_columns(["spot_id"])[:]["spot_id"].to_numpy().astype(str)
    known = vectors.embeddings.spot_ids
    places = np.searchsorted(known, ids).clip(max=len(known) - 1)
    lost = known[places] != ids
    if lost.any():
        numbers = np.bincount(spots.slide[lost], minlength=len(spots.slides))
        of = [f"{n:,} of slide {name}" for name, n in zip(spots.slides, numbers) if n]
        raise DataError(f"{vectors.path}: lacks the vectors of {lost.sum():,} of {len(ids):,} spots, such as "
                        f"{str(ids[lost.argmax()])!r} ({shown(of, 5)}); embed these slides, too, or leave them out by "
                        "exclude=")  # fmt: skip
    return replace(spots, vectors=vectors.embeddings.vectors[places])


def image_vectors_of(settings: Settings, say: Callable[[str], None]) -> ImageVectors | None:
    """Read the vectors that the heads are trained on; None where an image tower is trained."""
    if settings.data.image_vectors is None:
        return None
    slides = open_source(settings.data.source).catalog.slides
    vectors = read_image_vectors(settings.data.image_vectors, [slide.name for slide in slides])
    if note := patch_note(vectors, settings.data):
        say(note)
    return vectors
