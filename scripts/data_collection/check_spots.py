"""Check every slide of a root: files, ids, geometry, scale, tissue, sharpness, counts, and the meta file.

Writes findings.csv, findings.parquet, results.json, a picture of each slide with its spots, and report.html, a page to
look through them and to mark slides. The exit code is 1 if a check failed.
"""

import argparse
import io
import sys
from pathlib import Path

from joblib import cpu_count
from tqdm import tqdm

from stimage.cli.options import add_filters, add_scale, counted, filters_of, positive, run, techs_of
from stimage.collection.checks.running import PICTURES, check_all, count, with_twins, write_tables
from stimage.collection.page.report import write_report
from stimage.slides.catalog import read_catalog


def main() -> int:
    args = parse_arguments()
    catalog = read_catalog(args.root).with_scales(args.um_per_px).of_techs(techs_of(args))
    slides = catalog.select(filters_of(args), with_broken=True)
    args.out.mkdir(parents=True, exist_ok=True)
    work = check_all(catalog, slides, args.out, args.colour, args.workers)
    checked = list(tqdm(work, total=len(slides), unit="slide", disable=None))
    findings = with_twins(checked)
    for one in (one for some in findings.values() for one in some if one.status in ("fail", "warn")):
        print(f"{one.status}: {one.slide}: {one.check}: {one.message}" + (f" ({one.remedy})" if one.remedy else ""))
    configuration = {
        "root": str(args.root),
        "colour": args.colour,
        "slides": len(slides),
        "meta_file": catalog.meta_file,
    }
    write_tables(args.out, findings, configuration)
    pictures = {one.slide.name: f"{PICTURES}/{one.slide.name}.jpg" for one in checked if one.picture}
    title = f"Slides of {Path(args.root).name}"
    write_report(args.out / "report.html", title, slides, findings, pictures, catalog.meta_file)
    counts = count(findings)
    print(f"{counted(len(slides), 'slide')}: " + ", ".join(f"{n} {status}" for status, n in counts.items()))
    print(f"page: {args.out / 'report.html'}; tables: findings.csv, findings.parquet and results.json beside it")
    return 1 if counts["fail"] else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="a folder laid out as the data set, or the URL of one")
    add_filters(parser)
    add_scale(parser)
    parser.add_argument("--out", type=Path, default=Path("out/check_spots"), help="folder to write (%(default)s)")
    parser.add_argument("--colour", default="counts", help="of the spots: counts, annotation, or a gene (%(default)s)")
    parser.add_argument("--workers", type=positive, default=cpu_count(), help="processes (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    run(main)
