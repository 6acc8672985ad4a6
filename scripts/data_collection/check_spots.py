"""Check every slide of a root: files, ids, geometry, scale, tissue, sharpness, counts and the meta file.

The results are findings.csv, findings.parquet, results.json, a picture of each slide with its spots, and report.html, a
page to look through the slides and to mark them. The images of the page can be zoomed, and have layers of counts,
labels, genes and cells. The exit code is 1 if a check failed.
"""

import argparse
import io
import sys
from pathlib import Path

from joblib import cpu_count

import stimage
from stimage.cli.options import OUT, PROCESSES, ROOT, add_filters, add_scale, counted, positive, root_of, run
from stimage.collection.checks.findings import worst
from stimage.slides.images.tiles import ZOOM


def main() -> int:
    args = parse_arguments()
    given = {
        "colour": args.colour,
        "zoom": args.zoom,
        "genes": args.genes,
        "gene_table": args.gene_table,
        "workers": args.workers,
    }
    found = stimage.check(root_of(args), args.out, **given, progress=None)
    for one in found[found.status.isin(["fail", "warn"])].to_dict("records"):
        remedy = f" ({one['remedy']})" if one["remedy"] else ""
        print(f"{one['status']}: {one['slide']}: {one['check']}: {one['message']}{remedy}")
    slides = found.groupby("slide").status.agg(worst).value_counts()
    shown = ", ".join(f"{slides.get(status, 0)} {status}" for status in ("fail", "warn", "pass"))
    print(f"{counted(int(slides.sum()), 'slide')}: {shown}")
    print(f"page: {args.out / 'report.html'}; tables: findings.csv, findings.parquet and results.json beside it")
    if sizes := found.attrs["zoomed"].values():
        print(f"images that can be zoomed: {counted(len(sizes), 'slide')}, {sum(sizes) / 1e6:.1f} MB, "
              f"{sum(sizes) / 1e6 / len(sizes):.1f} MB a slide (--zoom)")  # fmt: skip
    return 1 if "fail" in slides else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help=ROOT)
    add_filters(parser)
    add_scale(parser)
    parser.add_argument("--out", type=Path, default=Path("out/check_spots"), help=OUT)
    parser.add_argument("--colour", default="counts", help="colour of the spots: counts, annotation, or the name of a "
                        "gene (default: %(default)s)")  # fmt: skip
    parser.add_argument("--zoom", type=int, default=ZOOM, metavar="PX", help="longer side, in pixels, of the image "
                        "that the page can zoom into; a doubled side takes 4 times the disk space, 0 makes no such "
                        "image (default: %(default)s)")  # fmt: skip
    parser.add_argument("--genes", nargs="+", metavar="GENE", help="genes to show on that image (default: the three "
                        "genes that differ most between the spots of the slide)")  # fmt: skip
    parser.add_argument("--gene-table", metavar="FILE", help="table of symbols and Ensembl ids: a slide with ids is "
                        "asked by symbols, too, and pictures show both")  # fmt: skip
    parser.add_argument("--workers", type=positive, default=cpu_count(), help=PROCESSES)
    return parser.parse_args()


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    run(main)
