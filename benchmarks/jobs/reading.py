"""Reading a root: counts, patches, whole spots."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.jobs import loads

OURS = ("stimage.slides.spots", "pandas")
PILLOW = ("PIL.Image",)
PLAIN = ("pandas", "pyarrow", "PIL.Image")
# datasets loads scipy.io to patch it, and the lattice of spots is found with scipy.spatial
STREAM = ("stimage_1k4m", "pyarrow.compute", "pandas", "torch", "scipy.io", "scipy.spatial")
STEP, BIN = 60, 16  # pixels from bin to bin of the huge image, and across a bin


@loads(*OURS)
def counts_ours(path: str) -> dict:
    from stimage.slides.counts.count_file import read_counts

    filled = total = 0
    for rows in read_counts(path):
        filled, total = filled + len(rows.values), total + rows.values.sum()
    return {"filled": filled, "total": float(total)}


@loads("pandas")
def counts_pandas(path: str) -> dict:
    import pandas as pd

    values = pd.read_csv(path, index_col=0).to_numpy()
    return {"filled": int(np.count_nonzero(values)), "total": float(values.sum())}


@loads("polars")
def counts_polars(path: str) -> dict:
    import polars as pl

    # told the types, and that they are small: polars' fastest way
    table = pl.read_csv(path, schema_overrides=[pl.String] + [pl.UInt16] * (_columns(path) - 1))
    values = table[:, 1:].to_numpy()
    return {"filled": int(np.count_nonzero(values)), "total": float(values.sum(dtype=np.int64))}


@loads("pyarrow.csv", "pandas")
def counts_pyarrow(path: str) -> dict:
    from pyarrow import csv

    options = csv.ReadOptions(use_threads=False, block_size=1 << 24)
    table = csv.read_csv(path, options)
    filled = total = 0
    for column in table.columns[1:]:
        values = column.to_numpy()
        filled, total = filled + int(np.count_nonzero(values)), total + int(values.sum())
    return {"filled": filled, "total": float(total)}


@loads()
def counts_limit(path: str) -> dict:
    """Read the file's bytes once and look for line ends."""
    return {"lines": read_through(path)}


def read_through(path: str | Path) -> int:
    """Return the number of line ends of a file, read into the same megabyte."""
    buffer, lines = bytearray(1 << 20), 0
    with open(path, "rb", buffering=0) as file:
        while size := file.readinto(buffer):
            lines += buffer.count(b"\n", 0, size)
    return lines


def _columns(path: str) -> int:
    with open(path, "rb") as file:
        return file.readline().count(b",") + 1


def _spots(coord: str) -> np.ndarray:
    return np.loadtxt(coord, delimiter=",", skiprows=1, usecols=(2, 1, 3))


def _grid_boxes(across: str) -> np.ndarray:
    i, j = (100 + STEP * a.ravel() for a in np.mgrid[0 : int(across), 0 : int(across)])
    return np.stack([j, i, j + BIN, i + BIN], 1)


def _digest(patches: Iterator[np.ndarray]) -> dict:
    """Digest patches whatever their order: the sum of their digests."""
    n = total = 0
    for patch in patches:
        n += 1
        total += int.from_bytes(hashlib.blake2b(patch.tobytes(), digest_size=8).digest(), "little")
    return {"patches": n, "digest": total}


@loads(*OURS)
def patches_ours(image: str, coord: str) -> dict:
    from stimage.slides.images.patches import square_boxes
    from stimage.slides.images.reader import read_patches

    spots = _spots(coord)
    return _digest(read_patches(image, square_boxes(*spots[np.argsort(spots[:, 1])].T)))


@loads(*PILLOW)
def patches_pillow(image: str, coord: str) -> dict:
    return _digest(_crops(image, _spots(coord)))


@loads(*PILLOW)
def patches_pillow_png(image: str, coord: str) -> dict:
    from PIL import Image

    def saved() -> Iterator[np.ndarray]:
        for patch in _crops(image, _spots(coord)):
            Image.fromarray(patch).save(io.BytesIO(), "PNG")
            yield patch

    return _digest(saved())


def _crops(path: str, spots: np.ndarray) -> Iterator[np.ndarray]:
    """Crop as the data set's authors do."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    image = Image.open(path).convert("RGB")
    for x, y, r in spots.tolist():
        yield np.asarray(image.crop((x - r, y - r, x + r, y + r)))


@loads(*OURS)
def huge_ours(image: str, across: str) -> dict:
    from stimage.slides.images.reader import read_patches

    return _digest(read_patches(image, _grid_boxes(across)))


@loads(*PILLOW)
def huge_pillow(image: str, across: str) -> dict:
    centres, r = _grid_boxes(across)[:, :2] + BIN / 2, BIN / 2
    return _digest(_crops(image, np.concatenate([centres, np.full((len(centres), 1), r)], 1)))


@loads("pyvips")
def huge_limit(image: str, across: str) -> dict:
    return {"rows": decode(image, int(_grid_boxes(across)[:, 3].max()))}


@loads(*OURS)
def physical_ours(image: str, coord: str) -> dict:
    from stimage.slides.images.patches import Patch
    from stimage.slides.scale.scale import Scale

    spots = _spots(coord)
    scale = Scale(0.25, 0.25, None, "", None)
    patches = Patch(112, 224).cut(image, *spots[np.argsort(spots[:, 1])].T, scale)
    return _greys(patches)


@loads(*PILLOW)
def physical_pillow(image: str, coord: str) -> dict:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    whole, side = Image.open(image).convert("RGB"), 112 / 0.25
    spots = _spots(coord)
    return _greys(
        whole.resize((224, 224), Image.Resampling.BICUBIC, (x - side / 2, y - side / 2, x + side / 2, y + side / 2))
        for x, y, _ in spots[np.argsort(spots[:, 1])].tolist()
    )


def _greys(patches: Iterator) -> dict:
    """Return the mean grey level of every tenth patch, and keep none."""
    return {"greys": [float(np.mean(patch)) for i, patch in enumerate(patches) if i % 10 == 0]}


@loads("pyvips")
def patches_limit(image: str, coord: str) -> dict:
    """Decode the image, down to the last row that a patch needs."""
    _, y, r = _spots(coord).T
    return {"rows": decode(image, int((y + r).max()))}


def decode(path: str | Path, rows: int | None = None) -> int:
    """Decode an image from the top, strip by strip, with the decoder that ours uses, and look at no pixel."""
    import pyvips

    pyvips.cache_set_max(0)
    image = pyvips.Image.new_from_file(str(path), access="sequential")
    region, rows = pyvips.Region.new(image), min(rows or image.height, image.height)
    for top in range(0, rows, 16):
        region.fetch(0, top, 1, min(16, image.height - top))  # whole rows are decoded, but not copied
    return rows


def _dataset(root: str, tech: str, **options):
    from datasets import load_dataset

    import stimage_1k4m  # noqa: F401

    return load_dataset("stimage_1k4m", tech, data_dir=root, split="train", streaming=True, **options)


@loads(*STREAM)
def first_ours(root: str) -> dict:
    example = next(iter(_dataset(root, "Visium")))
    return {"pixels": hashlib.sha256(example["image"].tobytes()).hexdigest(), "counts": sum(example["counts"])}


@loads(*PLAIN)
def first_plain(root: str) -> dict:
    """The topmost spot, as pandas and Pillow give it."""
    spot = next(_plain(root))
    return {"pixels": hashlib.sha256(spot["pixels"]).hexdigest(), "counts": float(spot["counts"].sum())}


@loads(*STREAM)
def stream_arrow(root: str, tech: str = "Visium") -> dict:
    import pyarrow as pa
    import pyarrow.compute as pc

    n, total = 0, 0.0
    for table in _dataset(root, tech).with_format("arrow").iter(64):
        some = table["counts"].take(pa.array(range(-n % 20, len(table), 20), pa.int64()))
        n, total = n + len(table), total + (pc.sum(pc.list_flatten(some)).as_py() or 0)
    return {"spots": n, "total": float(total)}


@loads(*STREAM)
def stream_columns(root: str, *columns: str) -> dict:
    """Read these columns alone."""
    tables = _dataset(root, "Visium", columns=columns).with_format("arrow").iter(64)
    return {"spots": sum(map(len, tables))}


@loads(*STREAM)
def stream_python(root: str) -> dict:
    n = total = 0
    for example in _dataset(root, "Visium"):
        n, total = n + 1, total + (sum(example["counts"]) if n % 20 == 0 else 0)
        example["image"].load()
    return {"spots": n, "total": float(total)}


@loads(*PLAIN)
def stream_plain(root: str, tech: str = "Visium") -> dict:
    n = total = 0
    for spot in _plain(root, tech):
        n, total = n + 1, total + (spot["counts"].sum() if n % 20 == 0 else 0)
    return {"spots": n, "total": float(total)}


def _plain(root: str, tech: str = "Visium") -> Iterator[dict]:
    """A plain loop over pandas rows and Pillow crops, from top to bottom."""
    import pandas as pd
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    folder, name = Path(root) / tech, f"Bench_{tech}"
    counts = pd.read_csv(folder / f"gene_exp/{name}_count.csv", index_col=0)
    coord = pd.read_csv(folder / f"coord/{name}_coord.csv", index_col=0).sort_values(["yaxis", "xaxis"])
    image = Image.open(folder / f"image/{name}.png").convert("RGB")
    values, rows = counts.to_numpy(), counts.index.get_indexer(coord.index)  # .loc of many small blocks is slow
    for row, y, x, r in zip(rows, *(coord[name] for name in ("yaxis", "xaxis", "r"))):
        yield {"pixels": image.crop((x - r, y - r, x + r, y + r)).tobytes(), "counts": values[row]}


@loads("pyvips")
def stream_limit(root: str) -> dict:
    """Decode the image and read the counts' bytes."""
    folder = Path(root) / "Visium"
    rows = decode(folder / "image/Bench_Visium.png")
    return {"rows": rows, "lines": read_through(folder / "gene_exp/Bench_Visium_count.csv")}
