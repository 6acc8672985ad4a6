"""The gene tower of sets: any slide's genes, several thousand per spot, weighted by their counts."""

from typing import Any

import torch
from torch import nn
from transformers import initialization as init

from .dense_towers import Head

SCALE = 1e4  # counts of a spot of average genes are scaled to, as scanpy's normalize_total(target_sum=1e4)


class SetTower(nn.Module):
    """Gene embeddings, weighted by counts and pooled by attention over the genes that a slide measured.

    The level of gene g in a spot is log(1 + c), where c is its count after all counts are scaled to one total. The
    total is over the measured genes, so a slide that lacks genes is scaled like one that has them. The pooled values
    are (level - mean) times the gene's embedding: a measured gene without a count is below its mean, and an unmeasured
    gene adds nothing. Levels are not divided by their spread: genes of few counts, whose spread is mostly noise, would
    weigh as much as the others. Each head has its weights, the softmax over the measured genes of one score per gene:
    the product of the gene's embedding with the head's query.

    No array of the size spots x genes x width is ever made. The order of the genes does not matter.

    Parameters
    ----------
    config
        ``genes``, by name; ``gene_width``, the width of an embedding; ``gene_heads``, which divides it; ``latent_dim``.
    """

    inputs: tuple[str, ...] = ("gene_ids", "counts", "measured")
    share: torch.Tensor
    mean: torch.Tensor

    def __init__(self, config: Any):
        super().__init__()
        genes, width, self.heads = len(config.genes), config.gene_width, config.gene_heads
        if width % self.heads:
            raise ValueError(f"gene_width: is {width}, which {self.heads} heads can't share evenly")
        self.embeddings = nn.Embedding(genes, width)
        self.queries = nn.Linear(width, self.heads, bias=False)
        self.head = Head(width, config.latent_dim)
        for name in ("share", "mean"):
            self.register_buffer(name, torch.empty(genes))
        self.begin()

    def begin(self) -> None:
        """Set the first values of a new tower, unless a checkpoint has them."""
        init.normal_(self.embeddings.weight)
        init.normal_(self.queries.weight, std=0.02)  # all genes weigh nearly alike
        init.constant_(self.share, 1 / max(1, len(self.share)))
        init.zeros_(self.mean)

    def forward(self, gene_ids: torch.Tensor, counts: torch.Tensor, measured: torch.Tensor) -> torch.Tensor:
        """Embed n spots.

        Parameters
        ----------
        gene_ids
            Places of genes among ``config.genes`` (int64, n x most), each once, padded with -1, in any order.
        counts
            Their raw counts (float, n x most).
        measured
            Which genes were measured (bool, n x genes).

        Returns
        -------
        torch.Tensor
            n x latent_dim.
        """
        with torch.autocast(gene_ids.device.type, enabled=False):  # differences of large sums
            pooled = self.pooled(gene_ids, self.levels(gene_ids, counts, measured), measured)
        return self.head(pooled)

    def of_levels(self, level: torch.Tensor) -> torch.Tensor:
        """Embed n spots by the levels of all genes (n x genes), log(1 + counts per ten thousand): n x latent_dim."""
        places = torch.arange(level.shape[1], device=level.device).expand_as(level)
        return self.head(self.pooled(places, level, torch.ones_like(level, dtype=torch.bool)))

    def levels(self, gene_ids: torch.Tensor, counts: torch.Tensor, measured: torch.Tensor) -> torch.Tensor:
        """Return the level of each count (n x most), which does not depend on a spot's depth; 0 where there is none."""
        known = (gene_ids >= 0) & measured.gather(1, gene_ids.clamp_min(0))
        counts = counts.float() * known
        total = counts.sum(1, keepdim=True).clamp_min(1e-12)
        return torch.log1p(SCALE * (measured.float() @ self.share.float())[:, None] * counts / total)

    def pooled(self, gene_ids: torch.Tensor, level: torch.Tensor, measured: torch.Tensor) -> torch.Tensor:
        """Return the pooled embeddings (n x gene_width) of genes with these levels."""
        table = self.embeddings.weight
        genes, width = table.shape
        scores = self.queries(table) * width**-0.5
        weight = (scores - scores.max(0).values.detach()).exp()  # genes x heads
        weighted = (weight[:, :, None] * table.reshape(genes, self.heads, -1)).reshape(genes, width)
        places = gene_ids.clamp_min(0)
        seen = nn.functional.embedding_bag(places, weighted, mode="sum", per_sample_weights=level.to(table.dtype))
        known = measured.to(table.dtype)
        usual = known @ (weighted * self.mean[:, None])  # of a spot whose genes are all at their means
        total = (known @ weight).clamp_min(1e-12).repeat_interleave(width // self.heads, 1)
        return (seen - usual) / total * genes**0.5
