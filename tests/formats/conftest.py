"""Slides of AnnData and of Space Ranger, to be read; anndata is imported where it is wanted, as it takes seconds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.outs import write_outs


@pytest.fixture
def old_strings():
    """Let anndata write tables: it does not know the strings of pandas 3."""
    with pd.option_context("future.infer_string", False):
        yield


@pytest.fixture
def tissue(tmp_path) -> Path:
    from tests.formats.annotated import picture

    Image.fromarray(picture()).save(tmp_path / "tissue.tif")
    return tmp_path / "tissue.tif"


@pytest.fixture
def read(tmp_path, tissue):
    """Write an AnnData, and read it with the full image; in memory, it must come out the same."""
    from stimage.formats.h5ad import from_anndata, read_h5ad
    from stimage.formats.imported import ImportOptions

    def of(data, image: Path | None = tissue, **options):
        data.write_h5ad(tmp_path / "slide.h5ad")
        found = read_h5ad(tmp_path / "slide.h5ad", ImportOptions(image, **options))
        again = from_anndata(data, ImportOptions(image, **options))
        assert np.array_equal(found.x, again.x) and (found.counts != again.counts).nnz == 0
        assert (found.genes, found.barcodes, found.left_out) == (again.genes, again.barcodes, again.left_out)
        return found

    return of


@pytest.fixture
def outs(tmp_path):
    write_outs(tmp_path)
    return tmp_path / "outs"
