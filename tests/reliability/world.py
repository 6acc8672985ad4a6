"""The small root that is damaged, its files by kind, and how many cases are drawn."""

import os
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from stimage.slides.counts.rows import CountRows
from stimage.slides.counts.writing import write_h5
from tests.reliability.faults import WEIGHED, Fault
from tests.roots import GENES, write_csv, write_slide

CASES = int(os.environ.get("STIMAGE_FAULTS", 0))  # of each test; 0: a few, always the same
IMAGES = {
    "Slide_A": {"format": "PNG"},
    "Slide_B": {"format": "JPEG"},
    "Slide_C": {"format": "TIFF", "compression": "tiff_lzw"},
    "Slide_D": {"format": "TIFF"},
    "Slide_E": {"format": "JPEG", "progressive": True},
}
SUFFIX = {"PNG": "png", "JPEG": "jpg", "TIFF": "tif"}
FILES = {  # kind of file → its name, relative to the root
    "meta": "meta/meta_all_gene.csv",
    "annotation": "annotation/Slide_A_anno.csv",
    "coord": "ST/coord/Slide_A_coord.csv",
    "counts": "ST/gene_exp/Slide_A_count.csv",
    "counts, .h5": "ST/gene_exp/Slide_C_count.h5",
    "counts, .h5ad": "ST/gene_exp/Slide_D_count.h5ad",
    "PNG": "ST/image/Slide_A.png",
    "JPEG": "ST/image/Slide_B.jpg",
    "TIFF, LZW": "ST/image/Slide_C.tif",
    "TIFF, pyramid": "ST/image/Slide_F.tif",
    "TIFF, raw": "ST/image/Slide_D.tif",
    "JPEG, progressive": "ST/image/Slide_E.jpg",
    "genes": "genes.parquet",
}
OTHERS = {"annotation": "annotation/Slide_B_anno.csv", "coord": "ST/coord/Slide_B_coord.csv",
          "counts": "ST/gene_exp/Slide_B_count.csv", "PNG": "ST/image/Slide_B.jpg"}  # fmt: skip


def some(n: int, share: float = 1.0):
    """Return hypothesis' settings: ``n`` cases, or that share of as many as STIMAGE_FAULTS says."""
    return settings(
        max_examples=max(n, int(CASES * share)), deadline=None, derandomize=not CASES, database=None, print_blob=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


def faults(kinds, moments=("before",), actions=WEIGHED):
    """Return a strategy of faults of these kinds of files."""
    return st.builds(
        Fault, st.sampled_from(sorted(kinds)), st.sampled_from(actions), st.integers(0, 2**32 - 1),
        st.sampled_from(moments),
    )  # fmt: skip


def make_root(root: Path) -> Path:
    """Write a root of six ST slides, with an image of each type, annotations and a genes.parquet."""
    import pyvips

    for k, (name, options) in enumerate(IMAGES.items()):
        write_slide(root, name, "ST", side=3, seed=k, **options)
        image = root / "ST/image" / f"{name}.png"
        image.rename(image.with_suffix(f".{SUFFIX[options['format']]}"))
    write_slide(root, "Slide_F", "ST", side=3, seed=9)
    image = root / "ST/image/Slide_F.png"
    pyvips.Image.new_from_file(str(image)).tiffsave(
        str(image.with_suffix(".tif")), tile=True, tile_width=32, tile_height=32, compression="deflate", pyramid=True
    )
    image.unlink()
    write_sparse(root)
    for name in ("Slide_A", "Slide_B"):
        labels = [[f"{name}_{i}x{j}", "tumour" if i else "stroma, dense"] for i in range(3) for j in range(3)]
        write_csv(root / f"annotation/{name}_anno.csv", [["", "V2"], *labels])
    names = [*GENES, "RARE1", "RARE2"]
    pq.write_table(pa.table({"id": pa.array(range(len(names)), pa.int32()), "name": names}), root / "genes.parquet")
    return root


def write_sparse(root: Path) -> None:
    """Write the counts of two slides as files of 10x Genomics' and of AnnData's form, instead of their CSVs."""
    for name, suffix in (("Slide_C", "h5"), ("Slide_D", "h5ad")):
        path = root / f"ST/gene_exp/{name}_count.csv"
        table = pd.read_csv(path, index_col=0)
        counts = csr_matrix(table.to_numpy(np.float32))
        if suffix == "h5":
            block = CountRows(counts.indptr, counts.indices, counts.data, tuple(table.index))
            write_h5(path.with_suffix(".h5"), list(table), [block])
        else:
            obs, var = (pd.DataFrame(index=names.astype(object)) for names in (table.index, table.columns))
            anndata.AnnData(counts, obs, var).write_h5ad(path.with_suffix(".h5ad"))
        path.unlink()


def image_of(root: Path, slide: str) -> str:
    return next((root / "ST/image").glob(f"{slide}.*")).name


def name_of(fault: Fault) -> str:
    """Return what an error must have: the file's path in the root, without its suffix: a lost image's is not known."""
    return FILES[fault.kind].rsplit(".", 1)[0]


def struck_of(fault: Fault) -> str:
    """Return the slide whose file is damaged, empty where it is none's."""
    return next((f"Slide_{letter}" for letter in "ABCDEF" if f"Slide_{letter}" in FILES[fault.kind]), "")


def other_of(root: Path, kind: str) -> bytes:
    """Return what a swap puts in place of a kind's file."""
    if kind in ("meta", "genes"):
        return (root / FILES["coord" if kind == "meta" else "meta"]).read_bytes()
    return (root / OTHERS.get(kind, FILES["PNG"])).read_bytes()
