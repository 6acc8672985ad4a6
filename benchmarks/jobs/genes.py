"""Choosing genes: slide by slide, and by scanpy on the stacked slides."""

from pathlib import Path

from benchmarks.jobs import loads
from benchmarks.jobs.reading import read_through

N = 100


@loads("stimage.processing.select_genes", "scanpy", "pandas")
def ours(root: str, method: str = "overlap-hvg") -> dict:
    from stimage.processing.select_genes import select_genes
    from stimage.slides import read_catalog

    return {"genes": sorted(select_genes(read_catalog(root).slides, method, N).genes)}


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


def _counts(root: str) -> list[Path]:
    return sorted(Path(root, "Visium/gene_exp").glob("*_count.csv"))
