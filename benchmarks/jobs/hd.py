"""A Visium HD slide as large as the data set's: its first example, and all of them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.jobs import loads
from benchmarks.jobs.reading import STREAM

SLIDE, CACHES = "Bench_VisiumHD", "caches"


def _forget(root: str) -> None:
    """Remove what runs before left in the caches, which lie beside the root."""
    shutil.rmtree(Path(root).with_name(CACHES), ignore_errors=True)


def _tables(root: str) -> Iterator:
    import stimage_1k4m

    return stimage_1k4m.load("VisiumHD", root).with_format("arrow").iter(64)


@loads(*STREAM)
def first(root: str) -> Iterator[dict | None]:
    _forget(root)
    yield None
    table = next(iter(_tables(root)))
    yield {"pixels": len(table["image"][0]["bytes"].as_py()), "counts": float(sum(table["counts"][0].as_py()))}


@loads(*STREAM)
def stream(root: str, most: str = "inf") -> Iterator[dict | None]:
    """Read all examples, or the first ones."""
    import pyarrow.compute as pc

    _forget(root)
    yield None
    n, total = 0, 0.0
    for table in _tables(root):
        n, total = n + len(table), total + (pc.sum(pc.list_flatten(table["counts"])).as_py() or 0)
        if n >= float(most):
            break
    yield {"spots": n, "total": float(total)}


@loads("pyarrow.csv", "pandas", "PIL.Image")
def stream_plain(root: str) -> dict:
    """Read batches of rows by pyarrow, which no other table reader does in less memory, and crop by Pillow."""
    import pandas as pd
    from PIL import Image
    from pyarrow import csv, uint16

    Image.MAX_IMAGE_PIXELS = None
    folder = Path(root, "VisiumHD")
    coord = pd.read_csv(folder / f"coord/{SLIDE}_coord.csv", index_col=0)
    image = Image.open(folder / f"image/{SLIDE}.png").convert("RGB")
    path, n, total = folder / f"gene_exp/{SLIDE}_count.csv", 0, 0
    with path.open() as file:
        genes = file.readline().rstrip("\n").split(",")[1:]
    types = csv.ConvertOptions(column_types=dict.fromkeys(genes, uint16()))
    for batch in csv.open_csv(path, csv.ReadOptions(block_size=1 << 24), convert_options=types):
        dense = np.stack([column.to_numpy() for column in batch.columns[1:]], 1)
        ends = np.cumsum(np.count_nonzero(dense, axis=1))[:-1]
        where = coord.loc[batch.column(0).to_pylist(), ["yaxis", "xaxis", "r"]].to_numpy()
        for counts, (y, x, r) in zip(np.split(dense[dense != 0], ends), where.tolist()):
            image.crop((x - r, y - r, x + r, y + r)).tobytes()
            n, total = n + 1, total + int(counts.sum())
    return {"spots": n, "total": float(total)}


@loads("pandas", "PIL.Image", "stimage_1k4m", "stimage.publishing.finishing")
def build(root: str, out: str, workers: str, most: str = "0") -> Iterator[dict | None]:
    """Publish the slide, or, of ``most`` shards, those in the middle of it."""
    from benchmarks.jobs.publishing import build_ours

    _forget(root)
    yield None
    yield build_ours(root, out, workers, int(most))
