"""Write slide images as tiled pyramids for cell segmenters and viewers, such as CellViT, OpenSlide and QuPath.

SLIDE.tif has tiles of 256 pixels. Its resolution tags give µm per pixel, and its description gives µm per pixel and
magnification as Aperio's scanners do. A slide without a known µm per pixel is refused: give it by --um-per-px.
"""

import argparse
from pathlib import Path

import stimage
from stimage.cli.options import (
    COMPRESSION,
    OUT,
    QUALITY,
    ROOT,
    add_filters,
    add_image_limit,
    add_scale,
    counted,
    positive,
    root_of,
    run,
)
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
    parser.add_argument("root", help=ROOT)
    add_filters(parser)
    add_scale(parser)
    parser.add_argument("--compression", choices=COMPRESSIONS, default="jpeg", help=COMPRESSION)
    parser.add_argument("--quality", type=positive, default=90, help=QUALITY)
    parser.add_argument("--ome", action="store_true", help="describe the image by OME-XML, with the smaller levels as "
                        "sub-pages, as Bio-Formats reads it; the file is SLIDE.ome.tif")  # fmt: skip
    add_image_limit(parser)
    parser.add_argument("--out", type=Path, default=Path("out/pyramids"), help=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
