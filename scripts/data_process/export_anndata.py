"""Write slides as .h5ad files for scanpy and squidpy: counts, metadata, coordinates, and an image with its scale.

One file a slide, or one for all with --one-file, which then has the genes that all slides have, or those of a panel.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from stimage import examples, formats
from stimage.cli.options import add_filters, add_naming, add_scale, counted, naming_of, positive, run, selection_of
from stimage.genes.normalise import NORMALISATIONS
from stimage.genes.panels import Panel
from stimage.slides.catalog import ON_MISMATCH, Slide, read_catalog
from stimage.slides.images.patches import Patch
from stimage.slides.images.views import IMAGE_PX


def main() -> None:
    args = parse_arguments()
    panel = Panel.read(args.panel, args.gene_table) if args.panel else None
    slides = selection_of(args, args.on_mismatch).select_from(read_catalog(args.root).with_scales(args.um_per_px))
    slides = examples.Opening(Patch(), panel, args.on_mismatch).kept(slides)
    options = (None if panel else naming_of(args), panel, args.normalise, args.image_px, args.on_mismatch)
    if args.one_file:
        formats.write_h5ad(slides, args.out, *options, progress=with_bar)
    else:
        for slide in with_bar(slides):
            formats.write_h5ad([slide], args.out / f"{slide.name}.h5ad", *options)
    print(f"{counted(len(slides), 'slide')}: {args.out}")


def with_bar(slides: Iterable[Slide]) -> tqdm:
    """Show on a terminal how far it is."""
    return tqdm(slides, unit="slide", disable=None)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="a folder laid out as the data set, or the URL of one")
    add_filters(parser)
    add_naming(parser)
    add_scale(parser)
    parser.add_argument("--panel", type=Path, help="panel file: write its genes only, under the names that it has")
    parser.add_argument("--normalise", choices=NORMALISATIONS, default="counts",
                        help="as in the builder; original needs a panel (%(default)s, as in the files)")  # fmt: skip
    parser.add_argument("--one-file", action="store_true", help="write all slides into the file --out")
    parser.add_argument("--image-px", type=positive, default=IMAGE_PX, help="longer side of the image (%(default)s)")
    parser.add_argument("--on-mismatch", choices=ON_MISMATCH, default="error",
                        help="of spots that not all files have, and slides that lack a file or a gene of the panel: "
                        "stop, or leave them out (%(default)s)")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="folder to write, or file with --one-file")
    args = parser.parse_args()
    if args.normalise == "original" and not args.panel:
        parser.error("--normalise original is of a panel's genes: pass --panel too")
    return args


if __name__ == "__main__":
    run(main)
