"""Published folders: making them, and reading them for training."""

import hashlib
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.jobs import loads
from benchmarks.jobs.reading import PLAIN, read_through

BATCH = 64  # spots that are written at once
READ = ("stimage.loading.batches", "PIL.Image")


@loads("pandas", "PIL.Image", "stimage_1k4m", "stimage.publishing.finishing")
def build_ours(root: str, out: str, workers: str, most: str | int = 0, image_format: str = "png") -> dict:
    """Crop, encode and store all slides with their counts, as the script does; or ``most`` shards in the middle."""
    from stimage.publishing.engines import run_local
    from stimage.publishing.finishing import write_folder_files
    from stimage.publishing.plan import make_plan
    from stimage.publishing.shards import ShardOptions
    from stimage.slides.catalog import read_catalog
    from stimage.slides.selection import Selection
    from stimage.slides.splits.splitting import Splitting

    shutil.rmtree(out, ignore_errors=True)
    options = ShardOptions(image_format=image_format)
    most, plan = int(most), make_plan(read_catalog(root), Selection(root), Path(out), options, Splitting())
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
def build_original(root: str, out: str, image_format: str = "png") -> dict:
    """Do what the data set's authors do: pandas for the tables, a Pillow crop and an image file for each spot."""
    import pandas as pd
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    pngs, spots, saved = Path(out, "files"), 0, {"quality": 95} if image_format == "jpeg" else {}
    pngs.mkdir(parents=True, exist_ok=True)
    for path in sorted(Path(root, "Visium/gene_exp").glob("*_count.csv")):
        name = path.name.removesuffix("_count.csv")
        counts = pd.read_csv(path, index_col=0)
        coord = pd.read_csv(Path(root, f"Visium/coord/{name}_coord.csv"), index_col=0).loc[counts.index]
        image = Image.open(Path(root, f"Visium/image/{name}.png")).convert("RGB")
        for spot, y, x, r in coord[["yaxis", "xaxis", "r"]].itertuples():
            image.crop((x - r, y - r, x + r, y + r)).save(pngs / f"{spot}.{image_format}", **saved)
        spots += len(counts)
    return {"spots": spots}


@loads("pyvips", "pyarrow.parquet", "stimage.publishing.parquet", "stimage.examples.image_formats")
def build_limit(root: str, out: str, image_format: str) -> Iterator[dict]:
    """Do what any program must: decode images, encode patches, read the counts' bytes, compress, write, digest.

    Everything else, such as the parsed counts of each spot and where it lies, is at hand before the clock starts: it is
    taken from the shards that ours has written into ``out``.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    import pyvips

    from stimage.examples.image_formats import encoder
    from stimage.genes.vocabulary import load_vocabulary
    from stimage.publishing.parquet import SPOT_SCHEMA, write_spots

    names = [name for name in SPOT_SCHEMA.names if name != "image"]
    tables = [pq.read_table(path, columns=names) for path in sorted(Path(out).glob("data/*/*/*.parquet"))]
    vocabulary, encode, spots = load_vocabulary(f"{out}/genes.parquet"), encoder(image_format), 0
    yield {}
    for table in tables:
        name, digest = table["slide"][0].as_py(), hashlib.blake2b()
        image, counts = f"{root}/Visium/image/{name}.png", f"{root}/Visium/gene_exp/{name}_count.csv"
        pixels = pyvips.Image.new_from_file(image, access="sequential").numpy()
        x, y, r = (table[key].to_numpy() for key in ("x", "y", "radius"))
        x0, y0, x1, y1 = np.rint([x - r, y - r, x + r, y + r]).astype(int)
        files = [encode(pixels[b:d, a:c]) for a, b, c, d in zip(x0, y0, x1, y1)]
        for data in (*files, Path(image).read_bytes(), *(memoryview(v) for v in _values(table))):
            digest.update(data)
        read_through(counts)
        patches = pa.StructArray.from_arrays([pa.array(files, pa.binary()), pa.nulls(len(files), pa.string())],
                                             ["bytes", "path"])  # fmt: skip
        whole = table.add_column(SPOT_SCHEMA.get_field_index("image"), "image", patches)
        some = (whole.slice(at, BATCH) for at in range(0, len(whole), BATCH))
        write_spots(Path(out, f"{name}.limit"), some, vocabulary)
        spots += len(table)
    yield {"spots": spots}


def _values(table) -> list[np.ndarray]:
    """Return the gene ids and the counts of all spots of a table."""
    return [table[name].combine_chunks().flatten().to_numpy() for name in ("gene_ids", "counts")]


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
