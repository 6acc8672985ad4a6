"""Run HEST-Benchmark from a downloaded folder: its own splits, genes and protocols, for many encoders, and a table.

FOLDER is a download of MahmoodLab/hest-bench. Embeddings are made once for each encoder; the baselines colour and
position are always beside. The same command goes on after an interruption. OUT gets a folder TASK/HEAD/ENCODER with
results.json and predictions.parquet, which verify.py computes the figures from again, and tables.

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
    found = stimage.benchmark(
        args.folder, args.encoders, args.out, tasks=args.tasks, heads=args.heads, batch_size=args.batch_size,
        dtype=args.dtype, seed=args.seed, progress=None,
    )  # fmt: skip
    scores, apart = stimage.jobs.by_task(found), stimage.jobs.above_first(found, args.encoders[0])
    for form in evaluation.TABLE_FORMATS:
        for name, table in (("benchmark", scores), ("differences", apart)):
            write_text(args.out / f"{name}{SUFFIX[form]}", evaluation.format_table(table, form))
    print("mean Pearson's r, ± standard deviation over folds:")
    print(evaluation.format_table(scores, "markdown"))
    print(evaluation.format_table(apart, "markdown"))
    print(f"tables: {args.out}/benchmark.md, .tex and .csv, and differences beside them")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a download of MahmoodLab/hest-bench")
    parser.add_argument("--encoders", nargs="+", required=True, help="presets, folders or names of models")
    parser.add_argument("--tasks", nargs="+", help="such as IDC PRAD; without it, all of the folder")
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=["ridge-pca256"], help="(ridge-pca256)")
    parser.add_argument("--batch-size", type=positive, default=64, help="patches at once (%(default)s)")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32", help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of PCA and trees (%(default)s, as HEST's)")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
