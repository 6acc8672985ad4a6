"""Code that the scripts of evaluation share: options, their choice of slides, annotated spots."""

import argparse
from pathlib import Path
from typing import Any

from stimage.cli.options import OUT, ROOT, add_filters, add_splits, root_of
from stimage.evaluation.labelled import LabelledSpots
from stimage.evaluation.seen import SEEN, labelled_unseen
from stimage.loading.embeddings import read_embeddings
from stimage.slides.catalog import ON_MISMATCH

ELSEWHERE = {"patient": ["patients"], "study": ["no_study"]}  # options that a split of this name has a use for


def add_labelled(parser: argparse.ArgumentParser, out: str) -> None:
    """Add embeddings, root, filters, splits, and the folder to write."""
    parser.add_argument(
        "--embeddings", type=Path, required=True, help="embeddings: a folder of Parquet files, a Parquet file, or a CSV"
    )
    parser.add_argument("--root", required=True, help=ROOT)
    parser.add_argument("--on-mismatch", choices=ON_MISMATCH, default="error",
                        help="what to do with labelled spots that have no embedding: error stops, drop leaves them out "
                        "(default: %(default)s)")  # fmt: skip
    add_seen(parser)
    add_filters(parser)
    add_splits(parser, parts=True)
    parser.add_argument("--out", type=Path, default=Path(out), help=OUT)


def add_seen(parser: argparse.ArgumentParser) -> None:
    """Add the option for slides that the model of the embeddings was trained on."""
    parser.add_argument("--seen", choices=SEEN, default="error",
                        help="what to do with slides that the model was trained on: error stops, drop leaves them out, "
                        "score scores them all the same (default: %(default)s)")  # fmt: skip


def labelled_of(args: argparse.Namespace) -> tuple[LabelledSpots, dict[str, Any]]:
    """Read the annotated spots of the arguments, print which are left out, and return what results say about slides."""
    root = root_of(args, ["on_mismatch"])
    embeddings = read_embeddings(args.embeddings, [slide.name for slide in root.catalog.slides])
    spots, scored = labelled_unseen(embeddings, root.slides, args.on_mismatch, args.seen)
    for note in [*scored.notes, *(f"{n} spots left out: {reason}" for reason, n in spots.left_out.items())]:
        print(f"note: {note}")
    return spots, {"parts": root.names_by_split(spots.slides), "seen": scored.seen}
