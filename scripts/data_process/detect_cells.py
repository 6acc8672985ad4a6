"""Find the nuclei of slides without a GPU, and store them in the root as cells/SLIDE.parquet.

The method is colour deconvolution, a threshold and a watershed. It is a baseline beside trained segmenters, whose cells
import_cells.py takes. The file has the centre, outline, area, ellipticity, haematoxylin and local density of each
nucleus. The nuclei have no class.
"""

import argparse

import stimage
from stimage.cli.options import LOCAL_ROOT, add_filters, add_image_limit, add_scale, counted, root_of, run


def main() -> None:
    args = parse_arguments()
    table = stimage.detect_cells(root_of(args), progress=True)
    for name, row in table.iterrows():
        print(f"{name}: {int(row.cells):,} nuclei; medians: area {row.area:.0f} µm², {row.density:,.0f} per mm² around")
    print(f"{counted(len(table), 'slide')}: {args.root}/cells")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help=LOCAL_ROOT)
    add_filters(parser)
    add_scale(parser)
    add_image_limit(parser)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
