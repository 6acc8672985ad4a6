"""Compare many encoders on many tasks: HEST-Benchmark's own, or tasks of a root's slides; and write a table.

Embeddings are made once for each encoder. The same command goes on after an interruption. OUT gets the results of each
task and encoder, and tables with 95 % intervals and paired differences; baselines are always beside.

Of a ROOT, --tasks names what tasks.py lists, or YAML files. Of a download of MahmoodLab/hest-bench, tasks are its
folders (IDC, PRAD …), with its own splits and genes; verify.py computes these figures again. --heads are then:

ridge-pca256   ridge regression on 256 principal components, and
ridge          on embeddings as they are: the two official protocols
random-forest  70 trees a gene (scikit-learn's, HEST has another library's); xgboost, if it is installed
"""

import argparse
from pathlib import Path

import stimage
from stimage import evaluation
from stimage.cli.options import positive, run
from stimage.core.files import write_text

HEADS = ("ridge-pca256", "ridge", "random-forest", "xgboost")
SUFFIX = {"markdown": ".md", "latex": ".tex", "csv": ".csv"}


def main() -> None:
    args = parse_arguments()
    how = {"batch_size": args.batch_size, "dtype": args.dtype, "progress": None}
    if any(Path(args.root).glob("*/splits")):
        found = stimage.benchmark(args.root, args.encoders, args.out, tasks=args.tasks, heads=args.heads,
                                  seed=args.seed, **how)  # fmt: skip
        scores, apart = stimage.jobs.by_task(found), stimage.jobs.above_first(found, args.encoders[0])
        print("mean Pearson's r, ± standard deviation over folds:")
    else:
        if not args.tasks:
            raise ValueError("a root needs tasks= (--tasks): stimage tasks lists them")
        found = stimage.benchmark_root(args.root, args.encoders, args.out, args.tasks, **how)
        scores, apart = stimage.jobs.by_unit(found), stimage.jobs.apart_by_unit(found, args.encoders)
    for form in evaluation.TABLE_FORMATS:
        for name, table in (("benchmark", scores), ("differences", apart)):
            write_text(args.out / f"{name}{SUFFIX[form]}", evaluation.format_table(table, form))
    print(evaluation.format_table(scores, "markdown"))
    print(evaluation.format_table(apart, "markdown"))
    print(f"tables: {args.out}/benchmark.md, .tex and .csv, and differences beside them")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="a folder laid out as the data set, or a download of MahmoodLab/hest-bench")
    parser.add_argument("--encoders", nargs="+", required=True, help="presets, folders or names of models")
    parser.add_argument("--tasks", nargs="+", help="of a root: names or YAML files; of hest-bench: IDC PRAD …, or all")
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=["ridge-pca256"], help="(ridge-pca256)")
    parser.add_argument("--batch-size", type=positive, default=64, help="patches at once (%(default)s)")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32", help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of PCA and trees (%(default)s, as HEST's)")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
