"""Encoders of spots: an image tower, or a joint model of their images, genes or text."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from stimage.core.errors import DataError
from stimage.evaluation.joint.counted import OtherInputs
from stimage.loading.embeddings import are_embeddings
from stimage.loading.provenance import Provenance
from stimage.loading.sources import Source
from stimage.loading.tensors import SpotBatch
from stimage.towers.image_towers import UNTRAINED, ImageTower, load_tower
from stimage.towers.joint_space import JointSpace, load_joint
from stimage.towers.options import TowerOptions
from stimage.training.data.image_vectors import read_image_vectors
from stimage.training.second.vectors import VectorsOfSpots

SPACES = ("tower", "joint")


@dataclass(frozen=True, eq=False)
class SpotEncoder:
    """An encoder of spots.

    Attributes
    ----------
    label
        The name of the model, a digest of its weights, and the space; files carry it.
    width
        Length of the vectors.
    encode
        Function that turns a batch into vectors (float32, n x width, on the CPU).
    columns
        The columns of spots that it needs, besides their ids, slides and labels.
    genes
        The options of their expression: ``panel``, ``normalise`` and ``gene_table``, as `load` takes them.
    image_size
        Side of its images in pixels; None without images.
    record
        All values that vectors depend on, as JSON has them.
    provenance
        The slides that the model has seen, if it says so; files carry them.
    """

    label: str
    width: int
    encode: Callable[[SpotBatch], torch.Tensor]
    columns: tuple[str, ...] = ("image",)
    genes: Mapping[str, Any] = field(default_factory=dict)
    image_size: int | None = None
    record: Mapping[str, Any] = field(default_factory=dict)
    provenance: Provenance | None = None


def encoder_of_tower(tower: ImageTower, options: TowerOptions | None = None) -> SpotEncoder:
    """Return the encoder of spots' images in a tower's own space."""
    record = {"space": "tower", "of": "images", "weights": tower.digest, "size": tower.size,
              "mean": _numbers(tower.mean), "std": _numbers(tower.std), "pooling": tower.pooling,
              "model_args": dict(options.model_args) if options else {}, "width": tower.width}  # fmt: skip
    label = model_name(tower.name, tower.digest)
    return SpotEncoder(label, tower.width, lambda batch: tower.encode(batch.images), image_size=tower.size,
                       record=record)  # fmt: skip


def encoder_in_joint(space: JointSpace, of: str, source: Source, gene_table: str | None = None) -> SpotEncoder:
    """Return what makes vectors in a joint space.

    Parameters
    ----------
    of
        "images", "genes" or "text".
    source
        Where the spots are.
    gene_table
        Of symbols and Ensembl ids, for slides that name genes otherwise; without it, the model's own.

    Raises
    ------
    DataError
        If the model has no tower of these.
    """
    if of not in (can := ("images", space.other)):
        raise DataError(f"{space.name}: embeds {' and '.join(can)}, but no {of}; pass of={can[1]!r} (--of {can[1]})")
    label = f"{model_name(space.name, space.digest)}+joint-{of}"
    record = {"space": "joint", "of": of, "weights": space.digest, "width": space.width}
    if of == "images":
        record |= {"size": space.image_size, "mean": _numbers(space.mean), "std": _numbers(space.std)}
        record |= {"encoder": space.encoder.digest} if space.encoder else {}
        return SpotEncoder(label, space.width, lambda batch: space.encode_images(batch.images),
                           image_size=space.image_size, record=record)  # fmt: skip
    inputs = OtherInputs(space, source, gene_table)
    return SpotEncoder(label, space.width, lambda batch: space.encode_other(**inputs(batch)), inputs.columns,
                       inputs.genes, record=record | inputs.record)  # fmt: skip


def encoder_of_vectors(space: JointSpace, path: str, slides: Sequence[str]) -> SpotEncoder:
    """Return what makes vectors of images in a joint space out of vectors of its image encoder that are there.

    Raises
    ------
    DataError
        If the vectors are not of the encoder that made those which the model was trained on.
    """
    config: Any = space.model.config
    found, trained = read_image_vectors(path, slides), config.image_vectors or {}
    other = [key for key in trained if trained[key] != found.made.get(key)]
    if found.width != config.image_width or other:
        why = ", ".join(f"{key} {found.made.get(key)}, not {trained[key]}" for key in other)
        raise DataError(
            f"{path}: has other vectors than those that {space.name} was trained on: "
            f"{why or f'of length {found.width}, not {config.image_width}'}; embed the spots in the same way"
        )
    of_spots = VectorsOfSpots(path, found.embeddings)
    label = f"{model_name(space.name, space.digest)}+joint-images"
    record = {"space": "joint", "of": "images", "weights": space.digest, "width": space.width, "vectors": path}
    return SpotEncoder(label, space.width, lambda batch: space.encode_vectors(of_spots(batch)["vectors"]), (),
                       record=record)  # fmt: skip


def make_encoders(
    source: Source,
    model: str,
    space: str = "tower",
    kinds: Sequence[str] = ("images",),
    device: str | torch.device = "cpu",
    dtype: str = "float32",
    options: TowerOptions | None = None,
    gene_table: str | None = None,
    encoder: str | None = None,
) -> list[SpotEncoder]:
    """Load a model, and return the encoder of each kind; raises as `load_tower` and `encoder_in_joint` do."""
    if space == "tower":
        if encoder is not None:
            raise ValueError(
                "encoder= (--encoder) works only in the joint space: pass space='joint' (--space joint) too"
            )
        if list(kinds) != ["images"] or gene_table is not None:
            raise ValueError(
                "of= (--of) and gene_table= (--gene-table) work only in the joint space: pass space='joint' (--space "
                "joint) too"
            )
        return [encoder_of_tower(load_tower(model, device, dtype, options), options)]
    if options not in (None, TowerOptions()):
        raise ValueError(
            "pooling=, size=, mean=, std= and model_args= are for an image encoder alone; leave them out, as a model "
            "with a joint space sets them itself"
        )
    vectors = encoder if encoder is not None and are_embeddings(encoder) else None
    joint = load_joint(model, device, dtype, encoder, "images" in kinds and vectors is None)
    made = []
    for kind in kinds:
        if kind == "images" and vectors:
            made.append(encoder_of_vectors(joint, vectors, [slide.name for slide in source.catalog.slides]))
        else:
            made.append(encoder_in_joint(joint, kind, source, None if kind == "images" else gene_table))
    return made


def model_name(name: str, digest: str) -> str:
    """Return a model's name for files: the folder's own name or the name on the Hub, and the digest of its weights."""
    bare = name.removeprefix(UNTRAINED)
    folder = Path(bare.removeprefix("local-dir:"))
    own = folder.resolve().name if folder.exists() else bare
    return f"{name[: len(name) - len(bare)]}{own}@{digest[:8]}"


def _numbers(channels: torch.Tensor) -> list[float]:
    """Return what a tower has of 255 as values from 0 to 1."""
    return [round(value / 255, 6) for value in channels.tolist()]
