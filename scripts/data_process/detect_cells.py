"""Find the nuclei of slides without a GPU, and take them into the root, as cells/SLIDE.parquet.

By colour deconvolution, a threshold and a watershed: a baseline beside trained segmenters, whose cells import_cells.py
takes. Nuclei have no class. Their centres, outlines, areas, ellipticity, haematoxylin and density are written.
"""

import argparse

import stimage
from stimage.cli.options import add_filters, add_image_limit, add_scale, counted, root_of, run


def main() -> None:
    args = parse_arguments()
    table = stimage.detect_cells(root_of(args), progress=True)
    for name, row in table.iterrows():
        print(f"{name}: {int(row.cells):,} nuclei; medians: area {row.area:.0f} µm², {row.density:,.0f} per mm² around")
    print(f"{counted(len(table), 'slide')}: {args.root}/cells")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="a folder laid out as the data set")
    add_filters(parser)
    add_scale(parser)
    add_image_limit(parser)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
