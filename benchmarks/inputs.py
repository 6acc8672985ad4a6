"""Inputs of the benchmarks, generated once into a folder."""

import os
from pathlib import Path

import numpy as np
import pyvips

VISIUM_SPOTS, VISIUM_GENES, HD_GENES = 2261, 32285, 18085
HD_ACROSS = 450  # bins side by side, however many there are: a wider image would take more memory
ROWS = 300  # distinct rows of counts; a huge file repeats them under new ids


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


def visium_root(folder: Path) -> Path:
    """Make a root with one Visium slide of usual size: 2,261 spots, 32,285 genes, 14 % of the counts not 0."""
    root = folder / "visium"
    if not root.exists():
        _visium_slide(root, "Bench_Visium", 63.0, count_rows(VISIUM_SPOTS, VISIUM_GENES, 0.14))
    return root


def visium_collection(folder: Path, slides: int, radius: float) -> Path:
    """Make a root with several such slides, and a meta file."""
    root = folder / f"visium-{slides}-{radius:.0f}"
    if not root.exists():
        rows = count_rows(VISIUM_SPOTS, VISIUM_GENES, 0.14)
        names = [f"Bench_Visium_{k}" for k in range(slides)]
        for k, name in enumerate(names):
            _visium_slide(root, name, radius, rows[k:] + rows[:k])
        (root / "meta").mkdir()
        head = "slide,species,tissue,pmid,title,abstract,keywords,involve_cancer,tech,spot_num,gene_num\n"
        lines = [f"{name},human,breast,1,,,,True,Visium,{VISIUM_SPOTS},{VISIUM_GENES}\n" for name in names]
        (root / "meta/meta_all_gene.csv").write_text("".join([head, *lines]))
    return root


def small_slides(folder: Path, slides: int) -> Path:
    """Make a root with many slides of 300 spots and 2,000 genes, of which nothing but the counts is of use."""
    root = folder / f"small-{slides}"
    if not root.exists():
        rows = count_rows(ROWS, 2000, 0.14)
        for k in range(slides):
            name = f"Bench_{k:03d}"
            ids = [f"{name}_{i}" for i in range(ROWS)]
            write_counts(root / f"Visium/gene_exp/{name}_count.csv", ids, 2000, rows[k:] + rows[:k])
            write_coord(root / f"Visium/coord/{name}_coord.csv", ids, np.arange(300.0), np.arange(300.0), 5.0)
            (root / "Visium/image").mkdir(exist_ok=True)
            (root / f"Visium/image/{name}.png").touch()
    return root


def _visium_slide(root: Path, name: str, radius: float, rows: list[bytes]) -> None:
    i, j = (a.ravel()[:VISIUM_SPOTS] for a in np.mgrid[0:48, 0:48])
    x, y = 300 + (j + i % 2 / 2) * 180.0, 300 + i * 180 * np.sqrt(3) / 2
    ids = [f"{name}_{k:016d}-1" for k in np.random.default_rng(0).permutation(VISIUM_SPOTS)]
    write_image(root / f"Visium/image/{name}.png", 9300, 8000)
    write_coord(root / f"Visium/coord/{name}_coord.csv", ids, x, y, radius)
    write_counts(root / f"Visium/gene_exp/{name}_count.csv", sorted(ids), VISIUM_GENES, rows)


def hd_root(folder: Path, bins: int) -> Path:
    """Make a root with one Visium HD slide: 450 bins of 16 px across, 18,085 genes, 2 % of the counts not 0."""
    root = folder / f"hd-{bins}"
    if not root.exists():
        i, j = np.divmod(np.arange(bins), HD_ACROSS)
        ids = [f"Bench_HD_s_008um_{a:05d}_{b:05d}-1" for a, b in zip(i, j)]
        write_image(root / "VisiumHD/image/Bench_HD.png", 16 * HD_ACROSS + 40, 16 * int(i[-1]) + 56)
        write_coord(root / "VisiumHD/coord/Bench_HD_coord.csv", ids, j * 16 + 20.0, i * 16 + 20.0, 8.0)
        rows = count_rows(ROWS, HD_GENES, 0.02)
        write_counts(root / "VisiumHD/gene_exp/Bench_HD_count.csv", ids, HD_GENES, rows)
    return root


def huge_image(folder: Path) -> Path:
    """Make a 25,000 x 25,000 JPEG."""
    path = folder / "huge.jpg"
    if not path.exists():
        write_image(path, 25_000, 25_000)
    return path


def real_or_like(folder: Path) -> tuple[Path, Path]:
    """Return a 9,274 x 9,911 JPEG of a legacy ST slide and its coord file: the real one, or one of that size."""
    if shared := os.environ.get("STIMAGE_REAL"):
        root, name = Path(shared) / "real", "Human_Breast_Andersson_10142021_ST_C2"
    else:
        root, name = folder / "st", "Bench_ST"
        if not root.exists():
            i, j = (a.ravel() for a in np.mgrid[0:14, 0:13])
            ids = [f"{name}_{a}x{b}" for a, b in zip(j, i)]
            write_image(root / f"ST/image/{name}.png", 9274, 9911)
            write_coord(root / f"ST/coord/{name}_coord.csv", ids, 2500 + j * 290.0, 3500 + i * 340.0, 67.86)
    return root / f"ST/image/{name}.png", root / f"ST/coord/{name}_coord.csv"
