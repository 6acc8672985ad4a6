"""Tell genes from other features of a matrix: antibodies, guides and peaks."""

from collections.abc import Iterable

import numpy as np

GENES = {"gene expression", "rna", "gex", "gene"}
UNSAID = {"", "nan", "none"}
OTHERS = {"antibody capture", "crispr", "crispr guide capture", "multiplexing capture", "antigen capture", "custom",
          "peaks", "protein", "prot", "adt", "hto", "atac", "antibody"}  # fmt: skip


def are_genes(kinds: Iterable[object]) -> np.ndarray:
    """Return which features are genes, by their types; other types, such as biotypes, do not count.

    If some features have the type gene, the genes are these features and those without a type.
    """
    low = np.array([str(kind).strip().lower() for kind in kinds], object)
    genes = np.isin(low, list(GENES))
    return genes | np.isin(low, list(UNSAID)) if genes.any() else ~np.isin(low, list(OTHERS))
