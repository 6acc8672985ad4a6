"""Which features of a matrix are genes: the others are antibodies, guides or peaks."""

from collections.abc import Iterable

import numpy as np

GENES = {"gene expression", "rna", "gex", "gene"}
UNSAID = {"", "nan", "none"}
OTHERS = {"antibody capture", "crispr", "crispr guide capture", "multiplexing capture", "antigen capture", "custom",
          "peaks", "protein", "prot", "adt", "hto", "atac", "antibody"}  # fmt: skip


def are_genes(kinds: Iterable[object]) -> np.ndarray:
    """Return which features are genes by their types, whatever else these types may say, such as biotypes.

    Where some features are said to be genes, these are the genes, and those of which no type is said.
    """
    low = np.array([str(kind).strip().lower() for kind in kinds], object)
    genes = np.isin(low, list(GENES))
    return genes | np.isin(low, list(UNSAID)) if genes.any() else ~np.isin(low, list(OTHERS))
