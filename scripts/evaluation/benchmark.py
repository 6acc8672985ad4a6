"""Compare encoders on many tasks, HEST-Benchmark's own or tasks on the slides of a root, and write a table.

First, the command prints a plan: what is embedded, and about how long that takes. Embeddings are made once for each
encoder. After an interruption, run the same command again: it continues. OUT gets the results of each task and encoder,
and tables with 95 % intervals and paired differences. Baselines are always in the table, among them each encoder with
random weights. verify.py computes all figures again.

For a root, --tasks takes names that tasks.py lists, or YAML files. For a download of MahmoodLab/hest-bench, the tasks
are its folders (IDC, PRAD …), with its own splits and genes, and --heads takes:

ridge-pca256   ridge regression on 256 principal components: HEST's official protocol
ridge          ridge regression on the embeddings as they are: also an official protocol
random-forest  70 trees per gene, from scikit-learn (HEST uses another library)
xgboost        gradient boosting, from the extra xgboost
"""

import argparse
from pathlib import Path
from typing import Any

from stimage import evaluation, jobs, towers
from stimage.cli.options import TRUST, add_filters, add_reading, add_splits, positive, root_of, run
from stimage.cli.towers import add_patch, asked_of

HEADS = ("ridge-pca256", "ridge", "random-forest", "xgboost")


def main() -> None:
    args = parse_arguments()
    is_hest = any(Path(args.root).glob("*/splits"))
    bench: Any = open_hest(args) if is_hest else open_root(args)
    print(jobs.plan_words(bench.plan()), flush=True)
    if args.plan:
        return
    found, names = called(bench.run(None), [one.name for one in bench.encoders], args)
    tables = jobs.write_tables(found, names, args.out)
    if is_hest:
        print("mean Pearson's r, ± standard deviation over folds:")
    for table in tables.values():
        print(evaluation.format_table(table, "markdown"))
    shown = jobs.as_units(found) if is_hest else found
    page = jobs.write_page(shown, names, args.out, f"{'HEST-Benchmark' if is_hest else 'tasks'} on {args.root}")
    evaluation.seal_all(args.out)
    print(f"tables: {', '.join(f'{args.out}/{name}.md' for name in tables)}; .tex and .csv beside them, and units.csv")
    print(f"page: {page}")


def called(found: Any, encoders: list[str], args: argparse.Namespace) -> tuple[Any, list[str]]:
    """Return the table and its encoders under the names that were given."""
    given = dict(zip(args.encoders, args.names or args.encoders))
    given |= {f"{towers.UNTRAINED}{encoder}": f"{towers.UNTRAINED}{name}" for encoder, name in given.items()}
    names = [given.get(name, name) for name in encoders]
    others = set(found.encoder) - set(encoders)
    if twice := [name for name in names if names.count(name) > 1 or name in others]:
        raise ValueError(f"--names: {twice[0]} is the name of two in the table; name each otherwise")
    return found.assign(encoder=[given.get(name, name) for name in found.encoder]), names


def open_hest(args: argparse.Namespace) -> Any:
    """Return HEST-Benchmark as it was asked for."""
    return jobs.open_hest(args.root, args.encoders, args.out, args.tasks, args.heads, args.untrained, args.batch_size,
                          args.dtype, args.seed, args.seen)  # fmt: skip


def open_root(args: argparse.Namespace) -> Any:
    """Return the tasks of a root as they were asked for."""
    if not args.tasks:
        raise ValueError("a root needs tasks= (--tasks): stimage tasks lists them")
    cut, code = asked_of(args), {"trust_remote_code": args.trust_remote_code} if args.trust_remote_code else {}
    return jobs.open_benchmark(
        root_of(args), args.encoders, args.out, args.tasks, args.untrained, args.seen, dtype=args.dtype,
        patch=cut.patch, upsample=cut.upsample, pyramid=cut.pyramid, batch_size=args.batch_size, workers=args.workers,
        **code,
    )  # fmt: skip


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="root, or a download of MahmoodLab/hest-bench: a folder")
    parser.add_argument("--encoders", nargs="+", required=True, help="encoders to compare: presets, folders or names "
                        "of models, or finished embeddings (a folder that embed_spots.py wrote, a .parquet file or a "
                        ".csv file)")  # fmt: skip
    parser.add_argument("--names", nargs="+", help="names of the encoders in the tables, one each (default: the "
                        "encoders as they are given)")  # fmt: skip
    parser.add_argument("--tasks", nargs="+", help="tasks to run; for a root: names that tasks.py lists, or YAML "
                        "files; for hest-bench: IDC PRAD …, or all (default for hest-bench: all)")  # fmt: skip
    parser.add_argument("--plan", action="store_true", help="print the plan, and run nothing")
    parser.add_argument("--no-untrained", dest="untrained", action="store_false", help="leave out the encoders with "
                        "random weights")  # fmt: skip
    parser.add_argument("--seen", choices=("error", "drop", "score"), default="error", help="what to do with slides "
                        "that an encoder was trained on: error stops, drop leaves them out for all encoders (root "
                        "only), score scores them all the same (default: %(default)s)")  # fmt: skip
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=["ridge-pca256"], help="hest-bench only: heads to "
                        "fit on the embeddings (default: ridge-pca256)")  # fmt: skip
    parser.add_argument("--batch-size", type=positive, default=64, help="number of patches embedded at once (default: "
                        "%(default)s)")  # fmt: skip
    parser.add_argument("--workers", type=int, default=0, help="number of reading processes; 0 reads in threads "
                        "(default: %(default)s)")  # fmt: skip
    parser.add_argument("--dtype", choices=("official", "float32", "bfloat16", "float16"), default="official",
                        help="precision of the encoders; official is the preset's own, and float32 for other encoders "
                        "(default: %(default)s)")  # fmt: skip
    parser.add_argument("--trust-remote-code", action="store_true", help=TRUST)
    parser.add_argument("--seed", type=int, default=1, help="hest-bench only: seed of PCA and random forests (default: "
                        "%(default)s, as in HEST)")  # fmt: skip
    add_filters(parser)
    add_reading(parser)
    add_patch(parser)
    add_splits(parser, parts=True)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    args = parser.parse_args()
    if args.names and len({*args.names}) != len(args.encoders):
        parser.error(f"--names: {len({*args.names})} names for {len(args.encoders)} encoders; give each its own")
    return args


if __name__ == "__main__":
    run(main)
