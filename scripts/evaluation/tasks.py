"""List the tasks that are shipped, and what they are of in a root: units, slides, studies, spots.

With a meta file (.csv) in place of a root, the slides of the whole collection are counted, without their files.
"""

import argparse

import stimage
from stimage.cli.options import run


def main() -> None:
    args = parse_arguments()
    if args.root is None:
        print("\n".join(stimage.jobs.list_tasks()))
        return
    print(stimage.show_tasks(args.root, args.tasks or stimage.jobs.list_tasks()).to_string(index=False))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", help="a folder laid out as the data set, or a meta file")
    parser.add_argument("--tasks", nargs="+", help="names, or YAML files; without it, all that are shipped")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
