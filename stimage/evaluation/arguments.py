"""What the scripts on annotated spots have in common: options, and the spots that these name."""

import argparse
from pathlib import Path

from stimage.arguments import add_filters, filters_of, techs_of
from stimage.evaluation.embeddings import read_embeddings
from stimage.evaluation.labels import Labelled, read_labelled
from stimage.slides import read_catalog
from stimage.slides.catalog import ON_MISMATCH


def add_labelled(parser: argparse.ArgumentParser, out: str) -> None:
    """Add embeddings, root, filters, and the folder to write."""
    parser.add_argument(
        "--embeddings", type=Path, required=True, help="folder of Parquet files, one Parquet file, or a CSV"
    )
    parser.add_argument("--root", required=True, help="a folder laid out as the data set, or the URL of one")
    parser.add_argument("--on-mismatch", choices=ON_MISMATCH, default="error",
                        help="labelled spots without an embedding: stop, or leave them out (%(default)s)")  # fmt: skip
    add_filters(parser)
    parser.add_argument("--out", type=Path, default=Path(out), help="folder to write (%(default)s)")


def labelled_of(args: argparse.Namespace) -> Labelled:
    """Read the annotated spots that were asked for, and say which are left out."""
    catalog = read_catalog(args.root)
    slides = catalog.of_techs(techs_of(args)).select(filters_of(args))
    spots = read_labelled(
        read_embeddings(args.embeddings, [slide.name for slide in catalog.slides]), slides, args.on_mismatch
    )
    for reason, n in spots.left_out.items():
        print(f"note: {n} spots left out: {reason}")
    return spots
