"""Measure each headline figure beside the usual way, and write one table: results.md and results.json."""

import argparse
import json
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks import inputs
from benchmarks.measure import measure
from benchmarks.training import patches as patches_of_training

PACKAGES = ("datasets", "numpy", "pandas", "pillow", "polars", "pyarrow", "pyvips", "scikit-learn", "torch")


@dataclass
class Row:
    """One line of the table: our figures and another way's on the same input."""

    job: str
    unit: str
    amount: float
    ours: dict
    other: str = ""
    others: dict | None = None
    target: str = ""

    def __post_init__(self):
        if self.others and self.ours["found"] != self.others["found"]:
            raise RuntimeError(
                f"{self.job}: not the same as {self.other}: {self.ours['found']}, {self.others['found']}"
            )

    def cells(self) -> list[str]:
        """Return the line's cells as text."""
        ratio = f"{self.others['seconds'] / self.ours['seconds']:.1f} x" if self.others else ""
        ours, others = self.ours, self.others
        return [
            self.job,
            f"{ours['seconds']:.2f} s ({self.amount / ours['seconds']:,.0f} {self.unit}/s)",
            f"{ours['over_mb']:,.0f} MB",
            self.other,
            f"{others['seconds']:.2f} s" if others else "",
            f"{others['over_mb']:,.0f} MB" if others else "",
            ratio,
            self.target,
        ]


def counts(folder: Path) -> list[Row]:
    path = inputs.visium_root(folder) / "Visium/gene_exp/Bench_Visium_count.csv"
    size = path.stat().st_size / 1e6
    ours = measure("counts_ours", path, repeats=3)
    job = f"counts of a Visium slide ({size:.0f} MB)"
    targets = {"polars": "5 x the fastest, 60 MB", "pyarrow": "", "pandas": "80 x"}
    return [
        Row(job, "MB", size, ours, name, measure(f"counts_{name}", path, repeats=1 if name == "pandas" else 3), target)
        for name, target in targets.items()
    ]


def patches(folder: Path) -> list[Row]:
    image, coord = inputs.real_or_like(folder)
    n = len(coord.read_text().splitlines()) - 1
    ours = measure("patches_ours", image, coord, repeats=3)
    job = f"{n} patches of a 9,274 x 9,911 JPEG"
    return [
        Row(job, "patches", n, ours, "Pillow", measure("patches_pillow", image, coord, repeats=3), "1/4 of the memory"),
        Row(job, "patches", n, ours, "and PNGs", measure("patches_pillow_png", image, coord, repeats=3), "4 x"),
        Row("the same at 112 µm = 224 px", "patches", n, measure("physical_ours", image, coord, repeats=3), "Pillow",
            measure("physical_pillow", image, coord)),
    ]  # fmt: skip


def huge(folder: Path) -> list[Row]:
    image = inputs.huge_image(folder)
    ours, others = measure("huge_ours", image, repeats=3), measure("huge_pillow", image, repeats=3)
    return [Row("160,000 bins of a 25,000 x 25,000 JPEG", "patches", 160_000, ours, "Pillow", others, "3 x, 350 MB")]


def first(folder: Path) -> list[Row]:
    root = inputs.visium_root(folder)
    ours = measure("first_ours", root, repeats=3)
    return [
        Row("first example of that slide", "examples", 1, ours, "pandas, Pillow", measure("first_plain", root), "1.5 s")
    ]


def stream(folder: Path) -> list[Row]:
    root, n = inputs.visium_root(folder), inputs.VISIUM_SPOTS
    plain, rows = measure("stream_plain", root), []
    for name in ("arrow", "python"):
        ours = measure(f"stream_{name}", root, repeats=3)
        rows.append(Row(f"all its {n:,} examples, {name} format", "examples", n, ours, "pandas, Pillow", plain, "15 x"))
    return rows


def growth(folder: Path, sizes=(50_000, 200_000)) -> list[Row]:
    rows = []
    for bins in sizes:
        root = inputs.hd_root(folder, bins)
        rows.append(
            Row(f"{bins:,} Visium HD bins, 18,085 genes", "examples", bins, measure("stream_arrow", root, "VisiumHD"))
        )
        dense = bins * inputs.HD_GENES * 8 / 1e6
        rows[-1].other = f"the matrix alone in pandas is {dense:,.0f} MB"
        shutil.rmtree(root)
    more = (rows[1].ours["over_mb"] - rows[0].ours["over_mb"]) / (sizes[1] - sizes[0]) * 1e6
    rows[1].target = f"flat: {more:,.0f} bytes a bin"
    return rows


def build(folder: Path) -> list[Row]:
    few, more = (inputs.visium_collection(folder, slides, 63) for slides in (6, 12))
    out, pngs = folder / "build", folder / "pngs"
    original = measure("published.build_original", few, pngs, cores=2)
    ours = measure("published.build_ours", few, out, 1, cores=2, repeats=3)
    one, two = (measure("published.build_ours", more, out, workers, cores=2, repeats=3) for workers in (1, 2))
    shutil.rmtree(out)
    shutil.rmtree(pngs)
    spots = inputs.VISIUM_SPOTS
    return [
        Row("6 Visium slides into Parquet", "spots", 6 * spots, ours, "pandas, Pillow, PNGs", original, "10 x"),
        Row("12 Visium slides, two workers", "spots", 12 * spots, two, "one worker", one, "1.7 x"),
    ]


def read(folder: Path, slides: int = 12) -> list[Row]:
    root, out = inputs.visium_collection(folder, slides, 112), folder / "jpeg"
    if not (out / "README.md").exists():
        script = Path(__file__).parent.parent / "scripts/data_process/build_shards.py"
        subprocess.run([sys.executable, script, root, out, "--image-format", "jpeg"], check=True)
    n = slides * inputs.VISIUM_SPOTS
    ours = measure("published.read_ours", out, cores=2, repeats=3)
    rows = measure("published.read_rows", out, cores=2)
    limit = measure("published.read_limit", out, cores=2, repeats=3)
    limit["found"] = ours["found"]  # it reads no genes
    job = f"{n:,} JPEGs of 224 px with their genes, two workers"
    return [
        Row(job, "spots", n, ours, "rows through a DataLoader", rows),
        Row(job, "spots", n, ours, "decoding alone, two processes", limit, "0.75 x"),
    ]


def panels(folder: Path) -> list[Row]:
    root, n = inputs.visium_collection(folder, 6, 63), 6 * inputs.VISIUM_SPOTS
    ours = measure("panels.select_ours", root, repeats=3)
    rows = [
        Row(
            "overlap-hvg of 6 Visium slides", "spots", n, ours, "scanpy, stacked", measure("panels.select_scanpy", root)
        )
    ]
    for slides in (10, 200):
        root = inputs.small_slides(folder, slides)
        for method in ("overlap-hvg", "hvg-consensus"):
            ours = measure("panels.select_ours", root, method, repeats=3)
            rows.append(Row(f"{method} of {slides} slides of 300 spots", "slides", slides, ours, target="flat memory"))
    return rows


def probe(folder: Path, n: int = 3000, d: int = 512) -> list[Row]:
    rows = []
    for norm in (
        10.0,
        3.5,
    ):  # as CLIP's; and where scikit-learn's SGD stops sooner
        plain = measure("evaluation.probe_plain", n, d, norm)
        converged = measure("evaluation.probe_converged", n, d, norm, repeats=3)
        shown = f"plain scikit-learn; F1 {plain['found']['macro_f1']:.3f}, ours {converged['found']['macro_f1']:.3f}"
        job = f"linear probe of {n:,} x {d}, 7 classes, norm {norm}"
        beside = plain | {"found": converged["found"]}
        rows.append(Row(f"{job}, converged", "spots", n, converged, shown, beside, "6 x"))
        if norm == 10:
            original = measure("evaluation.probe_original", n, d, norm, cores=2)
            other = "plain scikit-learn, one core"
            rows.append(Row(f"{job}, original, two cores", "spots", n, original, other, plain, "the same F1"))
    return rows


def silhouette(folder: Path, n: int = 50_000) -> list[Row]:
    files = folder / "silhouette_ours.npy", folder / "silhouette_plain.npy"
    ours = measure("evaluation.silhouette_ours", n, files[0], repeats=3)
    plain = measure("evaluation.silhouette_plain", n, files[1])
    error = np.abs(np.load(files[0]) - np.load(files[1])).max()
    aim = f"8 x, 1/2 of the memory, error 1e-6 (is {error:.1e})"
    return [
        Row(f"silhouette of {n:,} x 32, 7 classes", "spots", n, ours, "scikit-learn", plain, aim),
        Row(f"k-means and Leiden of {n:,} x 32", "spots", n, measure("evaluation.clusters_ours", n)),
    ]


def training(folder: Path) -> list[Row]:
    n, rows = 2000, []
    patches_of_training(folder)
    for what, other, aim in (
        ("data", "PNG and processor, one by one", "5 x"), ("pixels", "image processor, one by one", "9 x")
    ):  # fmt: skip
        usual = "original" if what == "data" else "processor"
        ours = measure(f"training.{what}_ours", folder, repeats=3)
        job = {"data": "2,000 patches of 112 px, decoded and made 224 px", "pixels": "the same, without decoding"}[what]
        rows.append(Row(job, "spots", n, ours, other, measure(f"training.{what}_{usual}", folder), aim))
    parts = measure("training.step_parts", folder)
    shown = ", ".join(f"{name} {ms:.2f}" for name, ms in parts["found"].items())
    rows.append(Row("a step of ViT-B/32 over 64 spots, on one core", "spots", 64, parts, f"ms a spot: {shown}"))
    return rows


BENCHMARKS = {
    "counts": counts,
    "patches": patches,
    "huge": huge,
    "first": first,
    "stream": stream,
    "growth": growth,
    "build": build,
    "read": read,
    "panels": panels,
    "probe": probe,
    "silhouette": silhouette,
    "training": training,
}
HEAD = ["job", "time", "memory¹", "beside", "its time", "its memory¹", "ratio", "aim"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("out/bench"), help="folder for inputs and results (%(default)s)"
    )
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS), help="just these")
    parser.add_argument("--quick", action="store_true", help="a tenth of the Visium HD bins")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in args.only:
        print(f"measuring {name} …", flush=True)
        sizes = {"sizes": (5_000, 20_000)} if name == "growth" and args.quick else {}
        rows += BENCHMARKS[name](args.out, **sizes)
    table = "\n".join(
        "| " + " | ".join(cells) + " |" for cells in [HEAD, ["---"] * len(HEAD), *(r.cells() for r in rows)]
    )
    machine = {
        "machine": platform.platform(),
        "processor": _processor(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
    }
    note = f"¹ allocated at the peak, over the interpreter with its imports. One core of {machine['processor']}."
    (args.out / "results.md").write_text(f"{table}\n\n{note}\n")
    (args.out / "results.json").write_text(json.dumps(machine | {"rows": [asdict(row) for row in rows]}, indent=1))
    print(f"{table}\n\n{note}\nresults: {args.out / 'results.md'}, {args.out / 'results.json'}")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main()
