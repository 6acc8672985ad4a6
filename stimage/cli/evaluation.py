"""Code that the scripts of evaluation share: options, the slides that they take, annotated spots."""

import argparse
from collections.abc import Collection, Mapping
from pathlib import Path

from stimage.cli.options import add_filters, add_splits, selection_of, splitting_of
from stimage.core.errors import DataError
from stimage.evaluation.embeddings import read_embeddings
from stimage.evaluation.labelled import LabelledSpots, read_labelled
from stimage.slides.catalog import ON_MISMATCH, Catalog, Slide, read_catalog
from stimage.slides.splits.splitting import SPLIT_BY, Splitting, slides_by_split, split_slides

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
    """Read the annotated spots that were asked for, say which are left out, and return the parts of their slides."""
    catalog = read_catalog(args.root)
    slides, parts = slides_of(args, catalog)
    spots = read_labelled(
        read_embeddings(args.embeddings, [slide.name for slide in catalog.slides]), slides, args.on_mismatch
    )
    for reason, n in spots.left_out.items():
        print(f"note: {n} spots left out: {reason}")
    return spots, only_slides(parts, spots.slides)


def slides_of(
    args: argparse.Namespace, catalog: Catalog, on_mismatch: str = "error"
) -> tuple[list[Slide], dict[str, list[str]]]:
    """Return the slides that were asked for, and their names by split; without splits, no names."""
    elsewhere = {"patient": ["patients"], "study": ["no_study"]}.get(getattr(args, "split", ""), [])
    elsewhere = ["patients", "no_study"] if getattr(args, "protocol", "") == "hest" else elsewhere
    placed = split_slides(catalog, selection_of(args, on_mismatch), splitting_of(args, elsewhere))
    taken = [one for one in placed.values() if not args.part or one.split in args.part]
    if not taken:
        raise DataError(f"{args.root}: no slide is in {' or '.join(args.part)}; say by --split-by or --splits which "
                        "are, or take another --part")  # fmt: skip
    is_split = args.split_by or any(one.split != "train" for one in placed.values())
    return [one.slide for one in taken], slides_by_split(taken) if is_split else {}


def only_slides(parts: Mapping[str, list[str]], names: Collection[str]) -> dict[str, list[str]]:
    """Return split → names of its slides, without all other slides."""
    return {split: [name for name in own if name in names] for split, own in parts.items()}


def grouping_of(args: argparse.Namespace) -> Splitting:
    """Return the groups that are held out as a whole, as --split says; none for other splits."""
    by = args.split if args.split in SPLIT_BY else None
    if by == "patient" and not args.patients:
        raise ValueError("--split patient: pass --patients too, a CSV file with the columns slide and patient")
    return Splitting(by, patients=args.patients if by == "patient" else None,
                     no_study=args.no_study if by == "study" else None)  # fmt: skip
