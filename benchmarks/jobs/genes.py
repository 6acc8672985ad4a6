"""Choosing genes: slide by slide, and by scanpy on the stacked slides. Numbering them."""

import hashlib
import tempfile
from pathlib import Path
from unittest import mock

from benchmarks.jobs import loads
from benchmarks.jobs.reading import read_through

N = 100


@loads("stimage.genes.choosing", "scanpy", "pandas")
def ours(root: str, method: str = "overlap-hvg") -> dict:
    from stimage.genes.choosing import choose_genes
    from stimage.slides.catalog import read_catalog

    return {"genes": sorted(choose_genes(read_catalog(root).slides, method, N).genes)}


@loads("anndata", "scanpy", "pandas")
def scanpy(root: str) -> dict:
    """Read the slides with pandas, stack them, normalise, and choose."""
    import anndata
    import pandas as pd
    import scanpy
    from scipy.sparse import csr_matrix

    slides = []
    for path in _counts(root):
        table = pd.read_csv(path, index_col=0)
        var, obs = pd.DataFrame(index=table.columns.astype(object)), pd.DataFrame(index=table.index.astype(object))
        slides.append(anndata.AnnData(csr_matrix(table.to_numpy("float32")), obs, var))
    stacked = anndata.concat(slides, join="inner")
    scanpy.pp.filter_genes(stacked, min_cells=1)
    scanpy.pp.normalize_total(stacked)
    scanpy.pp.log1p(stacked)
    scanpy.pp.highly_variable_genes(stacked, n_top_genes=N)
    return {"genes": sorted(stacked.var_names[stacked.var["highly_variable"]])}


@loads()
def limit(root: str) -> dict:
    """Read the bytes of the count files, once."""
    return {"lines": sum(map(read_through, _counts(root)))}


@loads("stimage_1k4m", "pandas")
def names_ours(root: str) -> dict:
    """Number all genes of a root of which nothing is in the cache yet."""
    import datasets

    import stimage_1k4m

    with tempfile.TemporaryDirectory() as cache, mock.patch.object(datasets.config, "HF_DATASETS_CACHE", cache):
        return _found(stimage_1k4m.gene_names(root))


@loads("pandas")
def names_pandas(root: str) -> dict:
    """Read each file's header with pandas, and number the genes as they are first met."""
    import pandas as pd

    names: dict[str, None] = {}
    for path in _counts(root):
        names |= dict.fromkeys(pd.read_csv(path, index_col=0, nrows=0).columns)
    return _found(list(names))


@loads()
def names_limit(root: str) -> dict:
    """Read the bytes of each file's first line."""
    return {"bytes": sum(len(path.open("rb").readline()) for path in _counts(root))}


def _found(names: list[str]) -> dict:
    return {"genes": len(names), "digest": hashlib.sha256("\n".join(names).encode()).hexdigest()}


def _counts(root: str) -> list[Path]:
    return sorted(Path(root, "Visium/gene_exp").glob("*_count.csv"))
