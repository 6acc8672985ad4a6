"""Which gene towers there are: what a spot's genes express becomes a vector in the joint space."""

from typing import Any

from torch import nn

from .dense_towers import LinearTower, MlpTower, VectorTower
from .set_tower import SetTower

GENE_TOWERS: dict[str, Any] = {"linear": LinearTower, "mlp": MlpTower, "set": SetTower, "vectors": VectorTower}


def make_gene_tower(config: Any) -> nn.Module:
    """Return the gene tower of a `SpotClipConfig`; its ``inputs`` are the names of what its forward takes."""
    return GENE_TOWERS[config.gene_tower](config)
