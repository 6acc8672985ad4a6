"""Write Croissant metadata of a published folder, metadata.json, which catalogues of data sets and loaders read.

mlcroissant checks the file where it is installed. The Hub makes such metadata by itself of a public data set.
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
    parser.add_argument("folder", type=Path, help="what build_shards.py made")
    parser.add_argument("--repo", help="the data set of the Hub that the folder was pushed as: name the files there")
    parser.add_argument("--license", help="licence of the data")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
