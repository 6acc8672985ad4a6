"""Make a small root in the data set's layout: slides of ST, Visium and Visium HD whose structure is known.

Regions of the tissue differ in texture, stain and expressed genes; images are PNG, JPEG and TIFF; files have the
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
    parser.add_argument("--out", type=Path, required=True, help="the folder to make; it must be empty if it exists")
    for name, help_text in {
        "seed": "what is drawn depends on it alone",
        "genes": "genes of a species",
        "slides_per_study": "slides of each of the four ST and Visium studies",
        "st_side": "ST spots along a side",
        "visium_side": "Visium spots along a side",
        "hd_side": "Visium HD bins along a side",
    }.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=int, default=DEFAULTS[name], help=f"{help_text} (%(default)s)")
    args = vars(parser.parse_args())
    names = make_sample(**args)
    print(f"made {len(names)} slides in {args['out']}:", *names, sep="\n  ")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
