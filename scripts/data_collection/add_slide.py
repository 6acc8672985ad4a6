"""Add a slide in another public format to a root: Space Ranger's folder outs, an AnnData file (.h5ad), a SpatialData
store, or tables of legacy ST; or an image alone, on whose tissue a lattice of spots is laid.

Its counts, coordinates, image, labels and row of the meta file are written as the data set has them. A slide that is
there under the same name is replaced.
"""

import argparse
from pathlib import Path

import stimage
from stimage.cli.options import run
from stimage.slides.catalog import TECHS
from stimage.slides.counts.converting import WRITERS
from stimage.slides.spots import open_spots

CELLULAR = 1.0  # µm/px, at which cells can be seen


def main() -> None:
    args = parse_arguments()
    options = {name: value for name, value in vars(args).items() if name not in ("source", "out")}
    if args.involve_cancer:
        options["involve_cancer"] = args.involve_cancer == "True"
    slide = stimage.add_slide(args.source, args.out, **options)
    spots = open_spots(slide)
    known, labelled, px = spots.scale, len(spots) - spots.annotation.null_count, 2 * spots.r[0]
    scale = f"{known.um_per_px:.3g} µm/px" if known.um_per_px else f"µm/px {known.reason}"
    by = f" by {known.source}" if known.source else ""
    print(f"{slide.name}: {len(spots):,} spots, {labelled:,} of them labelled, {len(spots.genes):,} genes, "
          f"{scale}{by}, spots of {px:.0f} px: {args.out}/{slide.tech}")  # fmt: skip
    if not args.image and not slide.image_alone and not 0 < (known.um_per_px or 0) <= CELLULAR:
        print(f"note: the image is the one in {args.source}: {scale}, a patch has {px:.0f} px; to see "
              "cells, add the slide again with the full-resolution image as --image")  # fmt: skip


def above_0(text: str) -> float:
    """Return a number above 0."""
    if not 0 < (number := float(text)) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: must be a number above 0")
    return number


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="Space Ranger's outs (Visium HD: outs/binned_outputs/square_008um), "
                        "a .h5ad file of one slide, a SpatialData store (.zarr), a table of legacy ST's counts or "
                        "its folder, or an image alone")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="ROOT", help="root to add it to; may be new")
    parser.add_argument("--slide", required=True, help="its name, which begins its spots' ids")
    parser.add_argument("--image", type=Path, help="the full-resolution image, or the name of one in the store; "
                        "without it, the one of the source that shows most")  # fmt: skip
    parser.add_argument("--positions", type=Path, help="for legacy ST: the spot detector's table, or the alignment "
                        "matrix, if none of this sample lies beside the counts")  # fmt: skip
    parser.add_argument("--spot-diameter", type=above_0,
                        help="pixels of the full-resolution image, if the source does not say it")  # fmt: skip
    parser.add_argument("--on-mismatch", choices=("error", "drop"), default="error",
                        help="if spots lie beyond the image: refuse the slide, or leave these spots out")  # fmt: skip
    parser.add_argument("--um-per-px", type=above_0,
                        help="µm per pixel of the full-resolution image, if the source does not say it")  # fmt: skip
    parser.add_argument("--tech", choices=TECHS, help="technology, if it is not what the source says; of an image "
                        "alone, the lattice: Visium is hexagonal (default), ST square, VisiumHD bins")  # fmt: skip
    add_lattice(parser)
    for name in ("species", "tissue", "pmid", "title"):
        parser.add_argument(f"--{name}", default="", help="for the meta file")
    parser.add_argument("--involve-cancer", choices=("True", "False"), help="for the meta file")
    parser.add_argument(
        "--layer", help="for a .h5ad or a store: the layer of raw counts, if X has others; raw is its .raw"
    )
    parser.add_argument("--library", help="for a .h5ad or a store of several slides, or of several bins: the "
                        "one to take")  # fmt: skip
    parser.add_argument("--genome", help="for counts of several genomes: the one to keep, as the source calls it")
    add_labels(parser)
    parser.add_argument(
        "--rebin", type=int, metavar="µM", help="for Visium HD: add bins to larger ones of so many µm, as 8"
    )
    parser.add_argument(
        "--trust-coordinates", action="store_true", help="do not ask whether the spots lie on the image's tissue"
    )
    parser.add_argument("--as", dest="counts_as", choices=tuple(WRITERS), default="h5",
                        help="form of the counts: HDF5, as they are; or the wide CSV (%(default)s)")  # fmt: skip
    args = parser.parse_args()
    if not args.source.exists():
        parser.error(f"{args.source}: there is no such file or folder")
    return args


def add_lattice(parser: argparse.ArgumentParser) -> None:
    """Add what may be said of the spots that are laid on an image alone."""
    parser.add_argument("--pitch-um", type=above_0, help="for an image alone: µm from a spot to the next (100; ST 200; "
                        "VisiumHD 8)")  # fmt: skip
    parser.add_argument("--spot-um", type=above_0, help="for an image alone: µm across a spot (55 of 100; ST 100 of "
                        "200)")  # fmt: skip
    parser.add_argument("--whole-image", action="store_true",
                        help="for an image alone: lay spots on all of it, not on its tissue alone")  # fmt: skip


def add_labels(parser: argparse.ArgumentParser) -> None:
    """Add where labels are, and which of a table's."""
    parser.add_argument("--labels", help="a column of obs, or a table: barcode, label (as Loupe exports); "
                        "without it, an annotation that is there is kept")  # fmt: skip
    parser.add_argument("--label-column", help="column of labels in their table, if it has several")
    parser.add_argument("--label-run", metavar="N", help="the number behind this slide's barcodes in the table "
                        "of labels of an aggregated run: 2 of ACGT-2")  # fmt: skip


if __name__ == "__main__":
    run(main)
