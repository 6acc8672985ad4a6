"""Publish a root as a folder of Parquet shards that load_dataset reads without our code, here or on the Hub.

After an interruption, or when slides were added, run the same command again: finished shards are kept. README.md is
written last, so a folder with a README.md is complete.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from joblib import cpu_count

import stimage
from stimage import jobs, publishing
from stimage.cli.options import (
    PROCESSES,
    PUBLIC,
    ROOT,
    add_filters,
    add_reading,
    add_splits,
    patch_of,
    positive,
    root_of,
    run,
)


def main() -> int:
    args = parse_arguments()
    root, patch = root_of(args), patch_of(args)
    if args.engine == "slurm" or args.share:
        options = publishing.ShardOptions(
            patch, args.image_format, args.jpeg_quality, spots_per_shard=args.spots_per_shard
        )
        plan = jobs.plan_publishing(root, args.out, options, args.cells)
        if args.share:
            return 1 if jobs.build_shards(plan, workers=args.workers, part=args.share, progress=None) else 0
        if args.push_to_hub:
            publishing.open_repository(args.push_to_hub, args.public)
        return submit(args, plan)
    published = stimage.publish(
        root, args.out, patch=patch, image_format=args.image_format, jpeg_quality=args.jpeg_quality,
        spots_per_shard=args.spots_per_shard, cells=args.cells, push_to_hub=args.push_to_hub, public=args.public,
        license=args.license, engine=args.engine, workers=args.workers, progress=None,
    )  # fmt: skip
    for note in published.notes:
        print(f"note: {note}", file=sys.stderr)
    print(published.report)
    print(
        f"done: {published.folder}; load it with load_dataset({str(published.folder)!r}, split='train', streaming=True)"
    )
    if published.address:
        print(f"uploaded: {published.address}")
    return 0


def submit(args: argparse.Namespace, plan: publishing.Plan) -> int:
    """Hand the same command to Slurm, to be run by local processes of its nodes."""
    command = [sys.executable, str(Path(__file__).absolute()), *sys.argv[1:], "--engine", "local"]
    array, last = publishing.submit_slurm(plan.out, command, args.tasks, args.workers, args.sbatch)
    print(f"submitted: job {array} makes the shards, job {last} finishes; logs are in {plan.out}/.build/slurm")
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help=ROOT)
    parser.add_argument("out", type=Path, help="folder to publish: a new one, or the one of an earlier run")
    add_filters(parser)
    add_reading(parser)
    parser.add_argument("--image-format", choices=("png", "jpeg"), default="png", help="format of the patches: png is "
                        "lossless (default: %(default)s)")  # fmt: skip
    parser.add_argument("--jpeg-quality", type=int, choices=range(1, 101), default=95, metavar="1-100",
                        help="quality of JPEG patches (default: %(default)s)")  # fmt: skip
    parser.add_argument("--spots-per-shard", type=positive, default=20_000, help="number of spots in one shard of a "
                        "large slide (default: %(default)s)")  # fmt: skip
    parser.add_argument("--cells", action="store_true", help="add the number of cells of each class, and their density")
    add_splits(parser)
    parser.add_argument("--seed", dest="split_seed", type=int, help=argparse.SUPPRESS)  # names of earlier versions
    parser.add_argument("--fractions", dest="split_fractions", nargs=3, type=float, help=argparse.SUPPRESS)
    how = parser.add_argument_group("execution")
    how.add_argument("--engine", choices=("local", "slurm", "ray"), default="local", help="what runs the jobs: "
                     "processes on this machine, a Slurm array, or Ray (default: %(default)s)")  # fmt: skip
    how.add_argument("--workers", type=positive, default=cpu_count(), help=PROCESSES)
    how.add_argument("--tasks", type=positive, default=16, help="number of jobs in the Slurm array (default: "
                     "%(default)s)")  # fmt: skip
    how.add_argument("--sbatch", action="append", default=[], metavar="OPTION", help="an option for sbatch, such as "
                     "--sbatch=--time=60")  # fmt: skip
    how.add_argument("--share", help=argparse.SUPPRESS)
    hub = parser.add_argument_group("Hub")
    hub.add_argument("--push-to-hub", metavar="REPO", help="upload the folder as this data set; a new data set is "
                     "private")  # fmt: skip
    hub.add_argument("--public", action="store_true", help=PUBLIC)
    hub.add_argument("--license", help="licence of the data, for the card, such as cc-by-4.0")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
