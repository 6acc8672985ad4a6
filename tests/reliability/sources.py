"""Sound slides in each format that is read, as small as they can be, to be damaged file by file."""

import gzip
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
from PIL import Image
from scipy.sparse import csr_matrix, vstack

from tests.formats.annotated import GENES, HEIGHT, WIDTH, picture, slide
from tests.formats.stores import visium
from tests.formats.test_st_tables import Section

LABELS = ("tumour", "stroma, dense")
FACTORS = {"tissue_hires_scalef": 0.5, "tissue_lowres_scalef": 0.25, "spot_diameter_fullres": 22.0}
HEADER = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]
SAVED: dict[str, dict] = {
    "tissue.tif": {"compression": "tiff_lzw"}, "tissue.jpg": {"quality": 95}, "tissue.png": {}, "raw.tif": {},
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A slide's path below a folder, what `add_slide` is told besides, and the folder's files that can be damaged."""

    path: str
    files: tuple[str, ...]
    options: Mapping[str, object] = field(default_factory=dict)

    def arguments(self, folder: Path) -> dict[str, object]:
        """Return the options, with the paths of files below a folder."""
        told = dict(self.options)
        return {name: folder / str(value) if value in self.files else value for name, value in told.items()}


def space_ranger(folder: Path, seed: int, header: bool = True, zipped: bool = False) -> anndata.AnnData:
    """Write ``outs`` without its matrix; return the slide."""
    data = slide(seed)
    spatial = folder / "outs/spatial"
    spatial.mkdir(parents=True)
    x, y = data.obsm["spatial"].T
    columns = [data.obs_names, *(data.obs[name] for name in HEADER[1:4]), y, x]
    table = pd.DataFrame(dict(zip(HEADER, columns)))
    name = "tissue_positions.csv" if header else "tissue_positions_list.csv"
    table.to_csv(spatial / name, index=False, header=header)
    (spatial / "scalefactors_json.json").write_text(json.dumps(FACTORS))
    for name, step in (("hires", 2), ("lowres", 4)):
        Image.fromarray(picture(seed)[::step, ::step]).save(spatial / f"tissue_{name}_image.png")
    for path in list(spatial.iterdir()) if zipped else ():
        gzip_file(path)
    return data


def gzip_file(path: Path) -> None:
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    path.unlink()


def write_matrix(path: Path, data: anndata.AnnData, group: str = "matrix") -> None:
    """Write the spots in tissue as 10x's HDF5, of version 3, or, in a group of another name, of version 2."""
    kept = data[data.obs["in_tissue"] == 1]
    texts = {"id": kept.var["gene_ids"].tolist(), "name": GENES, "feature_type": ["Gene Expression"] * 4}
    if group != "matrix":
        texts = {"genes": texts["id"], "gene_names": GENES}
    with h5py.File(path, "w") as file:
        matrix = file.create_group(group)
        matrix["barcodes"], matrix["shape"] = np.array(kept.obs_names, "S"), np.array([4, kept.n_obs], np.int32)
        for name in ("data", "indices", "indptr"):
            values = getattr(kept.X, name).astype(np.int32)
            matrix.create_dataset(name, data=values, chunks=True, compression="gzip" if group == "matrix" else None)
        for name, values in texts.items():
            matrix[f"features/{name}" if group == "matrix" else name] = np.array(values, "S")


def write_folder(folder: Path, data: anndata.AnnData, features: str = "features.tsv", zipped: bool = True) -> None:
    """Write the spots in tissue as 10x's MatrixMarket files."""
    kept = data[data.obs["in_tissue"] == 1]
    counts, columns = kept.X.T.tocoo(), 3 if features == "features.tsv" else 2
    folder.mkdir(exist_ok=True)
    lines = [f"{r + 1} {c + 1} {int(n)}" for r, c, n in zip(counts.row, counts.col, counts.data)]
    head = ["%%MatrixMarket matrix coordinate integer general", "%", f"4 {kept.n_obs} {len(lines)}"]
    rows = zip(kept.var["gene_ids"], GENES, ["Gene Expression"] * 4)
    for name, text in (
        ("matrix.mtx", [*head, *lines]),
        ("barcodes.tsv", kept.obs_names),
        (features, ["\t".join(row[:columns]) for row in rows]),
    ):
        (folder / name).write_text("\n".join(text) + "\n")
        if zipped:
            gzip_file(folder / name)


def write_image(path: Path, seed: int) -> None:
    Image.fromarray(picture(seed)).save(path, **SAVED[path.name])


def write_tiles(path: Path, seed: int) -> None:
    import pyvips

    image = pyvips.Image.new_from_array(picture(seed))
    image.tiffsave(str(path), tile=True, tile_width=64, tile_height=64, compression="deflate", pyramid=True)


def write_labels(path: Path, data: anndata.AnnData, separator: str = ",", header: str = "Barcode,Region") -> None:
    text = '"' if separator == "," else ""
    rows = [f"{code}{separator}{text}{LABELS[k % 2]}{text}" for k, code in enumerate(data.obs_names)]
    path.write_text("\n".join([header, *rows]) + "\n")


def write_anndata(path: Path, data: anndata.AnnData) -> None:
    path.parent.mkdir(exist_ok=True)
    data.write_h5ad(path)


def first(folder: Path, seed: int) -> None:
    """Space Ranger 1: a group called after the genome, positions without a header."""
    write_matrix(folder / "outs/filtered_gene_bc_matrices_h5.h5", space_ranger(folder, seed, False), "GRCh38")
    write_image(folder / "tissue.png", seed)


def third(folder: Path, seed: int) -> None:
    """Space Ranger 2 and 3, with Loupe's labels."""
    data = space_ranger(folder, seed)
    write_matrix(folder / "outs/filtered_feature_bc_matrix.h5", data)
    write_image(folder / "tissue.jpg", seed)
    write_labels(folder / "labels.csv", data)


def bins(folder: Path, seed: int) -> None:
    """Visium HD: positions in Parquet."""
    write_matrix(folder / "outs/filtered_feature_bc_matrix.h5", space_ranger(folder, seed))
    spatial = folder / "outs/spatial"
    pd.read_csv(spatial / "tissue_positions.csv").to_parquet(spatial / "tissue_positions.parquet", index=False)
    (spatial / "tissue_positions.csv").unlink()
    told = FACTORS | {"bin_size_um": 8.0, "microns_per_pixel": 0.4}
    (spatial / "scalefactors_json.json").write_text(json.dumps(told))
    write_tiles(folder / "tissue.tif", seed)


def zipped_folder(folder: Path, seed: int) -> None:
    write_folder(folder / "outs/filtered_feature_bc_matrix", space_ranger(folder, seed, zipped=True))


def plain_folder(folder: Path, seed: int) -> None:
    """A folder of version 2 of Cell Ranger, with labels out of R."""
    data = space_ranger(folder, seed)
    write_folder(folder / "outs/filtered_feature_bc_matrix", data, "genes.tsv", zipped=False)
    write_image(folder / "raw.tif", seed)
    write_labels(folder / "labels.txt", data, ";", '"x"')


def geo(folder: Path, seed: int) -> None:
    """GEO's files: a sample's name before each, in one folder."""
    zipped_folder(folder, seed)
    outs = folder / "outs"
    for part in ("spatial", "filtered_feature_bc_matrix"):
        for path in (outs / part).iterdir():
            path.rename(outs / f"GSM61775_A_{path.name}")
        (outs / part).rmdir()
    write_image(folder / "tissue.tif", seed)


def bender(folder: Path, seed: int) -> None:
    write_matrix(folder / "outs/mine_cellbender_filtered.h5", space_ranger(folder, seed))


def scanpy(folder: Path, seed: int) -> None:
    data = slide(seed)
    data.obs["region"] = pd.Categorical([LABELS[k % 2] for k in range(data.n_obs)])
    write_anndata(folder / "slide.h5ad", data)
    write_image(folder / "tissue.tif", seed)


def cellxgene(folder: Path, seed: int) -> None:
    """Ids as names, symbols beside them, raw counts in .raw, and the full image in the file."""
    data = slide(seed)
    data.var = pd.DataFrame({"feature_name": GENES}, index=pd.Index(data.var["gene_ids"].tolist(), dtype=object))
    data.raw = data.copy()
    data.X = csr_matrix(np.log1p(data.X.toarray()))
    data.uns["spatial"]["is_single"] = np.bool_(True)
    data.uns["spatial"]["lib"]["images"]["fullres"] = picture(seed)
    write_anndata(folder / "slide.h5ad", data)


def hest(folder: Path, seed: int) -> None:
    data = slide(seed, "ST")
    one = data.uns["spatial"]["ST"]
    one["images"] = {"downscaled_fullres": picture(seed)[::3, ::3]}
    one["scalefactors"] = {"spot_diameter_fullres": 22.0, "tissue_downscaled_fullres_scalef": 1 / 3}
    write_anndata(folder / "st/TENX1.h5ad", data)
    told = {"pixel_size_um_estimated": 2.5, "fullres_px_width": WIDTH, "fullres_px_height": HEIGHT, "patient": None}
    (folder / "metadata").mkdir()
    (folder / "metadata/TENX1.json").write_text(json.dumps(told | {"st_technology": "Visium"}))
    write_tiles(folder / "tissue.tif", seed)


def zellkonverter(folder: Path, seed: int) -> None:
    """R's: counts in a layer by columns, numbers in arrays of one, coordinates in obs and in a table."""
    data = slide(seed)
    x, y = data.obsm["spatial"].T
    data.layers["counts"] = data.X.tocsc()
    data.X = np.log1p(data.X.toarray())
    data.obsm["spatial"] = pd.DataFrame({"pxl_row_in_fullres": y, "pxl_col_in_fullres": x}, index=data.obs_names)
    factors = data.uns["spatial"]["lib"]["scalefactors"]
    data.uns["spatial"]["lib"]["scalefactors"] = {name: np.array([value]) for name, value in factors.items()}
    write_anndata(folder / "slide.h5ad", data)


def several(folder: Path, seed: int) -> None:
    """Two slides in one file, told apart by a column."""
    one, other = slide(seed, "A"), slide(seed + 7, "B")
    both = anndata.concat({"A": one, "B": other}, label="sample", index_unique="-", merge="same", uns_merge="unique")
    both.X = vstack([one.X, other.X], "csr")
    write_anndata(folder / "slide.h5ad", both)


def older(folder: Path, seed: int) -> None:
    """anndata 0.6: tables of records, codes of categories, and the categories in uns."""
    data, texts = slide(seed), h5py.string_dtype()
    with h5py.File(folder / "slide.h5ad", "w") as file:
        matrix = file.create_group("X")
        matrix["data"], matrix["indices"], matrix["indptr"] = data.X.data, data.X.indices, data.X.indptr
        matrix.attrs.update({"h5sparse_format": "csr", "h5sparse_shape": data.shape})
        kind = [("index", "S18"), ("in_tissue", "i8"), ("array_row", "i8"), ("array_col", "i8"), ("region", "i1")]
        names = [name.encode() for name in data.obs_names]
        columns = [data.obs[name] for name in HEADER[1:4]]
        file["obs"] = np.array(list(zip(names, *columns, np.arange(data.n_obs) % 2)), kind)
        file["var"] = np.array([(name.encode(),) for name in GENES], [("index", "S10")])
        file["obsm"] = np.array([(xy,) for xy in data.obsm["spatial"]], [("spatial", "f8", 2)])
        file.create_dataset("uns/region_categories", data=LABELS, dtype=texts)
        for name, value in FACTORS.items():
            file[f"uns/spatial/lib/scalefactors/{name}"] = value
        for name, image in data.uns["spatial"]["lib"]["images"].items():
            file[f"uns/spatial/lib/images/{name}"] = image
    write_image(folder / "raw.tif", seed)


def legacy(folder: Path, seed: int) -> None:
    """Legacy ST: st_pipeline's counts, and the spot detector's places."""
    section = Section(folder)
    section.write_counts()
    section.write_places()


def store(folder: Path, seed: int) -> None:
    """A SpatialData store, of Visium."""
    visium(seed).write(folder / "slide.zarr")


MAKERS: dict[str, tuple[Callable[[Path, int], None], str, dict[str, object]]] = {
    "Space Ranger 1": (first, "outs", {"image": "tissue.png"}),
    "Space Ranger 3, labels": (third, "outs", {"image": "tissue.jpg", "labels": "labels.csv"}),
    "Visium HD": (bins, "outs", {"image": "tissue.tif"}),
    "MatrixMarket, gzip": (zipped_folder, "outs", {}),
    "MatrixMarket, labels": (plain_folder, "outs", {"image": "raw.tif", "labels": "labels.txt"}),
    "GEO": (geo, "outs", {"image": "tissue.tif"}),
    "CellBender": (bender, "outs", {}),
    "AnnData": (scanpy, "slide.h5ad", {"image": "tissue.tif", "labels": "region"}),
    "AnnData 0.6": (older, "slide.h5ad", {"image": "raw.tif", "labels": "region"}),
    "CELLxGENE": (cellxgene, "slide.h5ad", {"layer": "raw"}),
    "HEST": (hest, "st/TENX1.h5ad", {"image": "tissue.tif"}),
    "zellkonverter": (zellkonverter, "slide.h5ad", {"layer": "counts"}),
    "legacy ST": (legacy, "A1_stdata.tsv", {"image": "HE.png", "spot_diameter": 18.0}),
    "SpatialData": (store, "slide.zarr", {}),
    "two slides": (several, "slide.h5ad", {"library": "A"}),
}


def make_source(name: str, folder: Path, seed: int = 0) -> Source:
    """Write a sound slide of a format into a new folder."""
    make, path, options = MAKERS[name]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with pd.option_context("future.infer_string", False):  # anndata does not know the strings of pandas 3
        make(folder, seed)
    files = sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())
    return Source(path, tuple(files), options)
