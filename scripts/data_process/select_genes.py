"""Choose genes and write them as a panel file, which the builder, training and evaluation take as panel=.

The file names the genes in order and says how they were chosen: method, slides, parameters, versions, and a digest.
"""

import argparse
from pathlib import Path

from tqdm import tqdm

from stimage.cli.options import (
    add_filters,
    add_naming,
    add_splits,
    counted,
    naming_of,
    positive,
    run,
    selection_of,
    splitting_of,
    techs_of,
)
from stimage.core.errors import DataError, shown
from stimage.core.files import replacing
from stimage.core.versions import versions_of
from stimage.genes.choosing import DEFAULT_N, Chosen, select_genes
from stimage.genes.dispersion import common_genes
from stimage.genes.names import Naming
from stimage.genes.panels import PANEL_SUFFIXES, Panel, write_panel
from stimage.slides.catalog import Filters, Slide, read_catalog
from stimage.slides.splits.splitting import SlideSplit, slides_by_split, split_slides

VERSIONS = ("stimage-1k4m", "scanpy", "anndata", "numpy", "pandas")


def main() -> None:
    args = parse_arguments()
    slides, held_out, placed = slides_of(args)
    with replacing(args.out) as unfinished:  # before what may take long
        chosen = choose(args, slides, held_out)
        write_panel(unfinished, chosen.genes, record(args, slides, held_out, placed))
    for note in chosen.notes:
        print(f"note: {note}")
    print(f"{counted(len(chosen.genes), 'gene')} of {counted(len(slides), 'slide')}: {args.out}")


def slides_of(args: argparse.Namespace) -> tuple[list[Slide], list[Slide], list[SlideSplit]]:
    """Return the slides to choose genes on, the held-out slides, and the splits of all slides that were asked for."""
    catalog = read_catalog(args.root)
    placed = list(split_slides(catalog, selection_of(args), splitting_of(args)).values())
    held_out = catalog.of_techs(techs_of(args)).select(Filters(slides=args.held_out)) if args.held_out else []
    slides = [one.slide for one in placed if one.split == "train" and one.slide not in held_out]
    if not slides:
        raise DataError(f"{args.root}: all slides are held out; leave one to choose by")
    return slides, held_out + [one.slide for one in placed if one.slide not in (*slides, *held_out)], placed


def choose(args: argparse.Namespace, slides: list[Slide], held_out: list[Slide]) -> Chosen:
    """Choose genes as the options say."""
    if args.method == "list":
        return own_list(args.genes, [*slides, *held_out], naming_of(args))
    return select_genes(
        slides, args.method, args.n, args.allow_normalised, lambda some: tqdm(some, unit="slide", disable=None),
        naming_of(args), held_out,
    )  # fmt: skip


def record(
    args: argparse.Namespace, slides: list[Slide], held_out: list[Slide], placed: list[SlideSplit]
) -> dict[str, object]:
    """Return the record of how the genes were chosen."""
    return {
        "method": args.method,
        "parameters": {
            "n": args.n or DEFAULT_N.get(args.method),
            "allow_normalised": args.allow_normalised,
            "gene_table": args.gene_table,
            "names": args.names if args.gene_table else None,
        },
        "slides": [slide.name for slide in slides],
        "held_out": [slide.name for slide in held_out],
        "parts": slides_by_split(placed),
        "species": sorted({slide.species for slide in slides if slide.species}),
        "versions": versions_of(VERSIONS),
    }


def own_list(path: Path, slides: list[Slide], naming: Naming | None) -> Chosen:
    """Take a user's list, and refuse genes that not all slides have."""
    genes, common = Panel.read(path).genes, set(common_genes(slides, naming))
    if missing := [gene for gene in genes if gene not in common]:
        raise DataError(
            f"{path}: {len(missing)} of {len(genes)} genes are not on all {len(slides)} slides: {shown(missing, 10)}"
        )
    return Chosen(genes)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="a folder laid out as the data set, or the URL of one")
    parser.add_argument("--method", choices=(*DEFAULT_N, "list"), required=True,
                        help="hvg: of one slide; hvg-union, hvg-consensus: of each; overlap-hvg: of all spots, "
                        "as the data set's authors; hest: as HEST-Benchmark; list: your own, with --genes")  # fmt: skip
    parser.add_argument("--n", type=positive, help="how many (128; overlap-hvg 100; hest 50)")
    parser.add_argument("--genes", type=Path, help="file of names, for the method list")
    parser.add_argument("--allow-normalised", action="store_true", help="take counts that are no whole numbers")
    add_filters(parser)
    parser.add_argument("--held-out", nargs="+", metavar="SLIDE",
                        help="slides to test on, beside those of the splits validation and test: they must have the "
                        "genes, but their counts are not read")  # fmt: skip
    add_splits(parser)
    add_naming(parser)
    parser.add_argument("--out", type=Path, required=True, help="the panel file to write: JSON, or .yaml")
    args = parser.parse_args()
    if (args.method == "list") != (args.genes is not None):
        parser.error("--method list and --genes go together")
    if args.out.suffix not in PANEL_SUFFIXES:
        parser.error(f"--out {args.out}: a panel file ends in {', '.join(PANEL_SUFFIXES)}")
    return args


if __name__ == "__main__":
    run(main)
