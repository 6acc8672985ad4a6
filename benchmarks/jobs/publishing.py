"""Published folders: making them, and reading them for training."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from benchmarks.jobs import loads
from benchmarks.jobs.reading import PLAIN, decode, read_through

READ = ("stimage.loading.batches", "PIL.Image")


@loads("pandas", "PIL.Image", "stimage_1k4m", "stimage.publishing.finishing")
def build_ours(root: str, out: str, workers: str, most: int = 0) -> dict:
    """Crop, encode and store all slides with their counts, as the script does; or ``most`` shards in the middle."""
    from stimage.publishing.engines import run_local
    from stimage.publishing.finishing import write_folder_files
    from stimage.publishing.plan import make_plan
    from stimage.publishing.shards import ShardOptions
    from stimage.slides.catalog import read_catalog
    from stimage.slides.selection import Selection
    from stimage.slides.splits.splitting import Splitting

    shutil.rmtree(out, ignore_errors=True)
    plan = make_plan(read_catalog(root), Selection(root), Path(out), ShardOptions(), Splitting())
    begin = (len(plan.shards) - most) // 2 if 0 < most < len(plan.shards) else 0
    some = plan.shards[begin : begin + (most or len(plan.shards))]
    failed = [outcome.error for outcome in run_local(some, int(workers)) if outcome.error]
    if failed:
        raise RuntimeError(failed[0])
    done = plan.done()
    if len(done) < len(plan.shards):  # a card is of all of them
        return {"spots": sum(one.spots for one in done.values())}
    write_folder_files(plan, done, "user/repo", None)
    return {"spots": sum(one.spots for one in done.values())}


@loads(*PLAIN)
def build_original(root: str, out: str) -> dict:
    """Do what the data set's authors do: pandas for the tables, a Pillow crop and a PNG file for each spot."""
    import pandas as pd
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    pngs, spots = Path(out, "png"), 0
    pngs.mkdir(parents=True, exist_ok=True)
    for path in sorted(Path(root, "Visium/gene_exp").glob("*_count.csv")):
        name = path.name.removesuffix("_count.csv")
        counts = pd.read_csv(path, index_col=0)
        coord = pd.read_csv(Path(root, f"Visium/coord/{name}_coord.csv"), index_col=0).loc[counts.index]
        image = Image.open(Path(root, f"Visium/image/{name}.png")).convert("RGB")
        for spot, y, x, r in coord[["yaxis", "xaxis", "r"]].itertuples():
            image.crop((x - r, y - r, x + r, y + r)).save(pngs / f"{spot}.png")
        spots += len(counts)
    return {"spots": spots}


@loads("pyvips")
def build_limit(root: str, out: str) -> dict:
    """Decode the images, read the counts' bytes, and write as many bytes as the shards have."""
    size, block = sum(path.stat().st_size for path in Path(out).rglob("*.parquet")), bytes(1 << 20)
    for folder, read in (("image", decode), ("gene_exp", read_through)):
        for path in sorted(Path(root, "Visium", folder).iterdir()):
            read(path)
    with TemporaryFile(dir=out) as file:
        for at in range(0, size, len(block)):
            file.write(block[: size - at])
    return {"bytes": size}


def _shards(folder: str):
    from datasets import load_dataset

    return load_dataset(folder, "Visium", split="train", streaming=True)


@loads(*READ)
def read_ours(folder: str) -> dict:
    from stimage.loading.batches import spot_loader

    spots = genes = 0
    for batch in spot_loader(_shards(folder), 256):
        spots, genes = spots + len(batch), genes + len(batch.counts)
    return {"spots": spots, "genes": genes}


@loads(*READ)
def read_rows(folder: str) -> dict:
    """Read rows through a DataLoader, as the documentation of datasets shows it."""
    from torch.utils.data import DataLoader

    spots = genes = 0
    for rows in DataLoader(_shards(folder), batch_size=256, num_workers=2, collate_fn=list):
        spots += sum(np.asarray(row["image"]).ndim == 3 for row in rows)
        genes += sum(len(row["counts"]) for row in rows)
    return {"spots": spots, "genes": genes}


@loads("pyarrow.parquet", "simplejpeg")
def read_limit(folder: str) -> dict:
    """Read the same columns and decode the images in two threads, each of its own files, and do nothing else."""
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(_decode_all, sorted(Path(folder).glob("data/Visium/train/*.parquet"))))
    return {"spots": sum(spots for spots, _ in found), "genes": sum(genes for _, genes in found)}


def _decode_all(path: Path) -> tuple[int, int]:
    import pyarrow.parquet as pq
    import simplejpeg

    file, spots, genes = pq.ParquetFile(path, memory_map=True), 0, 0
    pixels = np.empty((224, 224, 3), np.uint8)
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, columns=["image.bytes", "gene_ids", "counts"], use_threads=False)
        for data in table["image"].combine_chunks().field("bytes"):
            simplejpeg.decode_jpeg(memoryview(data.as_buffer()).cast("B"), "RGB", buffer=pixels)
        spots, genes = spots + len(table), genes + sum(len(chunk.values) for chunk in table["counts"].chunks)
    return spots, genes
