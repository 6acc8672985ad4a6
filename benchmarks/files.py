"""Writing what inputs are made of: count and coord files, images, patches."""

import io
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyvips

DISTINCT, BLOCK = 512, 4096  # rows of sparse counts, and rows that are written at a time


def count_rows(n: int, genes: int, filled: float, seed: int = 0) -> list[bytes]:
    """Return n rows of comma-separated counts as text, a share of them not 0."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        counts = np.where(rng.random(genes) < filled, rng.geometric(0.45, genes), 0)
        rows.append(b"," + b",".join(b"%d" % c for c in counts.tolist()) + b"\n")
    return rows


def write_counts(path: Path, ids: list[str], genes: int, rows: list[bytes]) -> None:
    """Write a count CSV; rows are repeated in turn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(b"," + b",".join(b"GENE%05d" % i for i in range(genes)) + b"\n")
        for k, spot in enumerate(ids):
            file.write(spot.encode() + rows[k % len(rows)])


def write_sparse(path: Path, ids: list[str], genes: int, filled: float, seed: int = 0) -> None:
    """Write counts as 10x Genomics' HDF5, a share of them not 0; some hundred rows are repeated in turn."""
    from stimage.slides.counts.rows import CountRows
    from stimage.slides.counts.writing import write_h5

    rng, rows = np.random.default_rng(seed), []
    for _ in range(DISTINCT):
        columns = np.flatnonzero(rng.random(genes) < filled).astype(np.int32)
        rows.append((columns, rng.geometric(0.45, len(columns)).astype(np.int32)))

    def blocks() -> Iterator[CountRows]:
        for at in range(0, len(ids), BLOCK):
            some = [rows[k % DISTINCT] for k in range(at, min(at + BLOCK, len(ids)))]
            columns, values = (np.concatenate(parts) for parts in zip(*some))
            yield CountRows(
                np.append(0, np.cumsum([len(one) for one, _ in some])), columns, values, ids[at : at + BLOCK]
            )

    path.parent.mkdir(parents=True, exist_ok=True)
    write_h5(path, [f"GENE{k:05d}" for k in range(genes)], blocks())


def write_outs(folder: Path, spots: int, genes: int, filled: float, bin_um: int | None = None) -> None:
    """Write Space Ranger's folder ``outs`` of spots on a lattice, or of bins, and its image, tissue.jpg."""
    across, pitch = int(np.ceil(spots**0.5)), 30 if bin_um else 60
    i, j = np.divmod(np.arange(spots), across)
    y, x = (100 + pitch * (place + 0.5) for place in (i, j))
    ids = [f"s_{bin_um:03d}um_{a:05d}_{b:05d}-1" if bin_um else _barcode(k) for k, (a, b) in enumerate(zip(i, j))]
    spatial = folder / "outs/spatial"
    write_sparse(folder / "outs/filtered_feature_bc_matrix.h5", ids, genes, filled)
    spatial.mkdir()
    rows = zip(ids, i.tolist(), j.tolist(), y.tolist(), x.tolist())
    lines = [f"{spot},1,{a},{b},{down:g},{right:g}" for spot, a, b, down, right in rows]
    columns = "barcode,in_tissue,array_row,array_col,pxl_row_in_fullres,pxl_col_in_fullres"
    (spatial / "tissue_positions.csv").write_text("\n".join([columns, *lines, ""]))
    factors = {"spot_diameter_fullres": 30.0 if bin_um else 33.0, "tissue_hires_scalef": 0.1}
    factors |= {"bin_size_um": float(bin_um), "microns_per_pixel": bin_um / 30} if bin_um else {}
    (spatial / "scalefactors_json.json").write_text(json.dumps(factors))
    write_image(folder / "tissue.jpg", 200 + pitch * across, 200 + pitch * across)


def _barcode(k: int) -> str:
    """Return the barcode of a number: 16 letters, as Space Ranger's."""
    return "".join("ACGT"[k >> 2 * place & 3] for place in range(16)) + "-1"


def write_image(path: Path, width: int, height: int) -> None:
    """Write a JPEG of coloured clouds, in strips, so that a huge one needs no memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    clouds = pyvips.Image.perlin(width, height, cell_size=96, uchar=True, seed=1)
    across, down = width // 1024 + 1, height // 1024 + 1
    grain = pyvips.Image.gaussnoise(1024, 1024, sigma=9, mean=0, seed=2).replicate(across, down)
    image = clouds * [0.3, 0.5, 0.25] + [170, 110, 165] + grain.crop(0, 0, width, height)
    image.cast("uchar").copy(interpretation="srgb").jpegsave(str(path), Q=85)


def write_coord(path: Path, ids: list[str], x: np.ndarray, y: np.ndarray, r: float) -> None:
    """Write a coord CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{i},{b:.3f},{a:.3f},{r}" for i, a, b in zip(ids, x.tolist(), y.tolist())]
    path.write_text("\n".join([",yaxis,xaxis,r", *lines, ""]))


def write_cells(root: Path, cells: int, pitch: int = 30, radius: float = 8) -> None:
    """Write a root of a Visium slide full of nuclei on a lattice, and these as CellViT writes them, cells.geojson."""
    import pyvips

    name, across = "Bench_Cells", int(np.ceil(cells**0.5))
    y, x = np.mgrid[:pitch, :pitch] + 0.5 - pitch / 2
    tile = np.where((np.hypot(x, y) <= radius)[..., None], (92, 62, 140), (226, 160, 196)).astype(np.uint8)
    side = across * pitch
    spots = np.mgrid[200 : side - 200 : 100 / 0.25, 200 : side - 200 : 100 / 0.25].reshape(2, -1)  # 0.25 µm/px
    hexagonal = spots[1] + (np.round((spots[0] - 200) / 400) % 2) * 200, 200 + (spots[0] - 200) * 0.75**0.5
    ids = [f"{name}_{_barcode(k)}" for k in range(spots.shape[1])]
    write_coord(root / f"Visium/coord/{name}_coord.csv", ids, *hexagonal, 110.0)
    write_counts(root / f"Visium/gene_exp/{name}_count.csv", ids, 1, [b",1\n"])
    (root / "Visium/image").mkdir()
    image = pyvips.Image.new_from_array(tile).copy(interpretation="srgb").replicate(across, across)
    pyvips.Operation.call("jpegsave", image, str(root / f"Visium/image/{name}.png"), Q=80)
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    ring = np.round(radius * np.stack([np.cos(angle), np.sin(angle)], 1)).astype(int)
    middle = np.stack(np.divmod(np.arange(cells), across), 1)[:, ::-1] * pitch + pitch // 2
    features = []
    for k, kind in enumerate(("Neoplastic", "Inflammatory", "Connective", "Dead", "Epithelial")):
        rings = [[one] for one in (middle[k::5, None] + ring).tolist()]
        told = {"objectType": "annotation", "classification": {"name": kind, "color": [255, 0, 0]}}
        geometry = {"type": "MultiPolygon", "coordinates": rings}
        features.append({"type": "Feature", "geometry": geometry, "properties": told})
    (root / "cells.geojson").write_text(json.dumps(features))


def write_patches(out: Path, spots: int, px: int = 112) -> None:
    """Write patches as PNG files, as the original does, in one Parquet file, as shards have them, and as one array."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    from stimage.examples.image_formats import encode_png

    out.mkdir(parents=True, exist_ok=True)
    rng, files, decoded = np.random.default_rng(0), [], []
    for i in range(spots):
        small = Image.fromarray(rng.integers(90, 230, (px // 8, px // 8, 3), dtype=np.uint8))
        pixels = np.asarray(small.resize((px, px), Image.Resampling.BICUBIC)) + rng.integers(0, 9, (px, px, 3))
        decoded.append(pixels.clip(0, 255).astype(np.uint8))
        Image.fromarray(decoded[-1]).save(out / f"{i:05d}.png")
        files.append({"bytes": encode_png(decoded[-1]), "path": None})
    np.save(out / "pixels.npy", np.stack(decoded))
    names = [str(i) for i in range(spots)]
    table = {"spot_id": names, "slide": names, "annotation": [None] * spots, "image": files}
    table |= {"expression": pa.FixedSizeListArray.from_arrays(pa.array(rng.random(spots * 128), pa.float32()), 128)}
    pq.write_table(pa.table(table), out / "spots.parquet")


def write_pngs(out: Path, shards: list[Path], spots: int, genes: int) -> None:
    """Write the first spots of each shard as the original does, a PNG file each, and expression of so many genes."""
    out.mkdir(parents=True)
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        list(pool.map(_pngs_of, shards, [out] * len(shards), [spots] * len(shards)))
    n = len(list(out.glob("*.png")))
    np.save(out / "expression.npy", np.random.default_rng(0).random((n, genes), np.float32))


def _pngs_of(shard: Path, out: Path, spots: int) -> None:
    import pyarrow.parquet as pq
    from PIL import Image

    rows = next(pq.ParquetFile(shard).iter_batches(spots, columns=["spot_id", "image"])).to_pylist()
    for row in rows:
        Image.open(io.BytesIO(row["image"]["bytes"])).save(out / f"{row['spot_id']}.png")


CLIPS = {"base": 512, "large": 768, "tiny": 64}  # and the length of their vectors


def write_vectors(out: Path, tuning: Path) -> None:
    """Write embeddings at random of the published spots that are tuned on, as long as each CLIP's."""
    import pyarrow.parquet as pq

    from stimage.loading.embeddings import write_embeddings

    rng = np.random.default_rng(0)
    for shard in sorted((tuning / "shards/data/Visium/train").glob("*.parquet")):
        table = pq.read_table(shard, columns=["spot_id", "slide"])
        for name, width in CLIPS.items():
            vectors = rng.standard_normal((len(table), width), np.float32)
            (out / name).mkdir(parents=True, exist_ok=True)
            slide = table["slide"][0].as_py()
            write_embeddings(out / name / f"{shard.stem}.parquet", table["spot_id"].to_pylist(), slide, vectors, name)


def write_clips(out: Path) -> None:
    """Write configurations of CLIP: of the sizes of openai/clip-vit-base-patch32 and -large-patch14, and a tiny one."""
    from transformers import CLIPConfig

    large = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
             "patch_size": 14}  # fmt: skip
    tiny = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
            "patch_size": 56}  # fmt: skip
    for name, vision in (("base", {}), ("large", large), ("tiny", tiny)):
        CLIPConfig(projection_dim=CLIPS[name], vision_config=vision).save_pretrained(out / name)
