"""Store the cells that a segmenter found in a slide's image in the root, as cells/SLIDE.parquet.

FILE is one of these: cells.geojson, cell_detection.geojson or cell_detection.json from CellViT; JSON from HoVer-Net;
GeoJSON from QuPath or Space Ranger 4; a label image (a TIFF or .npy of integers) from StarDist or Cellpose. Coordinates
of cells must be pixels of the slide's image. Cells outside the image are refused, and so are cells that lie on
background as often as on tissue. The error then names the factor that would fit.
"""

import argparse
from collections import Counter
from pathlib import Path

import stimage
from stimage.cli.options import LOCAL_ROOT, add_image_limit, add_scale, counted, root_of, run


def main() -> None:
    args = parse_arguments()
    how = {name: getattr(args, name) for name in ("classes", "factor", "swap", "drop_broken", "unchecked")}
    cells = stimage.import_cells(root_of(args), args.slide, args.file, **how)
    classes = Counter(cells.table["class"].to_pylist())
    told = ", ".join(f"{n:,} {name or 'of no class'}" for name, n in classes.most_common())
    print(f"{cells.slide}: {counted(len(cells), 'cell')} from {cells.source}: {told}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help=LOCAL_ROOT)
    parser.add_argument("file", type=Path, help="file that the segmenter wrote")
    parser.add_argument("--slide", required=True, help="name of the slide")
    parser.add_argument("--classes", metavar="MAP", help="names of the classes: pannuke, consep or monusac for the "
                        "training set of the segmenter; keep to leave the names as they are; or a CSV with the columns "
                        "source and class")  # fmt: skip
    parser.add_argument("--factor", type=float, default=1.0, help="factor by which coordinates are multiplied "
                        "(default: %(default)s)")  # fmt: skip
    parser.add_argument("--swap", action="store_true", help="swap x and y")
    parser.add_argument("--drop-broken", action="store_true", help="leave out cells with a broken outline")
    parser.add_argument("--unchecked", action="store_true", help="skip the check that the cells lie on the tissue of "
                        "the image")  # fmt: skip
    add_scale(parser)
    add_image_limit(parser)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
