"""A folder laid out as HEST-1k is, with small samples whose gene DARK counts how dark the image is under each spot."""

import csv
import json
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pyvips
from scipy.sparse import csr_matrix

from tests.formats.annotated import GENES, HEIGHT, PITCH, WIDTH, picture

UM_PER_PX = 2.5  # 40 px are 100 µm
HEST_KEYS = ("dataset_title", "id", "organ", "disease_state", "oncotree_code", "species", "patient", "st_technology",
             "study_link", "inter_spot_dist", "spot_diameter", "spots_under_tissue", "nb_genes",
             "pixel_size_um_embedded", "pixel_size_um_estimated", "fullres_px_width", "fullres_px_height")  # fmt: skip


def sample(seed: int = 0, tech: str = "Visium") -> anndata.AnnData:
    """Return spots as st/ID.h5ad has them: a hexagonal lattice of Visium, or squares side by side."""
    rng, image, visium = np.random.default_rng(seed), picture(seed), tech == "Visium"
    rows, columns = (6, 18) if visium else (6, 9)
    grid = np.array([(r, c) for r in range(rows) for c in range(r % 2 if visium else 0, columns, 2 if visium else 1)])
    row, column = grid.T
    x = 30 + column * (PITCH / 2 if visium else PITCH)
    y = 40 + row * (PITCH * np.sqrt(3) / 2 if visium else PITCH)
    counts = rng.poisson(2, (len(x), len(GENES)))
    counts[:, 0] = 255 - image[y.round().astype(int), x.round().astype(int)].mean(-1).astype(int)
    barcodes = ["".join(rng.choice(list("ACGT"), 16)) + "-1" if visium else f"{c}x{r}" for r, c in grid.tolist()]
    obs = pd.DataFrame({"in_tissue": 1, "pxl_col_in_fullres": x, "pxl_row_in_fullres": y, "array_row": row,
                        "array_col": column}, index=pd.Index(barcodes, dtype=object))  # fmt: skip
    diameter = {"Visium": 22.0, "Spatial Transcriptomics": 20.0}.get(tech, PITCH)
    factors = {"tissue_downscaled_fullres_scalef": 1 / 3, "spot_diameter_fullres": diameter}
    one = {"images": {"downscaled_fullres": image[::3, ::3]}, "scalefactors": factors}
    var = pd.DataFrame(index=pd.Index(GENES, dtype=object))
    return anndata.AnnData(csr_matrix(counts.astype(np.float32)), obs, var, obsm={"spatial": np.stack([x, y], 1)},
                           uns={"spatial": {"ST": one}})  # fmt: skip


def metadata(name: str, data: anndata.AnnData, tech: str = "Visium", **told) -> dict:
    """Return what metadata/ID.json says; a value of None leaves its key out."""
    pitch = {"Spatial Transcriptomics": 200.0}.get(tech, 100.0)
    usual = {"dataset_title": "A study, of breast", "id": name, "organ": "Breast", "disease_state": "Cancer",
             "oncotree_code": "IDC", "species": "Homo sapiens", "patient": "Patient 1", "st_technology": tech,
             "study_link": "https://pubmed.ncbi.nlm.nih.gov/123456/", "inter_spot_dist": pitch,
             "spot_diameter": {"Visium": 55.0, "Spatial Transcriptomics": 100.0}.get(tech, 100.0),
             "spots_under_tissue": data.n_obs, "nb_genes": data.n_vars, "pixel_size_um_embedded": float("nan"),
             "pixel_size_um_estimated": pitch / PITCH, "fullres_px_width": WIDTH,
             "fullres_px_height": HEIGHT, "treatment_comment": None}  # fmt: skip
    return {key: value for key, value in (usual | told).items() if value is not None}


def write_sample(
    folder: Path, name: str, data: anndata.AnnData | None = None, tech: str = "Visium", seed: int = 0, **told
) -> anndata.AnnData:
    """Write a sample's files into a folder of HEST's, with what others there are; return its spots."""
    data = sample(seed, tech) if data is None else data
    for part in ("st", "wsis", "metadata", "patches", "cellvit_seg", "thumbnails"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    data.write_h5ad(folder / f"st/{name}.h5ad")
    (folder / f"metadata/{name}.json").write_text(json.dumps(metadata(name, data, tech, **told)))
    image = pyvips.Image.new_from_array(picture(seed))
    image.tiffsave(str(folder / f"wsis/{name}.tif"), tile=True, tile_width=64, tile_height=64, pyramid=True,
                   compression="deflate")  # fmt: skip
    with h5py.File(folder / f"patches/{name}.h5", "w") as file:
        file["img"] = np.zeros((3, 8, 8, 3), np.uint8)
    (folder / f"cellvit_seg/{name}_cellvit_seg.geojson").write_text("[]")
    (folder / f"thumbnails/{name}_downscaled_fullres.jpeg").write_bytes(b"")
    return data


def write_table(folder: Path, *told: dict, name: str = "HEST_v1_1_0.csv") -> None:
    """Write the table of samples, with its byte order mark."""
    with (folder / name).open("w", newline="", encoding="utf-8-sig") as file:
        table = csv.DictWriter(file, HEST_KEYS, restval="", extrasaction="ignore")
        table.writeheader()
        table.writerows(told)
