"""Publish a folder of results as a data set: a card, a table of all figures, and the files of predictions.

Results are published only if verify.py finds no difference. Embeddings that a benchmark keeps are not uploaded.
"""

import argparse
from pathlib import Path

import stimage
from stimage.cli.options import PUBLIC, RESULTS, run


def main() -> None:
    args = parse_arguments()
    found = stimage.publish_results(
        args.results, push_to_hub=args.push_to_hub, public=args.public, license=args.license
    )
    print(f"data set: {found.folder}: card and table of figures are README.md and figures.parquet")
    if found.address:
        print(f"uploaded: {found.address}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help=RESULTS)
    parser.add_argument("--push-to-hub", metavar="REPO", help="upload the results as this data set; a new data set is "
                        "private (default: nothing is uploaded)")  # fmt: skip
    parser.add_argument("--public", action="store_true", help=PUBLIC)
    parser.add_argument("--license", help="licence of the results, for the card, such as cc-by-4.0")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
