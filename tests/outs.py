"""A folder as Space Ranger leaves it, written by hand, with the full-resolution image that it was given."""

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from PIL import Image
from scipy.sparse import csr_matrix

PITCH, GENES = 80.0, 40
COLUMNS = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]


def write_outs(folder: Path, seed: int = 0, side: int = 8) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write ``folder``/outs and ``folder``/tissue.tif; return counts and positions, by barcode, of spots in tissue."""
    rng = np.random.default_rng(seed)
    spatial = folder / "outs/spatial"
    spatial.mkdir(parents=True)
    row, column = np.array([(r, c) for r in range(side) for c in range(r % 2, 2 * side, 2)]).T
    y, x = 100 + row * PITCH * np.sqrt(3) / 2, 100 + column * PITCH / 2
    barcodes = ["".join(rng.choice(list("ACGT"), 16)) + "-1" for _ in row]
    in_tissue = (rng.random(len(row)) < 0.9).astype(int)
    table = pd.DataFrame(dict(zip(COLUMNS, (barcodes, in_tissue, row, column, y, x))))
    table.to_csv(spatial / "tissue_positions.csv", index=False)
    factors = {"tissue_hires_scalef": 0.5, "tissue_lowres_scalef": 0.1, "spot_diameter_fullres": 0.65 * PITCH}
    (spatial / "scalefactors_json.json").write_text(json.dumps(factors))
    pixels = rng.integers(60, 220, (int(y.max()) + 100, int(x.max()) + 100, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "tissue.tif")
    Image.fromarray(pixels).reduce(2).save(spatial / "tissue_hires_image.png")
    kept = table[table["in_tissue"] == 1].sample(frac=1, random_state=seed).set_index("barcode")
    counts = rng.poisson(rng.gamma(1, 2, (1, GENES)), (len(kept), GENES))
    names = ["ERBB2", "ERBB2", *(f"GENE{i}" for i in range(2, GENES))]  # 10x's symbols are not unique
    write_matrix(folder / "outs/filtered_feature_bc_matrix.h5", csr_matrix(counts), kept.index, names)
    return pd.DataFrame(counts, kept.index, names), kept


def write_matrix(path: Path, counts: csr_matrix, barcodes: pd.Index, names: list[str]) -> None:
    """Write 10x's HDF5: a matrix of features x barcodes in CSC form, which is ours in CSR."""
    n = len(names)
    features = {"id": [f"ENSG{i:011d}" for i in range(n)], "name": names, "feature_type": ["Gene Expression"] * n,
                "genome": ["GRCh38"] * n}  # fmt: skip
    with h5py.File(path, "w") as file:
        matrix = file.create_group("matrix")
        matrix["barcodes"], matrix["shape"] = np.array(barcodes, "S"), np.array([n, len(barcodes)], np.int32)
        matrix["data"], matrix["indices"], matrix["indptr"] = counts.data, counts.indices, counts.indptr
        for key, values in features.items():
            matrix[f"features/{key}"] = np.array(values, "S")
