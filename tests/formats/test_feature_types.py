"""Which features are genes: one rule, whether a matrix is 10x Genomics' HDF5, its folder, or an AnnData."""

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from stimage.core.errors import DataError
from stimage.formats.annotated.counts import kept_features
from stimage.formats.tenx.matrices import read_genes

NAMES = ["ERBB2", "KRT8", "CD3"]
KINDS = {
    ("Gene Expression", "Gene Expression", "Antibody Capture"): ["ERBB2", "KRT8"],
    ("Gene Expression", "", "Antibody Capture"): ["ERBB2", "KRT8"],
    ("GEX", "rna", "ADT"): ["ERBB2", "KRT8"],
    ("protein_coding", "lncRNA", "Antibody Capture"): ["ERBB2", "KRT8"],
    ("", "", ""): NAMES,
    ("Gene Expression", "Peaks", "protein_coding"): ["ERBB2"],
    ("Antibody Capture", "Peaks", "Custom"): None,
}


def as_h5(path, kinds):
    counts = csr_matrix(np.ones((2, 3), np.int32))
    with h5py.File(path / "m.h5", "w") as file:
        group = file.create_group("matrix")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(counts, name)
        group["shape"], group["barcodes"] = np.array([3, 2]), np.array(["A-1", "B-1"], "S")
        for name, texts in (("id", NAMES), ("name", NAMES), ("feature_type", kinds)):
            group[f"features/{name}"] = np.array(texts, h5py.string_dtype())
    return read_genes({"h5": path / "m.h5"})[0].names.tolist()


def as_folder(path, kinds):
    texts = {
        "matrix": "%%MatrixMarket matrix coordinate integer general\n3 2 1\n1 1 5\n",
        "barcodes": "A-1\nB-1\n",
        "features": "".join(f"{name}\t{name}\t{kind}\n" for name, kind in zip(NAMES, kinds)),
    }
    for name, text in texts.items():
        (path / name).write_text(text)
    return read_genes({name: path / name for name in texts})[0].names.tolist()


def as_anndata(path, kinds):
    var = pd.DataFrame({"feature_types": list(kinds)}, index=NAMES)
    data = anndata.AnnData(csr_matrix(np.ones((2, 3), np.float32)), var=var)
    kept = kept_features(data.var, None, "S")[0]
    return data.var_names[kept].tolist()


@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("read", [as_h5, as_folder, as_anndata])
def test_genes_are_told_by_one_rule(tmp_path, read, kinds):
    if KINDS[kinds] is None:
        with pytest.raises(DataError, match="has no feature of type Gene Expression, but"):
            read(tmp_path, kinds)
    else:
        assert read(tmp_path, kinds) == KINDS[kinds]
