"""Find slides that a root shares with another collection, such as HEST-1k, and write the list to leave out.

OTHER is a root, a folder of HEST-1k, or HEST's table of samples (HEST_v1_1_0.csv), which gives publications alone.
Slides are compared by publication (pmids, titles) and by content, as leaks.py does. --exclude takes the written file.
"""

import argparse
from collections import Counter
from pathlib import Path

import stimage
from stimage.cli.options import SLIDES_OF, add_filters, counted, root_of, run

CONTENT = ("counts", "image")


def main() -> None:
    args = parse_arguments()
    content = () if args.content == ["none"] else args.content
    root = root_of(args)
    found = stimage.overlap(root, args.other, content=content, out=args.out, progress=None)
    for what, n in Counter(found.what).items():
        print(f"the same {what}: {counted(n, 'slide')}")
    print(f"{found.slide.nunique()} of {counted(len(root.slides), 'slide')}: {args.out}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help=SLIDES_OF)
    parser.add_argument("other", help="other collection: such a folder, or HEST's table of samples")
    parser.add_argument("--content", nargs="+", choices=(*CONTENT, "none"), default=CONTENT,
                        help="content of slides to compare, besides publications; none compares publications alone "
                        "(default: counts image)")  # fmt: skip
    add_filters(parser)
    parser.add_argument("--out", type=Path, required=True, help="CSV file to write, with the column slide")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
