"""List the shipped tasks of benchmarks, and what each has in a root: units, slides, studies, spots.

With a meta file (.csv) in place of a root, the slides of the whole collection are counted without their files.
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
    parser.add_argument("root", nargs="?", help="root whose slides are counted for each task, or a meta file (default: "
                        "tasks are listed without counts)")  # fmt: skip
    parser.add_argument("--tasks", nargs="+", help="names of tasks, or YAML files (default: all shipped tasks)")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
