"""Objectives: how well images and their partners meet, as pure functions of the embeddings of n spots.

All embeddings have unit length (n x d); row i of one belongs to row i of the other. ``near`` (n x n, bool) marks pairs
that are no negatives of each other: neighbours on the tissue look and express alike. None marks no pair.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log

import torch
from torch.nn.functional import cross_entropy, logsigmoid, normalize

from stimage.towers.two_towers import CLIP_SCALARS
from stimage.training.settings.groups import Settings

SIGLIP_SCALE, SIGLIP_BIAS = log(10), -10.0  # as SigLIP begins
PLACES = ("row", "slide", "place")  # what batches have for an objective alone


def clip_loss(
    images: torch.Tensor, others: torch.Tensor, scale: torch.Tensor, near: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the symmetric cross-entropy of n pairs, each the other's negatives (Radford et al., ICML 2021)."""
    logits = _apart(scale.exp() * images @ others.T, near)
    target = torch.arange(len(images), device=images.device)
    return (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2


def siglip_loss(
    images: torch.Tensor,
    others: torch.Tensor,
    scale: torch.Tensor,
    bias: torch.Tensor,
    near: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the sigmoid loss of n pairs: each of the n x n is told apart by itself (Zhai et al., ICCV 2023)."""
    logits = scale.exp() * images @ others.T + bias
    right = 2 * torch.eye(len(images), device=images.device) - 1
    losses = -logsigmoid(right * logits)
    return (losses if near is None else losses.masked_fill(near, 0)).sum() / len(images)


def soft_loss(
    images: torch.Tensor,
    others: torch.Tensor,
    scale: torch.Tensor,
    expression: torch.Tensor,
    near: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the symmetric cross-entropy against targets by similar expression (after BLEEP: Xie et al., NeurIPS 2023).

    The target of a pair is the softmax, at the temperature of the logits, of the correlation of both spots' expression
    (n x genes), each gene standardised over the batch. BLEEP takes the similarity of embeddings in its place, which
    change while they are learned.
    """
    like = normalize(_standardised(_standardised(expression.to(images.dtype), 0), 1), dim=1)
    targets = _apart(scale.exp().detach() * like @ like.T, near).softmax(1)
    logits = _apart(scale.exp() * images @ others.T, near)
    return (_soft(logits, targets) + _soft(logits.T, targets)) / 2


@dataclass(frozen=True)
class Objective:
    """What is minimised.

    Attributes
    ----------
    kind
        "clip", "siglip" or "soft".
    neighbour_um
        Spots of one slide that are at most so far apart are no negatives; None takes all as negatives, but a spot that
        is drawn twice, which never is its own.
    """

    kind: str = "clip"
    neighbour_um: float | None = None

    @property
    def scalars(self) -> tuple[float, float | None]:
        """First values of the logit scale and the logit bias; None is no bias."""
        return (SIGLIP_SCALE, SIGLIP_BIAS) if self.kind == "siglip" else CLIP_SCALARS

    def needs(self, batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return what of a batch the loss is taken over, beside embeddings."""
        names = [*PLACES, *(["expression"] if self.kind == "soft" else [])]
        return {name: batch[name] for name in names if name in batch}

    def __call__(
        self, images: torch.Tensor, others: torch.Tensor, scalars: list[torch.Tensor], told: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """Return the loss of n pairs.

        Parameters
        ----------
        scalars
            The logit scale, and of "siglip" the logit bias.
        told
            What `needs` gave, of the same n spots: ``row`` in the data set, ``slide`` by number, ``place`` (n x 2, in
            µm), ``expression``.
        """
        near = near_pairs(told, self.neighbour_um)
        if self.kind == "siglip":
            return siglip_loss(images, others, scalars[0], scalars[1], near)
        if self.kind == "soft":
            return soft_loss(images, others, scalars[0], told["expression"], near)
        return clip_loss(images, others, scalars[0], near)


def objective_of(settings: Settings) -> Objective:
    """Return the objective that a run's settings ask for."""
    return Objective(settings.loss.objective, settings.loss.neighbour_um)


def near_pairs(told: Mapping[str, torch.Tensor], neighbour_um: float | None) -> torch.Tensor | None:
    """Return which pairs (n x n) are no negatives: one spot drawn twice, and neighbours; a pair itself is none."""
    if "row" not in told:
        return None
    near = told["row"][:, None] == told["row"]
    if neighbour_um is not None:
        place = told["place"].double()
        near |= (told["slide"][:, None] == told["slide"]) & (torch.cdist(place, place) <= neighbour_um)
    return near.fill_diagonal_(False)


def _apart(logits: torch.Tensor, near: torch.Tensor | None) -> torch.Tensor:
    return logits if near is None else logits.masked_fill(near, -torch.inf)


def _soft(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return -torch.where(targets > 0, targets * logits.log_softmax(1), 0).sum(1).mean()


def _standardised(values: torch.Tensor, dim: int) -> torch.Tensor:
    centred = values - values.mean(dim, keepdim=True)
    return centred / centred.std(dim, keepdim=True, unbiased=False).clamp_min(1e-6)
