"""A small slide as AnnData whose gene DARK counts how dark its image is under each spot: a wrong place shows."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from stimage.core.errors import DataError
from stimage.formats.imported import ImportedSlide

WIDTH, HEIGHT, PITCH = 420, 300, 40.0
GENES = ["DARK", "EPCAM", "CD3E", "ERBB2"]


def picture(seed: int = 0) -> np.ndarray:
    """Return RGB that is nowhere like itself turned, shifted or scaled."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    shade = 90 + 80 * np.sin((x + 40 * seed) / 53) * np.cos(y / 31 + x / 170)
    return np.stack([shade + 60, shade, shade + 30], -1).astype(np.uint8)


def slide(seed: int = 0, library: str = "lib") -> anndata.AnnData:
    """Return a slide as scanpy reads Visium's, with one spot beside the tissue."""
    rng, image = np.random.default_rng(seed), picture(seed)
    row, column = np.array([(r, c) for r in range(6) for c in range(r % 2, 18, 2)]).T
    x, y = 30 + column * PITCH / 2, 40 + row * PITCH * np.sqrt(3) / 2
    counts = rng.poisson(2, (len(x), len(GENES)))
    counts[:, 0] = 255 - image[y.round().astype(int), x.round().astype(int)].mean(-1).astype(int)
    barcodes = ["".join(rng.choice(list("ACGT"), 16)) + "-1" for _ in x]
    obs = pd.DataFrame({"in_tissue": [0] + [1] * (len(x) - 1), "array_row": row, "array_col": column},
                       index=pd.Index(barcodes, dtype=object))  # fmt: skip
    var = pd.DataFrame({"gene_ids": np.array([f"ENSG{k:011d}" for k in range(len(GENES))], object)},
                       index=pd.Index(GENES, dtype=object))  # fmt: skip
    factors = {"tissue_hires_scalef": 0.5, "tissue_lowres_scalef": 0.25, "spot_diameter_fullres": 22.0}
    images = {"hires": image[::2, ::2] / np.float32(255), "lowres": image[::4, ::4]}
    return anndata.AnnData(csr_matrix(counts.astype(np.float32)), obs, var, obsm={"spatial": np.stack([x, y], 1)},
                           uns={"spatial": {library: {"images": images, "scalefactors": factors}}})  # fmt: skip


def is_right(found: ImportedSlide, image: np.ndarray | None = None, n: int = 53) -> bool:
    """Return if counts of DARK tell the image at the spots."""
    image = picture() if image is None else image
    dark = found.counts[:, found.genes.index("DARK")].toarray()[:, 0]
    seen = 255 - image[found.y.round().astype(int), found.x.round().astype(int)].mean(-1)
    return len(found.barcodes) == n and bool(np.abs(dark - seen).max() <= 2)


def refusal(function, *arguments, **options) -> str:
    with pytest.raises(DataError) as refused:
        function(*arguments, **options)
    return str(refused.value)


def logged(data: anndata.AnnData) -> anndata.AnnData:
    data = data.copy()
    data.X = csr_matrix(np.log1p(data.X.toarray() / 3))
    return data
