"""Describe a slide, and draw a contact sheet: the slide with its spots, and patches with their top genes."""

import argparse
from pathlib import Path

import stimage
from stimage import collection, figures
from stimage.cli.options import MISMATCHED, ROOT, add_image_limit, add_scale, root_of, run
from stimage.slides.catalog import ON_MISMATCH, Filters
from stimage.slides.spots import Spots, open_spots


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", help=ROOT)
    parser.add_argument("--slide", help="name of the slide; without it, the slides of the root are listed")
    parser.add_argument("--out", type=Path, default=Path("out/show_spots"), help="folder to write SLIDE.png into "
                        "(default: %(default)s)")  # fmt: skip
    parser.add_argument("--on-mismatch", choices=ON_MISMATCH, default="error", help=MISMATCHED)
    parser.add_argument("--gene-table", metavar="FILE", help="table of symbols and Ensembl ids, to show genes by their "
                        "symbols (default: names as in the files)")  # fmt: skip
    add_image_limit(parser)
    add_scale(parser)
    parser.set_defaults(splits="none")  # no split is shown, so a table of them that lacks a slide is no error
    args = parser.parse_args()
    root = root_of(args)
    if args.slide is None:
        for name, slide in stimage.list_slides(root).iterrows():
            print(*filter(None, (slide.tech, name, slide.problem)), sep="\t")
        return
    (slide,) = root.catalog.select(Filters(slides=args.slide), args.on_mismatch)
    spots = open_spots(slide, args.on_mismatch, args.max_image_pixels)
    print(describe(spots))
    (path,) = figures.save(collection.sheet_of(spots, args.gene_table), args.out / slide.name, ("png",))
    print(f"contact sheet: {path}")


def describe(spots: Spots) -> str:
    """Describe a slide in a few lines."""
    slide, image, scale, lattice = spots.slide, spots.image_info, spots.scale, spots.scale.lattice
    low, high, labelled = spots.r.min(), spots.r.max(), len(spots) - spots.annotation.null_count
    lines = {
        "slide": f"{slide.name}: species {slide.species}, tissue {slide.tissue}, technology {slide.tech}",
        "spots": f"{len(spots):,}, {labelled:,} of them annotated; {spots.dropped:,} left out",
        "genes": f"{len(spots.genes):,}",
        "image": f"{image.type.upper()}, {image.width:,} x {image.height:,} pixels, {image.bands} x {image.bits} bits",
        "radius": f"{low:.2f} px" if low == high else f"{low:.2f} to {high:.2f} px",
        "pitch": f"{lattice.pitch:.2f} px, {lattice.kind} lattice" if lattice else "not found",
        "µm per px": f"{f'{scale.um_per_px:.4g}' if scale.um_per_px else 'not known'}; {scale.reason}",
    }
    return "\n".join(f"{name:<11} {line}" for name, line in lines.items())


if __name__ == "__main__":
    run(main)
