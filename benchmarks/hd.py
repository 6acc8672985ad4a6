"""Measure a Visium HD slide as large as the data set's, a CSV of 20 GB: hd.json and hd.md; the slide is removed."""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks import report
from benchmarks.case import Case, Side
from benchmarks.files import count_rows, write_coord, write_counts, write_image
from benchmarks.inputs import ROWS
from benchmarks.jobs.hd import CACHES, SLIDE
from benchmarks.machine import describe

BINS, GENES, FILLED = 545_000, 18_085, 0.02
PITCH, MARGIN = 30, 1400  # pixels from bin to bin, and around all: 25,000 x 25,000 at full size


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hd", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/bench"), help="folder for the results (%(default)s)")
    parser.add_argument("--bins", type=int, default=BINS, help="of the slide (%(default)s)")
    parser.add_argument("--genes", type=int, default=GENES, help="of the slide (%(default)s)")
    readme = "measure nothing; put the table of hd.json between the marks of FILE (%(const)s)"
    parser.add_argument("--readme", type=Path, metavar="FILE", nargs="?", const=Path("README.md"), help=readme)
    args = parser.parse_args(arguments)
    if args.readme:
        return report.fill(args.readme, args.out / "hd.json", name="hd")
    args.out.mkdir(parents=True, exist_ok=True)
    folder = Path(os.environ.get("TMPDIR") or args.out)
    needed, free = args.bins * args.genes * 2.5 + 3e8, shutil.disk_usage(folder).free
    if needed > free:
        said = f"{folder}: has {free / 1e9:,.1f} GB free, and the slide and its shards need {needed / 1e9:,.1f}"
        print(f"error: {said}; name a folder with more as TMPDIR, or a smaller SIZE", file=sys.stderr)
        return 1
    with _caches(folder) as made:
        results = run(made, args.bins, args.genes)
    report.write_json(results, args.out / "hd.json")
    (args.out / "hd.md").write_text(text := report.table(results))
    print(f"done: {args.out}/hd.json, hd.md\n\n{text}")
    return 0


@contextmanager
def _caches(folder: Path) -> Iterator[Path]:
    """Give a folder that is removed at the end, with all caches in it."""
    with tempfile.TemporaryDirectory(prefix="bench-hd-", dir=folder) as made:
        before = os.environ.get("HF_HOME")
        os.environ["HF_HOME"] = f"{made}/{CACHES}"  # of the processes that are measured
        try:
            yield Path(made)
        finally:
            del os.environ["HF_HOME"]
            os.environ |= {"HF_HOME": before} if before else {}


def run(made: Path, bins: int, genes: int) -> dict:
    """Make the slide in a folder, measure, and return the results: ``machine``, ``rows``, ``hd``."""
    print(f"making {bins:,} bins x {genes:,} genes", flush=True)
    size = write_slide(made / "root", bins, genes)
    results: dict = {"machine": describe(), "rows": [], "hd": {"bins": bins, "genes": genes, "csv_bytes": size}}
    for case in make_cases(made, bins, genes):
        print(f"{case.name}: {case.text}", flush=True)
        results["rows"].append(case.run())
        shutil.rmtree(made / "shards", ignore_errors=True)
    return results


def make_cases(made: Path, bins: int, genes: int) -> list[Case]:
    """Return the cases; each run begins without caches."""
    root = made / "root"
    plain = Side("pyarrow in batches, Pillow", "hd.stream_plain", cores=2)
    return [
        Case("hd-first", f"first example of {bins:,} HD bins x {genes:,} genes", 1, lambda: (root,),
             Side("ours", "hd.first", cores=2)),
        Case("hd-stream", "all its examples, Arrow format, two cores", 15, lambda: (root,),
             Side("ours", "hd.stream", cores=2), (plain,)),
        Case("hd-build", "it into Parquet, PNG, two workers", 5, lambda: (root, made / "shards"),
             Side("ours", "hd.build", (2,), cores=2)),
    ]  # fmt: skip


def write_slide(root: Path, bins: int, genes: int) -> int:
    """Write the slide, row by row; return the bytes of its count file."""
    across = int(np.ceil(bins**0.5))
    i, j = np.divmod(np.arange(bins), across)
    ids = [f"{SLIDE}_s_008um_{a:05d}_{b:05d}-1" for a, b in zip(i.tolist(), j.tolist())]
    side = PITCH * across + 2 * MARGIN
    counts = root / f"VisiumHD/gene_exp/{SLIDE}_count.csv"
    write_image(root / f"VisiumHD/image/{SLIDE}.png", side, side)
    x, y = (MARGIN + PITCH * (place + 0.5) for place in (j, i))
    write_coord(root / f"VisiumHD/coord/{SLIDE}_coord.csv", ids, x, y, PITCH / 2)
    write_counts(counts, ids, genes, count_rows(ROWS, genes, FILLED))
    return counts.stat().st_size


if __name__ == "__main__":
    sys.exit(main())
