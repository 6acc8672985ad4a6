"""Describe a published folder as Croissant metadata, metadata.json, which data set catalogues and loaders read.

mlcroissant checks the file where it is installed. For a public data set, the Hub makes such metadata by itself.
"""

import argparse
from pathlib import Path

import stimage
from stimage.cli.options import run


def main() -> None:
    args = parse_arguments()
    print(stimage.write_croissant(args.folder, repo=args.repo, license=args.license))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder that build_shards.py wrote")
    parser.add_argument("--repo", help="name of the data set on the Hub that the folder was pushed to; the metadata "
                        "then names the files there")  # fmt: skip
    parser.add_argument("--license", help="licence of the data, such as cc-by-4.0")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
