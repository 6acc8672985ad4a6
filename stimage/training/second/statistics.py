"""Means, and standard deviations, of what a gene tower takes, over the training spots, a block at a time."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from stimage.towers.joint.set_tower import SetTower

Blocks = Callable[[], Iterator[Mapping[str, torch.Tensor]]]
CONSTANT = 1e-6  # of a mean: less varies by rounding alone


@torch.no_grad()
def fit_gene_tower(tower: Any, blocks: Blocks) -> None:
    """Set the statistics by which a gene tower standardises; every process finds the same.

    Parameters
    ----------
    tower
        Of `make_gene_tower`.
    blocks
        Gives the inputs of all training spots, some at a time and in one order; a tower of sets asks twice.
    """
    if isinstance(tower, SetTower):
        _fit_shares(tower, blocks)
        tower.mean.copy_(torch.from_numpy(_mean_levels(tower, blocks)))
        return
    mean, variance = _of_columns(part[tower.inputs[0]].double().numpy() for part in blocks())
    tower.mean.copy_(torch.from_numpy(mean))
    tower.std.copy_(torch.from_numpy(_divisor(mean, variance)))


def _divisor(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return standard deviations; 1 where nothing varies."""
    std = np.sqrt(variance.clip(min=0))
    return np.where(std > CONSTANT * np.abs(mean), std, 1.0)


def _of_columns(blocks: Iterator[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of each column of blocks of rows, after Chan et al. (COMPSTAT 1982)."""
    n, mean, squares = 0, np.zeros(1), np.zeros(1)
    for rows in blocks:
        own, m = rows.mean(0), len(rows)
        squares = squares + ((rows - own) ** 2).sum(0) + (own - mean) ** 2 * (n * m / (n + m))
        mean = mean + (own - mean) * (m / (n + m))
        n += m
    return mean, squares / n


def _fit_shares(tower: SetTower, blocks: Blocks) -> None:
    """Set each gene's share of a spot's counts, over the spots whose slides measured it."""
    genes = len(tower.share)
    share, spots = np.zeros(genes), np.zeros(genes)
    for part in blocks():
        counts = part["counts"].double()
        _add(share, part["gene_ids"], counts / counts.sum(1, keepdim=True).clamp_min(1e-12))
        spots += part["measured"].sum(0).numpy()
    share = np.divide(share, spots, out=np.zeros(genes), where=spots > 0)
    if share.sum() > 0:
        tower.share.copy_(torch.from_numpy(share / share.sum()))


def _mean_levels(tower: SetTower, blocks: Blocks) -> np.ndarray:
    """Return the mean of each gene's level, over the spots whose slides measured it."""
    genes = len(tower.share)
    total, spots = np.zeros(genes), np.zeros(genes)
    for part in blocks():
        _add(total, part["gene_ids"], tower.levels(part["gene_ids"], part["counts"], part["measured"]).double())
        spots += part["measured"].sum(0).numpy()
    return total / spots.clip(min=1)


def _add(sums: np.ndarray, gene_ids: torch.Tensor, values: torch.Tensor) -> None:
    """Add values to the sums of their genes; -1 is none."""
    known = gene_ids >= 0
    sums += np.bincount(gene_ids[known].numpy(), values[known].numpy(), len(sums))
