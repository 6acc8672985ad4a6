"""Write slides as .h5ad files for scanpy and squidpy: raw counts, metadata, coordinates, and an image with its scale.

One file a slide, or one for all with --one-file, which then has the genes that all slides have.
"""

import argparse
from pathlib import Path

from tqdm import tqdm

from stimage.arguments import add_filters, add_naming, filters_of, naming_of, positive, run, techs_of
from stimage.processing.anndata_files import IMAGE_PX, write_h5ad
from stimage.slides import open_spots, read_catalog
from stimage.slides.catalog import ON_MISMATCH


def main() -> None:
    args = parse_arguments()
    slides = read_catalog(args.root).of_techs(techs_of(args)).select(filters_of(args), args.on_mismatch)
    if args.one_file:
        write_h5ad([open_spots(slide, args.on_mismatch) for slide in slides], args.out, args.image_px, naming_of(args))
        print(f"{len(slides)} slides: {args.out}")
        return
    for slide in tqdm(slides, unit="slide", disable=None):
        write_h5ad(
            [open_spots(slide, args.on_mismatch)], args.out / f"{slide.name}.h5ad", args.image_px, naming_of(args)
        )
    print(f"{len(slides)} slides: {args.out}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="a folder laid out as the data set, or the URL of one")
    add_filters(parser)
    add_naming(parser)
    parser.add_argument("--one-file", action="store_true", help="write all slides into the file --out")
    parser.add_argument("--image-px", type=positive, default=IMAGE_PX, help="longer side of the image (%(default)s)")
    parser.add_argument("--on-mismatch", choices=ON_MISMATCH, default="error",
                        help="of spots that not all files have: stop, or leave them out (%(default)s)")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="folder to write, or file with --one-file")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
