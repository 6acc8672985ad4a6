"""Retrieval: the rank of each spot's own partner among all partners, by cosine similarity."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from stimage.core.errors import DataError
from stimage.scores.intervals import mean_interval

CHUNK = 2048  # rows and columns of similarities held at once
TIE = 1e-6  # of cosine similarity: float32 does not tell nearer ones apart


@dataclass(frozen=True, eq=False)
class Ranks:
    """The rank of each row's partner, 1 being best: of ``a`` in ``b``, and the other way round (both int, n)."""

    a_to_b: np.ndarray
    b_to_a: np.ndarray

    def take(self, rows: np.ndarray) -> "Ranks":
        """Return the ranks of some rows, by number or by a bool for each."""
        return Ranks(self.a_to_b[rows], self.b_to_a[rows])


def retrieval_scores(
    a: np.ndarray | torch.Tensor,
    b: np.ndarray | torch.Tensor,
    groups: Sequence | np.ndarray | None = None,
    ks: Sequence[int] = (1, 5, 10),
    units: Sequence | np.ndarray | None = None,
) -> dict:
    """Score retrieval both ways, exactly, in memory that does not grow with the square of n.

    A tie counts against the model: the rank of a partner is 1 + how many others are as similar (to 1e-6) or more. So
    a model that gives all spots one vector gets the last rank, not the first.

    Parameters
    ----------
    a, b
        Vectors (n, d) of two kinds, such as images and genes; row k of one belongs to row k of the other. Tensors are
        worked on where they are.
    groups
        A group for each row, such as its slide: only partners of the same group are then candidates.
    ks
        Which recalls.
    units
        A name for each row, such as its slide's, study's or patient's: recalls then have intervals over these.

    Returns
    -------
    dict
        ``n``; ``candidates``, their mean number; ``chance``, the recalls of guessing; ``a_to_b`` and ``b_to_a``, each
        with ``recall@k`` and ``median_rank``, and with ``units`` the ``intervals`` of the recalls: see
        `stimage.scores.intervals.mean_interval`.

    Raises
    ------
    DataError
        If the shapes differ, there are no rows, or a value is not finite.
    """
    return score_ranks(retrieval_ranks(a, b, groups), groups, ks, units)


def retrieval_ranks(
    a: np.ndarray | torch.Tensor, b: np.ndarray | torch.Tensor, groups: Sequence | np.ndarray | None = None
) -> Ranks:
    """Return the rank of each row's partner among all of its group: see `retrieval_scores`."""
    a, b = (_unit(values, name) for values, name in ((a, "a"), (b, "b")))
    if a.shape != b.shape or not len(a):
        raise DataError(f"retrieval: a is {tuple(a.shape)} and b {tuple(b.shape)}; both must be (n, d) with n > 0")
    own = _groups(groups, len(a))
    members = [torch.as_tensor(np.flatnonzero(own == group), device=a.device) for group in range(own.max() + 1)]
    ranks = [np.empty(len(a), np.int64) for _ in range(2)]
    for rows in members:
        for found, (queries, candidates) in zip(ranks, ((a, b), (b, a))):
            found[rows.cpu().numpy()] = _ranks(queries[rows], candidates[rows]).cpu().numpy()
    return Ranks(*ranks)


def score_ranks(
    ranks: Ranks,
    groups: Sequence | np.ndarray | None = None,
    ks: Sequence[int] = (1, 5, 10),
    units: Sequence | np.ndarray | None = None,
) -> dict:
    """Score the ranks of partners: see `retrieval_scores`."""
    n = len(ranks.a_to_b)
    own = _groups(groups, n)
    sizes = np.bincount(own)[own]
    return {
        "n": n,
        "candidates": float(sizes.mean()),
        "chance": {f"recall@{k}": float(np.minimum(1, k / sizes).mean()) for k in ks},
        "a_to_b": _summary(ranks.a_to_b, ks, units),
        "b_to_a": _summary(ranks.b_to_a, ks, units),
    }


def _groups(groups: Sequence | np.ndarray | None, n: int) -> np.ndarray:
    own = np.zeros(n, int) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    if len(own) != n:
        raise DataError(f"retrieval: {len(own)} groups for {n} rows; give one for each row")
    return own


def _unit(values: np.ndarray | torch.Tensor, name: str) -> torch.Tensor:
    values = values if isinstance(values, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(values))
    values = values.detach().to(torch.float32)
    if values.ndim != 2 or not torch.isfinite(values).all():
        raise DataError(f"retrieval: {name} must be a table (n, d) of finite numbers")
    return torch.nn.functional.normalize(values, dim=1)


def _ranks(queries: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
    """Return the rank of each query's own candidate, 1 being best (n,)."""
    n = len(queries)
    ranks = torch.ones(n, dtype=torch.int64, device=queries.device)
    least = (queries * candidates).sum(1, keepdim=True) - TIE
    for i in range(0, n, CHUNK):
        for j in range(0, n, CHUNK):
            better = queries[i : i + CHUNK] @ candidates[j : j + CHUNK].T >= least[i : i + CHUNK]
            if i == j:
                better.fill_diagonal_(False)
            ranks[i : i + CHUNK] += better.sum(1)
    return ranks


def _summary(rank: np.ndarray, ks: Sequence[int], units: Sequence | np.ndarray | None) -> dict:
    found = {f"recall@{k}": float((rank <= k).mean()) for k in ks} | {"median_rank": float(np.median(rank))}
    if units is None:
        return found
    return found | {"intervals": {f"recall@{k}": mean_interval(rank <= k, np.asarray(units)) for k in ks}}
