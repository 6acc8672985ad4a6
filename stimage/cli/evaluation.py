"""Code that the scripts of evaluation share: options, the slides that they take, annotated spots."""

import argparse
from pathlib import Path

from stimage.cli.options import add_filters, add_splits, root_of
from stimage.evaluation.labelled import LabelledSpots, read_labelled
from stimage.loading.embeddings import read_embeddings
from stimage.slides.catalog import ON_MISMATCH

ELSEWHERE = {"patient": ["patients"], "study": ["no_study"]}  # options that a split of this name has a use for


def add_labelled(parser: argparse.ArgumentParser, out: str) -> None:
    """Add embeddings, root, filters, splits, and the folder to write."""
    parser.add_argument(
        "--embeddings", type=Path, required=True, help="folder of Parquet files, one Parquet file, or a CSV"
    )
    parser.add_argument("--root", required=True, help="a folder laid out as the data set, or the URL of one")
    parser.add_argument("--on-mismatch", choices=ON_MISMATCH, default="error",
                        help="labelled spots without an embedding: stop, or leave them out (%(default)s)")  # fmt: skip
    add_filters(parser)
    add_splits(parser, parts=True)
    parser.add_argument("--out", type=Path, default=Path(out), help="folder to write (%(default)s)")


def labelled_of(args: argparse.Namespace) -> tuple[LabelledSpots, dict[str, list[str]]]:
    """Read the annotated spots that were asked for, say which are left out, and return their slides by split."""
    root = root_of(args, ["on_mismatch"])
    embeddings = read_embeddings(args.embeddings, [slide.name for slide in root.catalog.slides])
    spots = read_labelled(embeddings, root.slides, args.on_mismatch)
    for reason, n in spots.left_out.items():
        print(f"note: {n} spots left out: {reason}")
    return spots, root.names_by_split(spots.slides)
