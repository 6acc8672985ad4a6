"""Space Ranger's folder in each form that it comes in, and what is read of it."""

import gzip
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix, vstack

from stimage.core.errors import DataError
from stimage.formats.imported import ImportedSlide, ImportOptions
from stimage.formats.large.file_counts import count_blocks
from stimage.formats.tenx.space_ranger import read_space_ranger

H5, POSITIONS, FACTORS = (
    "filtered_feature_bc_matrix.h5",
    "spatial/tissue_positions.csv",
    "spatial/scalefactors_json.json",
)
HIRES = "spatial/tissue_hires_image.png"


def read(outs: Path, **options) -> ImportedSlide:
    """Read a folder, and its counts at once: tests change the files."""
    found = read_space_ranger(outs, ImportOptions(image=outs.parent / "tissue.tif", **options))
    return replace(found, counts=counts_of(found))


def counts_of(found: ImportedSlide) -> csr_matrix:
    """Return all counts, in memory."""
    places = np.arange(len(found.genes))
    return vstack([rows.sparse(places, len(places)) for rows in count_blocks(found.counts)], "csr")


def told(found: ImportedSlide) -> dict[str, tuple]:
    """Return by barcode where a spot is and what its counts are, by gene id."""
    ids, counts = found.gene_ids, counts_of(found).toarray().astype(int)
    return {
        spot: (x, y, dict(zip(ids, row.tolist()))) for spot, x, y, row in zip(found.barcodes, found.x, found.y, counts)
    }


def refused(outs: Path, **options) -> str:
    with pytest.raises(DataError) as error:
        read(outs, **options)
    return str(error.value)


def change(path: Path, how: Callable[[h5py.Group], None]) -> None:
    with h5py.File(path, "a") as file:
        how(file["matrix"])


def put(group: h5py.Group, name: str, values) -> None:
    values = np.array(values)
    del group[name]
    group[name] = values.astype("S") if values.dtype.kind == "U" else values


def texts(group: h5py.Group, name: str) -> list[str]:
    return [one.decode() for one in group[name][:]]


def as_folder(outs: Path, name="filtered_feature_bc_matrix", turned=False, unzip=False, columns=3) -> Path:
    """Make MatrixMarket files of the HDF5 file."""
    (outs / name).mkdir()
    with h5py.File(outs / H5) as file:
        m = file["matrix"]
        features = zip(*(texts(m["features"], key) for key in ("id", "name", "feature_type")[:columns]))
        barcodes, shape, indptr = texts(m, "barcodes"), m["shape"][:].tolist(), m["indptr"][:].tolist()
        data, indices = m["data"][:].tolist(), m["indices"][:].tolist()
    pairs = [(indices[k] + 1, j + 1, data[k]) for j in range(len(barcodes)) for k in range(indptr[j], indptr[j + 1])]
    rows = [(b, a, n) if turned else (a, b, n) for a, b, n in pairs]
    head = [
        "%%MatrixMarket matrix coordinate integer general",
        f"{' '.join(map(str, shape[:: -1 if turned else 1]))} {len(rows)}",
    ]
    parts = {
        "matrix.mtx": [*head, *(" ".join(map(str, row)) for row in rows)],
        "barcodes.tsv": barcodes,
        "genes.tsv" if columns == 2 else "features.tsv": ["\t".join(row) for row in features],
    }
    for part, lines in parts.items():
        content = ("\n".join(lines) + "\n").encode()
        path = outs / name / (part if unzip else f"{part}.gz")
        path.write_bytes(content if unzip else gzip.compress(content))
    (outs / H5).unlink()
    return outs / name


def zipped(path: Path, name: str) -> None:
    path.with_name(name).write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def geo(outs: Path) -> None:
    for path in [*as_folder(outs).iterdir(), *(outs / "spatial").iterdir()]:
        path.rename(outs / f"GSM61775_A_{path.name}")
    for path in outs.glob("GSM*[!z]"):
        zipped(path, f"{path.name}.gz")
    (outs / "spatial").rmdir()
    shutil.rmtree(outs / "filtered_feature_bc_matrix")


def geo_in_spatial(outs: Path) -> None:
    for path in [*(outs / "spatial").iterdir()]:
        zipped(path, f"{path.name}.gz")


def version_2(outs: Path, name: str = "GRCh38") -> None:
    """Genes and their names lie in the group itself, which is called after the genome."""
    with h5py.File(outs / H5, "a") as file:
        file.move("matrix", name)
        group = file[name]
        group["genes"], group["gene_names"] = group["features/id"][:], group["features/name"][:]
        del group["features"]


def raw(outs: Path) -> None:
    """Have all spots in the matrix, in the order of positions."""
    table = pd.read_csv(outs / POSITIONS)

    def widen(group):
        known, indptr = texts(group, "barcodes"), group["indptr"][:]
        lost = table["barcode"][table["in_tissue"] == 0].tolist()
        put(group, "barcodes", [*known, *lost])
        put(group, "indptr", [*indptr, *[indptr[-1]] * len(lost)])
        put(group, "shape", [group["shape"][0], len(known) + len(lost)])

    change(outs / H5, widen)
    (outs / H5).rename(outs / "raw_feature_bc_matrix.h5")


def positions(outs: Path, name: str, **how) -> None:
    text = pd.read_csv(outs / POSITIONS).to_csv(index=False, **how)
    (outs / POSITIONS).unlink()
    (outs / "spatial" / name).write_text(text, encoding="utf-8")


def from_r(outs: Path) -> None:
    table = pd.read_csv(outs / POSITIONS).set_index("barcode")
    table.rename_axis("").to_csv(outs / POSITIONS, quoting=2)


def hidden_files(outs: Path) -> None:
    for folder, name in ((outs, f"._A_{H5}"), (outs, f"._{H5}"), (outs / "spatial", "._tissue_positions.parquet")):
        (folder / name).write_bytes(b"\0\5\26\7")


def parquet(outs: Path) -> None:
    pd.read_csv(outs / POSITIONS).to_parquet(outs / "spatial/tissue_positions.parquet", index=False)
    (outs / POSITIONS).unlink()


FORMS = {
    "10x": lambda outs: (outs / H5).rename(outs / f"V1_Breast_Cancer_Block_A_{H5}"),
    "geo": geo,
    "geo in spatial": geo_in_spatial,
    "header, older name": lambda outs: positions(outs, "tissue_positions_list.csv"),
    "no header, older name": lambda outs: positions(outs, "tissue_positions_list.csv", header=False),
    "no header, newer name": lambda outs: positions(outs, "tissue_positions.csv", header=False),
    "tabs": lambda outs: positions(outs, "tissue_positions.txt", sep="\t"),
    "Windows": lambda outs: (outs / POSITIONS).write_bytes(
        b"\xef\xbb\xbf" + (outs / POSITIONS).read_bytes().replace(b"\n", b"\r\n")
    ),
    "R": from_r,
    "parquet": parquet,
    "hidden files": hidden_files,
    "raw": raw,
    "version 2": version_2,
    "CellBender 1": lambda outs: version_2(outs, "background_removed"),
    "CellBender": lambda outs: (outs / H5).rename(outs / "mine_cellbender_filtered.h5"),
    "folder": as_folder,
    "folder of version 2": lambda outs: as_folder(outs, unzip=True, columns=2),
    "folder of ids alone": lambda outs: as_folder(outs, columns=1),
    "spots in rows": lambda outs: as_folder(outs, turned=True),
    "folder with a name before it": lambda outs: as_folder(outs, "A_filtered_feature_bc_matrix"),
}


def suffix(outs: Path, at: int) -> None:
    change(
        outs / H5, lambda g: put(g, "barcodes", [b[:-1] + "12"[k >= at] for k, b in enumerate(texts(g, "barcodes"))])
    )


def hd(outs: Path) -> None:
    for um in (2, 8, 16):
        shutil.copytree(outs / "spatial", outs / f"binned_outputs/square_{um:03d}um/spatial")
    (outs / "segmented_outputs").mkdir()
    (outs / "segmented_outputs/cell_segmentations.geojson").write_text("{}")
    (outs / H5).unlink()
