"""Turn a root into a folder of Parquet shards that `load_dataset` reads with no code of ours, here or on the Hub.

Run again after an interruption, or when slides were added: what is done is kept. README.md is written last, so a
folder that has one is whole.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from joblib import cpu_count

from stimage.cli.options import (
    add_filters,
    add_reading,
    add_splits,
    patch_of,
    positive,
    run,
    selection_of,
    splitting_of,
)
from stimage.publishing.engines import ShardOutcome, run_local, run_ray, submit_slurm
from stimage.publishing.finishing import write_folder_files
from stimage.publishing.plan import CARD, Plan, drop_stale, job_shards, make_plan
from stimage.publishing.progress import with_progress
from stimage.publishing.pushing import open_repository, push_folder
from stimage.publishing.shards import Shard, ShardOptions


def main() -> int:
    args = parse_arguments()
    options = ShardOptions(
        patch_of(args), args.image_format, args.jpeg_quality, args.on_mismatch, args.max_image_pixels,
        args.spots_per_shard,
    )  # fmt: skip
    plan = make_plan(selection_of(args, args.on_mismatch), args.out, options, splitting_of(args), args.um_per_px)
    repo = open_repository(args.push_to_hub, args.public) if args.push_to_hub and not args.share else "user/repo"
    if args.engine == "slurm":
        return submit(args, plan)
    failed = build(plan, args)
    if args.share:
        return 1 if failed else 0
    if failed:
        print(
            f"{len(failed)} of {len(plan.shards)} shards failed; {plan.out / CARD} is not written:",
            *failed,
            sep="\n",
            file=sys.stderr,
        )
        return 1
    done = plan.done()
    for warning in write_folder_files(plan, done, repo, args.license):
        print(f"note: {warning}", file=sys.stderr)
    print(plan.report(done))
    print(f"done: {plan.out}; load it with load_dataset({str(plan.out)!r}, split='train', streaming=True)")
    if args.push_to_hub:
        print(f"uploaded: {push_folder(plan.out, repo)}")
    return 0


def build(plan: Plan, args: argparse.Namespace) -> list[str]:
    """Make the shards that are missing, and return the errors."""
    done = plan.done()
    todo = [shard for shard in plan.shards if shard.name not in done]
    if args.share:
        k, n = map(int, args.share.split("/"))
        wanted = {shard.name for shard in job_shards(plan.shards, k, n)}
        todo = [shard for shard in todo if shard.name in wanted]
    else:
        drop_stale(plan)
    print(f"{plan.out}: {len(plan.shards)} shards, {len(todo)} to make", file=sys.stderr, flush=True)
    if not todo:
        return []
    (plan.out / CARD).unlink(missing_ok=True)
    spots = sum(shard.slide.about_spots // shard.parts for shard in todo)
    failed = []
    for outcome in with_progress(engine(args, todo), todo, spots):
        if outcome.error:
            failed.append(outcome.error)
        if outcome.fatal:
            break
    return failed


def engine(args: argparse.Namespace, shards: list[Shard]) -> Iterator[ShardOutcome]:
    """Run the shards the way that was asked for."""
    return (run_ray if args.engine == "ray" else run_local)(shards, args.workers)


def submit(args: argparse.Namespace, plan: Plan) -> int:
    """Hand the same command to Slurm, to be run by local processes of its nodes."""
    command = [sys.executable, str(Path(__file__).absolute()), *sys.argv[1:], "--engine", "local"]
    array, last = submit_slurm(plan.out, command, args.tasks, args.workers, args.sbatch)
    print(f"submitted: job {array} makes the shards, job {last} finishes; logs are in {plan.out}/.build/slurm")
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="a folder laid out as the data set, or the URL of one")
    parser.add_argument("out", type=Path, help="folder to publish; new, or of an earlier run")
    add_filters(parser)
    add_reading(parser)
    parser.add_argument("--image-format", choices=("png", "jpeg"), default="png", help="%(default)s, which is lossless")
    parser.add_argument(
        "--jpeg-quality", type=int, choices=range(1, 101), default=95, metavar="1-100", help="%(default)s"
    )
    parser.add_argument("--spots-per-shard", type=positive, default=20_000, help="of larger slides (%(default)s)")
    add_splits(parser)
    parser.add_argument("--seed", dest="split_seed", type=int, help=argparse.SUPPRESS)  # names of earlier versions
    parser.add_argument("--fractions", dest="split_fractions", nargs=3, type=float, help=argparse.SUPPRESS)
    how = parser.add_argument_group("how it is run")
    how.add_argument("--engine", choices=("local", "slurm", "ray"), default="local", help="%(default)s")
    how.add_argument("--workers", type=positive, default=cpu_count(), help="processes (%(default)s)")
    how.add_argument("--tasks", type=positive, default=16, help="jobs of the Slurm array (%(default)s)")
    how.add_argument("--sbatch", action="append", default=[], metavar="OPTION", help="for sbatch: --sbatch=--time=60")
    how.add_argument("--share", help=argparse.SUPPRESS)
    hub = parser.add_argument_group("Hub")
    hub.add_argument("--push-to-hub", metavar="REPO", help="upload it as this data set, private if it is new")
    hub.add_argument("--public", action="store_true", help="of a data set that all may see")
    hub.add_argument("--license", help="of the data, for the card")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
