"""Compute a benchmark's figures again from the predictions beside them, and say what differs.

One altered byte of a file of predictions is found, and one altered figure. Ends with 1 if anything differs.
"""

import argparse
from pathlib import Path

import stimage
from stimage.cli.options import run


def main() -> int:
    args = parse_arguments()
    wrong = stimage.verify(args.results)
    print("\n".join(wrong) if wrong else f"{args.results}: all figures are those of the predictions")
    return 1 if wrong else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="the folder that benchmark.py wrote, or one in it")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
