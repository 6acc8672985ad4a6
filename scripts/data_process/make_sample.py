"""Make a small root in the data set's layout: slides of ST, Visium and Visium HD with a known structure.

Regions of the tissue differ in texture, stain and expressed genes. Images are PNG, JPEG and TIFF, and files have the
irregularities of real ones. The same seed makes the same bytes.
"""

import argparse
import inspect
import sys
from pathlib import Path

from stimage.sample.root import make_sample

DEFAULTS = {name: p.default for name, p in inspect.signature(make_sample).parameters.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write; it must be new or empty")
    for name, help_text in {
        "seed": "seed of all that is drawn; the same seed gives the same bytes",
        "genes": "number of genes of each species",
        "slides_per_study": "number of slides in each of the four ST and Visium studies",
        "st_side": "number of ST spots along a side",
        "visium_side": "number of Visium spots along a side",
        "hd_side": "number of Visium HD bins along a side",
    }.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=int, default=DEFAULTS[name], help=f"{help_text} (default: %(default)s)")
    args = vars(parser.parse_args())
    names = make_sample(**args)
    print(f"made {len(names)} slides in {args['out']}:", *names, sep="\n  ")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
