"""Measure Visium HD slides, a CSV of 20 GB and counts as .h5: hd.json and hd.md; the slides are removed."""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks import report
from benchmarks.case import REPEATS, Case, Side
from benchmarks.files import count_rows, write_coord, write_counts, write_image, write_sparse
from benchmarks.inputs import ROWS
from benchmarks.jobs.hd import CACHES, SLIDE
from benchmarks.machine import describe

BINS, GENES, FILLED = 545_000, 18_085, 0.02
SPARSE = (600_000, 9_600_000)  # bins of 8 µm and of 2 µm, whose counts are .h5
LONG = 100_000  # bins, of more of which all is done once, but for the first example
FINE = 2_000_000  # more bins are of 2 µm, which have a sixteenth of the counts
STREAMED, SHARDS = 1_000_000, 10  # of such a slide: examples that are streamed, and shards that are published
PITCH, MARGIN = 30, 1400  # pixels from bin of 8 µm to bin, and around all: 25,000 x 25,000 at full size


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hd", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/bench"), help="folder for the results (%(default)s)")
    parser.add_argument("--bins", type=int, default=BINS, help="bins of the slide (%(default)s)")
    parser.add_argument("--sparse-bins", type=int, nargs="*", default=SPARSE, metavar="BINS",
                        help="bins of slides whose counts are .h5 (600000, and 9600000 of 2 µm)")  # fmt: skip
    parser.add_argument("--genes", type=int, default=GENES, help="genes of the slide (%(default)s)")
    page = Path("docs/background/speed.md")
    readme = "measure nothing; put the table of hd.json between the marks of FILE (%(const)s)"
    parser.add_argument("--readme", type=Path, metavar="FILE", nargs="?", const=page, help=readme)
    args = parser.parse_args(arguments)
    if args.readme:
        return report.fill(args.readme, args.out / "hd.json", name="hd")
    args.out.mkdir(parents=True, exist_ok=True)
    folder = Path(os.environ.get("TMPDIR") or args.out)
    needed = args.bins * args.genes * 2.5 + 1500 * max([0, *args.sparse_bins]) + 3e8
    free = shutil.disk_usage(folder).free
    if needed > free:
        said = f"{folder}: has {free / 1e9:,.1f} GB free, and the slide and its shards need {needed / 1e9:,.1f}"
        print(f"error: {said}; name a folder with more as TMPDIR, or a smaller SIZE", file=sys.stderr)
        return 1
    with _caches(folder) as made:
        results = run(made, args.bins, args.genes, args.sparse_bins)
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


def run(made: Path, bins: int, genes: int, sparse: Sequence[int]) -> dict:
    """Make each slide in a folder, measure, and return the results: ``machine``, ``rows``, ``hd``."""
    results: dict = {"machine": describe(), "rows": [], "hd": []}
    for prefix, n, form in [("hd-", bins, "csv"), *((f"hd-{n}-", n, "h5") for n in sparse)]:
        print(f"making {n:,} bins x {genes:,} genes as .{form}", flush=True)
        size = write_slide(made / "root", n, genes, form)
        results["hd"].append({"prefix": prefix, "bins": n, "genes": genes, "form": form, "bytes": size})
        for case in make_cases(made, n, genes, form, prefix):
            print(f"{case.name}: {case.text}", flush=True)
            results["rows"].append(case.run())
            shutil.rmtree(made / "shards", ignore_errors=True)
        shutil.rmtree(made / "root")
    return results


def make_cases(made: Path, bins: int, genes: int, form: str = "csv", prefix: str = "hd-") -> list[Case]:
    """Return the cases of a slide; each run begins without caches."""
    root = made / "root"
    plain = (Side("pyarrow in batches, Pillow", "hd.stream_plain", cores=2),) if form == "csv" else ()
    fine = bins > FINE
    minutes = 2 if fine else bins / BINS  # by which a slide's cases take longer
    streamed, most = (f"its first {STREAMED:,} examples", (STREAMED,)) if fine else ("all its examples", ())
    repeats = REPEATS if bins <= LONG else 1
    built, shards = (f"{SHARDS} shards in its middle", (SHARDS,)) if fine else ("it", ())
    return [
        Case(f"{prefix}first", f"first example of {bins:,} HD bins x {genes:,} genes, .{form}", minutes,
             lambda: (root,), Side("ours", "hd.first", cores=2)),
        Case(f"{prefix}stream", f"{streamed}, Arrow format, two cores", 5 * minutes, lambda: (root,),
             Side("ours", "hd.stream", most, cores=2), plain, repeats=repeats),
        Case(f"{prefix}build", f"{built} into Parquet, PNG, two workers", 5 * minutes, lambda: (root, made / "shards"),
             Side("ours", "hd.build", (2, *shards), cores=2), repeats=repeats),
    ]  # fmt: skip


def write_slide(root: Path, bins: int, genes: int, form: str) -> int:
    """Write the slide, row by row; return the bytes of its count file."""
    across, fine = int(np.ceil(bins**0.5)), bins > FINE
    um, pitch, filled = (2, PITCH / 4, FILLED / 16) if fine else (8, PITCH, FILLED)
    i, j = np.divmod(np.arange(bins), across)
    ids = [f"{SLIDE}_s_{um:03d}um_{a:05d}_{b:05d}-1" for a, b in zip(i.tolist(), j.tolist())]
    side = int(pitch * across) + 2 * MARGIN
    counts = root / f"VisiumHD/gene_exp/{SLIDE}_count.{form}"
    write_image(root / f"VisiumHD/image/{SLIDE}.png", side, side)
    x, y = (MARGIN + pitch * (place + 0.5) for place in (j, i))
    write_coord(root / f"VisiumHD/coord/{SLIDE}_coord.csv", ids, x, y, pitch / 2)
    if form == "csv":
        write_counts(counts, ids, genes, count_rows(ROWS, genes, filled))
    else:
        write_sparse(counts, ids, genes, filled)
    return counts.stat().st_size


if __name__ == "__main__":
    sys.exit(main())
