"""Add a slide to a root: from Space Ranger, .h5ad, SpatialData or legacy ST tables, or from an image alone.

The counts, coordinates, image, labels and the row of the meta file are written in the layout of the data set. A slide
of the same name is replaced. On the tissue of an image alone, a lattice of spots is laid.
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
    parser.add_argument("source", type=Path, help="Space Ranger's folder outs (Visium HD: "
                        "outs/binned_outputs/square_008um), a .h5ad file of one slide, a SpatialData store (.zarr), a "
                        "table of legacy ST counts or its folder, or an image alone")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="ROOT", help="root to add the slide to; a folder "
                        "that does not exist is made")  # fmt: skip
    parser.add_argument("--slide", required=True, help="name of the new slide, with which the ids of its spots begin")
    parser.add_argument("--image", type=Path, help="full-resolution image, or the name of an image in the store "
                        "(default: the finest image of the source)")  # fmt: skip
    parser.add_argument("--positions", type=Path, help="legacy ST only: table of the spot detector, or alignment "
                        "matrix (default: the one beside the counts)")  # fmt: skip
    parser.add_argument("--spot-diameter", type=above_0, help="diameter of a spot in pixels of the full-resolution "
                        "image, where the source does not give it")  # fmt: skip
    parser.add_argument("--on-mismatch", choices=("error", "drop"), default="error", help="what to do with spots "
                        "beyond the edge of the image: error refuses the slide, drop leaves these spots out (default: "
                        "%(default)s)")  # fmt: skip
    parser.add_argument("--um-per-px", type=above_0, help="µm per pixel of the full-resolution image, where the source "
                        "does not give it")  # fmt: skip
    parser.add_argument("--tech", choices=TECHS, help="technology, where the source does not give the right one; for "
                        "an image alone, the lattice: Visium is hexagonal, ST square, VisiumHD bins (default for an "
                        "image alone: Visium)")  # fmt: skip
    add_lattice(parser)
    add_meta(parser)
    add_counts(parser)
    add_labels(parser)
    parser.add_argument("--trust-coordinates", action="store_true", help="skip the check that the spots lie on the "
                        "tissue of the image")  # fmt: skip
    args = parser.parse_args()
    if not args.source.exists():
        parser.error(f"{args.source}: there is no such file or folder")
    return args


def add_counts(parser: argparse.ArgumentParser) -> None:
    """Add the options for the counts: those to take, and their form."""
    parser.add_argument("--layer", help="layer of a .h5ad or a store that has the raw counts; raw stands for .raw "
                        "(default: X)")  # fmt: skip
    parser.add_argument("--library", help="slide or bin size to take from a .h5ad or a store that has several")
    parser.add_argument("--genome", help="genome to keep, as the source names it, where the counts have several")
    parser.add_argument("--rebin", type=int, metavar="µM", help="Visium HD only: sum bins into larger ones with a side "
                        "of this many µm, such as 8")  # fmt: skip
    parser.add_argument("--as", dest="counts_as", choices=tuple(WRITERS), default="h5", help="form of the counts: h5 "
                        "is sparse HDF5, csv the wide CSV of the data set (default: %(default)s)")  # fmt: skip


def add_meta(parser: argparse.ArgumentParser) -> None:
    """Add the slide's values for the meta file."""
    for name, words in (
        ("species", "species"),
        ("tissue", "tissue"),
        ("pmid", "publication (PubMed id)"),
        ("title", "title"),
    ):
        parser.add_argument(f"--{name}", default="", help=f"{words} of the slide or its study, for the meta file")
    parser.add_argument("--involve-cancer", choices=("True", "False"), help="whether the tissue has cancer, for the "
                        "meta file")  # fmt: skip


def add_lattice(parser: argparse.ArgumentParser) -> None:
    """Add what may be said of the spots that are laid on an image alone."""
    parser.add_argument("--pitch-um", type=above_0, help="image alone only: µm from one spot to the next (default: "
                        "100; ST 200; VisiumHD 8)")  # fmt: skip
    parser.add_argument("--spot-um", type=above_0, help="image alone only: diameter of a spot in µm (default: 55 at a "
                        "pitch of 100, ST 100 at a pitch of 200)")  # fmt: skip
    parser.add_argument("--whole-image", action="store_true", help="image alone only: lay spots on the whole image, "
                        "and not on its tissue alone")  # fmt: skip


def add_labels(parser: argparse.ArgumentParser) -> None:
    """Add where labels are, and which of a table's."""
    parser.add_argument("--labels", help="labels of the spots: a column of obs, or a table with the columns barcode "
                        "and label, as Loupe exports it (default: keep the annotation that the root already "
                        "has)")  # fmt: skip
    parser.add_argument("--label-column", help="column that has the labels, where their table has several")
    parser.add_argument("--label-run", metavar="N", help="number behind the barcodes of this slide where the labels "
                        "come from an aggregated run: 2 for ACGT-2")  # fmt: skip


if __name__ == "__main__":
    run(main)
