"""Write slides' images as pyramids of tiles that segmenters of cells and viewers read: CellViT, OpenSlide, QuPath.

SLIDE.tif has tiles of 256 pixels, and says how many µm a pixel is: in its resolution tags and, with the
magnification, in a description as Aperio's scanners write it. A slide whose µm per pixel is neither given nor told by
the lattice of its spots is refused.
"""

import argparse
from pathlib import Path

import stimage
from stimage.cli.options import add_filters, add_image_limit, add_scale, counted, positive, root_of, run
from stimage.slides.images.pyramid import COMPRESSIONS


def main() -> None:
    args = parse_arguments()
    how = {"compression": args.compression, "quality": args.quality, "ome": args.ome}
    written = stimage.export_pyramid(root_of(args), args.out, **how, progress=True)
    for path in written.values():
        print(path)
    print(f"{counted(len(written), 'slide')}: {args.out}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="a folder laid out as the data set, or the URL of one")
    add_filters(parser)
    add_scale(parser)
    parser.add_argument("--compression", choices=COMPRESSIONS, default="jpeg",
                        help="all but jpeg keep pixels exactly (%(default)s)")  # fmt: skip
    parser.add_argument("--quality", type=positive, default=90, help="quality of jpeg, 1 to 100 (%(default)s)")
    parser.add_argument("--ome", action="store_true", help="describe the image by OME-XML, with the smaller levels as "
                        "sub-pages, as Bio-Formats reads it: SLIDE.ome.tif")  # fmt: skip
    add_image_limit(parser)
    parser.add_argument("--out", type=Path, default=Path("out/pyramids"), help="folder to write (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
