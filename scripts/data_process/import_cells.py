"""Take the cells that a segmenter found in a slide's image into the root, as cells/SLIDE.parquet.

FILE is cells.geojson, cell_detection.geojson or cell_detection.json of CellViT, JSON of HoVer-Net, GeoJSON of QuPath or
of Space Ranger 4, or a label image (a TIFF or .npy of integers) of StarDist or Cellpose. Its cells are to be in pixels
of the slide's image. Cells outside it, or on its background as often as on its tissue, are refused, with the factor
that would fit.
"""

import argparse
from collections import Counter
from pathlib import Path

import stimage
from stimage.cli.options import add_image_limit, add_scale, counted, root_of, run


def main() -> None:
    args = parse_arguments()
    how = {name: getattr(args, name) for name in ("classes", "factor", "swap", "drop_broken", "unchecked")}
    cells = stimage.import_cells(root_of(args), args.slide, args.file, **how)
    classes = Counter(cells.table["class"].to_pylist())
    told = ", ".join(f"{n:,} {name or 'of no class'}" for name, n in classes.most_common())
    print(f"{cells.slide}: {counted(len(cells), 'cell')} from {cells.source}: {told}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="a folder laid out as the data set")
    parser.add_argument("file", type=Path, help="the segmenter's file")
    parser.add_argument("--slide", required=True, help="the slide's name")
    parser.add_argument("--classes", metavar="MAP", help="what classes are called: pannuke, consep or monusac, the "
                        "training set whose names or numbers they are; keep, which takes names as they are; or a CSV "
                        "with the columns source and class")  # fmt: skip
    parser.add_argument("--factor", type=float, default=1.0, help="what places are multiplied by (%(default)s)")
    parser.add_argument("--swap", action="store_true", help="swap x and y")
    parser.add_argument("--drop-broken", action="store_true", help="leave out cells whose outline is broken")
    parser.add_argument("--unchecked", action="store_true", help="take cells wherever they lie")
    add_scale(parser)
    add_image_limit(parser)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
