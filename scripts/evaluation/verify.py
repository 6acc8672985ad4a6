"""Compute the results of benchmarks, probes and predictions again from the saved predictions, and list differences.

The digests in manifest.json show a single altered byte of any file. An altered figure, interval or ceiling is found
even if its digest was altered, too. With --embeddings, the saved regressors are applied to the embeddings, and must
give the saved predictions. A benchmark keeps its own embeddings, and its tables are made again from its results. The
exit code is 1 if anything differs.
"""

import argparse
from pathlib import Path

import stimage
from stimage.cli.options import RESULTS, run


def main() -> int:
    args = parse_arguments()
    wrong = stimage.verify(args.results, args.embeddings)
    print("\n".join(wrong) if wrong else f"{args.results}: all figures are those of the predictions")
    return 1 if wrong else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help=RESULTS)
    parser.add_argument("--embeddings", type=Path, help="embeddings that were scored: a folder or a file; with them, "
                        "the saved regressors are applied again")  # fmt: skip
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
