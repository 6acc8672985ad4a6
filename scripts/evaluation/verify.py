"""Compute results again from the predictions beside them, and say what differs: of benchmarks, probes, predictions.

One altered byte of any file is found by its digest in manifest.json; an altered figure, interval or ceiling also where
the digest was altered with it. With the embeddings, the saved regressors are applied to them, and have to give the
saved predictions; a benchmark keeps its embeddings itself, and its tables are made again from its results. Ends with
1 if anything differs.
"""

import argparse
from pathlib import Path

import stimage
from stimage.cli.options import run


def main() -> int:
    args = parse_arguments()
    wrong = stimage.verify(args.results, args.embeddings)
    print("\n".join(wrong) if wrong else f"{args.results}: all figures are those of the predictions")
    return 1 if wrong else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="a folder of results, or of many")
    parser.add_argument("--embeddings", type=Path, help="that were scored: a folder or a file")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
