"""Find leaks through a split by content: one image, count table, study or patient on two sides, under any name.

SPLIT is a CSV with the columns slide (or sample_id) and split, or a CSV with one column of names for each of train, val
and test. It may also be a folder of folds, train_0.csv, test_0.csv and so on, as in HEST-Benchmark and STFlow.

leak       the same counts (shuffled, renamed, or a part of them), the same image (cut, scaled, turned, or in another
           format), one patient, one study
suspected  sections of one piece of tissue, by their expression; a study whose patients are known and differ

The exit code is 1 if there is a leak, and 0 if something is only suspected.
"""

import argparse
from collections import Counter
from pathlib import Path

import stimage
from stimage.cli.options import SLIDES_OF, add_filters, counted, root_of, run
from stimage.core.errors import shown

CONTENT = ("counts", "image")


def main() -> int:
    args = parse_arguments()
    content = () if args.content == ["none"] else args.content
    found = stimage.leaks(args.split, root_of(args), patients=args.table, content=content,
                          out=args.out, progress=None)  # fmt: skip
    if missing := found.attrs["missing"]:
        print(f"note: {len(missing)} slides of the split are not in the root, and not looked at: {shown(missing, 5)}")
    for status, what, fold, slides, evidence in found.values.tolist():
        where = f" ({fold})" if fold else ""
        print(f"{status}{where}: {stimage.collection.WORDS[what]}: {stimage.jobs.by_part(slides)}: {evidence}")
    statuses = Counter(found.status)
    print(f"{counted(statuses['leak'], 'leak')}, {statuses['suspected']} suspected")
    return 1 if statuses["leak"] else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("split", type=Path, help="table of splits, or a folder of folds")
    parser.add_argument("root", help=SLIDES_OF)
    parser.add_argument("--patients", dest="table", metavar="FILE", help="CSV with the columns slide and patient")
    parser.add_argument("--content", nargs="+", choices=(*CONTENT, "none"), default=CONTENT,
                        help="content of slides to compare; none compares studies and patients alone (default: counts "
                        "image)")  # fmt: skip
    add_filters(parser)
    parser.add_argument("--out", type=Path, help="CSV file to write the findings to (default: none is written)")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
