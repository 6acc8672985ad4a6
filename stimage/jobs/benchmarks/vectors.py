"""Vectors of a root's spots for tasks: made by an encoder, or read of files that must fit."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stimage.core.errors import DataError
from stimage.evaluation.embedding import MARKER
from stimage.evaluation.results import data_identity
from stimage.jobs.benchmarks.encoders import BenchEncoder
from stimage.jobs.roots import Root
from stimage.jobs.vectors.patches import Asked, words
from stimage.jobs.vectors.writing import embed_root, provenance_of
from stimage.loading.embeddings import Embeddings, are_embeddings, read_embeddings
from stimage.loading.provenance import Provenance
from stimage.slides.catalog import Slide
from stimage.slides.images.patches import Patch
from stimage.slides.splits.splitting import Splitting
from stimage.slides.spots import open_spots
from stimage.towers.options import TowerOptions

SPACES = ("tower", "joint")


@dataclass(frozen=True)
class How:
    """The way in which spots are embedded."""

    asked: Asked
    batch_size: int
    workers: int
    options: TowerOptions | None


@dataclass(frozen=True)
class Vectors:
    """Where the vectors of an encoder are, in a space, as jobs take them; and a digest of what they depend on."""

    path: Path
    digest: str


def with_slides(root: Root, names: list[str]) -> Root:
    """Return a root with these slides alone, none of them split."""
    filters = replace(root.selection.filters, slides=names)
    return replace(root, selection=replace(root.selection, filters=filters), splitting=Splitting(), part=None)


def folder_of(encoder: BenchEncoder, out: Path, space: str) -> Path:
    """Return the folder of an encoder's vectors."""
    if encoder.files:
        path = Path(encoder.name)
        return path / "images" if space == "tower" and path.is_dir() and not are_embeddings(str(path)) else path
    return out / "embeddings" / (encoder.folder if space == "tower" else f"{encoder.folder}.joint")


def make_vectors(encoder: BenchEncoder, root: Root, slides: list[Slide], out: Path, space: str, how: How) -> Vectors:
    """Embed slides, but those that are embedded; of files, check that they fit.

    Raises
    ------
    DataError
        If files lack a spot or are of another patch, or a slide cannot be embedded.
    """
    folder, kinds = folder_of(encoder, out, space), ["images"]
    if space == "joint":
        kinds += [encoder.beside or "genes"]
    places = [folder] if space == "tower" else [folder / kind for kind in kinds]
    if encoder.files:
        read = [_checked(place, slides, how.asked, root) for place in places]
        return Vectors(folder, "".join(data_identity(one.spot_ids, embeddings=one)["embeddings_sha256"]
                                       for one in read))  # fmt: skip
    some = with_slides(root, [one.name for one in slides])
    options: dict[str, Any] = {"options": how.options} if space == "tower" else {"space": space, "of": kinds}
    embed_root(some, encoder.name, folder, how.asked, how.batch_size, how.workers, encoder.dtype, **options)
    return Vectors(folder, "".join(hashlib.sha256((one / MARKER).read_bytes()).hexdigest() for one in places))


def seen_by(encoder: BenchEncoder, root: Root) -> Provenance | None:
    """Return the slides that an encoder has seen; None if they are unknown."""
    if not encoder.files:
        return provenance_of(encoder.name)
    return read_embeddings(folder_of(encoder, Path(), "tower"), [one.name for one in root.catalog.slides]).provenance


def _checked(path: Path, slides: list[Slide], asked: Asked, root: Root) -> Embeddings:
    """Read embeddings of files, which must have all spots of the slides, and be of the patch that is asked for."""
    read = read_embeddings(path, [one.name for one in root.catalog.slides])
    _check_patch(path, asked, read.provenance)
    there = pa.array(read.spot_ids.tolist(), pa.string())
    for slide in slides:
        ids = open_spots(slide, "drop").ids
        known = pc.is_in(ids, value_set=there).to_numpy(zero_copy_only=False)
        if not known.all():
            first = ids[int(np.argmin(known))].as_py()
            raise DataError(f"{path}: lacks {(~known).sum():,} of the {len(ids):,} spots of slide {slide.name}, such "
                            f"as {first!r}; embed them, or leave the slide out by exclude= (--exclude)")  # fmt: skip
    return read


def _check_patch(path: Path, asked: Asked, seen: Provenance | None) -> None:
    """Refuse embeddings that say that they are of another patch; those that say nothing are taken."""
    if not (path / MARKER).is_file():
        return
    try:
        said = json.loads((path / MARKER).read_text(encoding="utf-8")).get("patch")
    except (ValueError, AttributeError):
        raise DataError(f"{path / MARKER}: is damaged; embed the spots again") from None
    if said is None:  # of a published folder, which cut them itself
        return
    wanted = Patch.parse(asked.patch, asked.upsample, asked.pyramid)
    taken = [{"um": wanted.um, "px": wanted.px} if wanted.um else "original"]
    if seen and seen.patch and asked.patch is None:  # as the model was trained
        taken.append({key: seen.patch.get(key) for key in ("um", "px")})
    if said in taken:
        return
    raise DataError(
        f"{path}: has embeddings of patches that are {words(Patch.parse(said))}, but {words(wanted)} is asked for. "
        "Embed the spots again, or pass the patch of these embeddings for all encoders by patch= (--patch, "
        "--patch-um, --patch-px)"
    )
