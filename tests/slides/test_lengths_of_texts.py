"""A damaged length of a text in HDF5 is refused before HDF5 takes as much memory."""

import struct

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from stimage.core.errors import DataError
from stimage.formats.h5ad import read_h5ad
from stimage.formats.imported import ImportOptions
from stimage.slides.counts import count_file


def place_of(path, name: str) -> int:
    """Return where the first reference to a text of a data set is stored."""
    with h5py.File(path) as file:
        data = file[name].id
        return data.get_chunk_info(0).byte_offset if file[name].chunks else data.get_offset()


def lengthen(path, name: str, length: int) -> None:
    at = place_of(path, name)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(struct.pack("<I", length))


def write(path, names=("a", "b")) -> None:
    spots, genes = (pd.Index(some, dtype=object) for some in (["spot 0", "spot 1", "spot 2"], names))
    obs, var = pd.DataFrame(index=spots), pd.DataFrame(index=genes)
    anndata.AnnData(csr_matrix(np.ones((3, len(names)), np.float32)), obs, var).write_h5ad(path)


@pytest.mark.parametrize("name", ["obs/_index", "var/_index"])
@pytest.mark.parametrize("length", [1 << 20, 1 << 31])
def test_counts(tmp_path, name, length):
    write(path := tmp_path / "S_count.h5ad")
    assert count_file.index_rows(str(path)).ids.to_pylist() == ["spot 0", "spot 1", "spot 2"]
    lengthen(path, name, length)
    with pytest.raises(DataError, match=rf"S_count.h5ad: .*{name} says that a text has {length:,} bytes"):
        count_file.index_rows(str(path))


@pytest.mark.parametrize("name", ["obs/_index", "var/_index"])
def test_source(tmp_path, name):
    write(path := tmp_path / "source.h5ad")
    lengthen(path, name, 1 << 30)
    with pytest.raises(DataError, match=r"source.h5ad: .*says that a text has 1,073,741,824 bytes"):
        read_h5ad(path, ImportOptions())


def test_tenx_in_chunks(tmp_path):
    with h5py.File(path := tmp_path / "S_count.h5", "w") as file:
        group, text = file.create_group("matrix"), h5py.string_dtype()
        group.create_dataset("barcodes", data=["AA-1", "AC-1"], dtype=text, chunks=(1,))
        for key in ("id", "name", "feature_type"):
            group.create_dataset(f"features/{key}", data=["Gene Expression"], dtype=text, chunks=(1,))
        for key, values in {"data": [1], "indices": [0], "indptr": [0, 1, 1], "shape": [1, 2]}.items():
            group[key] = np.array(values)
    assert count_file.index_rows(str(path)).ids.to_pylist() == ["AA-1", "AC-1"]
    lengthen(path, "matrix/features/name", 1 << 24)
    with pytest.raises(DataError, match="matrix/features/name says that a text has 16,777,216 bytes"):
        count_file.index_rows(str(path))
