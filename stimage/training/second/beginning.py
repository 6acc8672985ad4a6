"""What a new gene tower begins with: its genes, embeddings out of a table, and the statistics of the training spots."""

from collections.abc import Iterator
from typing import Any

import torch

from stimage.core.errors import DataError
from stimage.towers.reading import read_beside
from stimage.towers.two_towers import TwoTowers, renew_gene_tower
from stimage.training.checkpoints import RECORD
from stimage.training.second.gene_embeddings import known_embeddings, read_gene_embeddings
from stimage.training.second.sentences import Sentences
from stimage.training.second.spot_tables import SecondInput
from stimage.training.second.statistics import Blocks, fit_gene_tower
from stimage.training.settings.groups import Settings
from stimage.training.settings.reading import read_record

WIDTH, HEADS = 128, 8  # of gene embeddings


def known_genes(towers: TwoTowers) -> tuple[str, ...] | None:
    """Return the genes that a gene tower knows since it was trained before; None of a new one."""
    return tuple(towers.model.config.genes) if towers.tuned else None


def begin_second(towers: TwoTowers, settings: Settings, other: SecondInput, blocks: Blocks, fit: bool) -> Iterator[str]:
    """Give a new second tower what is known once the spots are loaded; one that was trained before stays as it is.

    Parameters
    ----------
    other, blocks
        Of the training spots: what makes the tower's input, and this input, some spots at a time.
    fit
        Whether to find the statistics of the training spots.

    Yields
    ------
    str
        Lines to be printed.

    Raises
    ------
    DataError
        If the table of gene embeddings does not fit, vectors have another length than a tower takes, or counts are to
        be normalised otherwise than a tower was trained.
    """
    own, config = settings.towers, towers.model.config
    yield from other.notes
    if isinstance(other, Sentences):
        config.sentence_genes = other.rule.k  # for whoever makes sentences for this model
        return
    width = getattr(other, "width", 0)
    if towers.tuned:
        _check_normalisation(settings)
        if own.gene_embeddings:
            raise DataError(
                f"towers.gene_embeddings: is given, but {own.image} already has embeddings of genes; leave this "
                "setting out"
            )
        if width and config.vector_width != width:
            raise DataError(
                f"{own.image}: takes vectors of length {config.vector_width}, but those of {settings.vectors} have "
                f"length {width}; pass vectors of the model that it was trained with"
            )
        return
    if own.second == "set":
        yield from _begin_set(towers, settings, other.genes)
    elif own.second == "vectors":
        renew_gene_tower(towers, vector_width=width)
    if own.standardise and fit:
        fit_gene_tower(towers.model.gene_tower, blocks)


def _check_normalisation(settings: Settings) -> None:
    """Refuse another normalisation than that whose statistics a panel's tower has, where its settings.json says it."""
    image, asked = settings.towers.image, settings.data.normalise
    if not settings.takes_panel or (said := read_beside(image, RECORD)) is None:
        return
    try:
        before = read_record(said).get("data.normalise", asked)
    except ValueError:
        raise DataError(f"{image}: its {RECORD} is damaged; get the whole folder") from None
    if before != asked:
        raise DataError(
            f"data.normalise: is {asked}, but {image} was trained with data.normalise={before}, and its mean and std "
            f"are for that; pass data.normalise={before}, or the checkpoint that it was tuned from"
        )


def _begin_set(towers: TwoTowers, settings: Settings, genes: tuple[str, ...]) -> Iterator[str]:
    path, asked = settings.towers.gene_embeddings, settings.towers.gene_width
    names, vectors = read_gene_embeddings(path) if path else ([], None)
    width = asked or WIDTH if vectors is None else vectors.shape[1]
    if asked not in (None, width):
        raise DataError(
            f"towers.gene_width: is {asked}, but {path} has embeddings of width {width}; leave this setting out"
        )
    heads = max(n for n in range(1, HEADS + 1) if width % n == 0)
    renew_gene_tower(towers, genes=list(genes), gene_width=width, gene_heads=heads)
    if path is None or vectors is None:
        return
    places = known_embeddings(path, names, genes)
    found = torch.from_numpy(places >= 0)
    scale = max(float((vectors**2).mean() ** 0.5), 1e-12)  # the others' numbers have a mean square of 1
    embeddings: Any = towers.model.gene_tower.embeddings
    with torch.no_grad():
        embeddings.weight[found] = torch.from_numpy(vectors[places[places >= 0]] / scale)
    yield (f"{path}: has {int(found.sum()):,} of {len(genes):,} genes ({found.float().mean():.0%}); the embeddings of "
           "the others begin at random")  # fmt: skip
