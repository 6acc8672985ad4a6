"""Write slides in the layout of HEST-1k: st/ID.h5ad, wsis/ID.tif, metadata/ID.json, patches/ID.h5, thumbnails, table.

HEST's own programs read such a folder, and it is a root itself. A slide that is there already, unchanged and written
with the same options, is kept, so that the same command goes on after an interruption.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from stimage import formats
from stimage.cli.options import add_filters, add_scale, counted, positive, run, selection_of
from stimage.slides.catalog import ON_MISMATCH, Slide, read_catalog
from stimage.slides.images.patches import Patch
from stimage.slides.images.pyramid import COMPRESSIONS
from stimage.slides.names import fold_name


def main() -> None:
    args = parse_arguments()
    catalog = read_catalog(args.root).with_scales(args.um_per_px)
    slides = selection_of(args, args.on_mismatch).select_from(catalog)
    patch = None if args.no_patches else Patch(args.patch_um, args.patch_px, args.upsample)
    options = formats.HestOptions(args.compression, args.quality, patch, args.on_mismatch)
    rows = catalog.meta or {}
    titles = {slide.name: rows.get(fold_name(slide.name), {}).get("title", "") for slide in slides}
    kept = formats.write_hest(slides, args.out, options, titles, with_bar)
    there = f", {kept:,} of them there already" if kept else ""
    print(f"{counted(len(slides), 'slide')}{there}: {args.out}")


def with_bar(slides: Iterable[Slide]) -> tqdm:
    """Show on a terminal how far it is."""
    return tqdm(slides, unit="slide", disable=None)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="a folder laid out as the data set, or the URL of one")
    add_filters(parser)
    add_scale(parser)
    parser.add_argument("--compression", choices=COMPRESSIONS, default="jpeg",
                        help="of the image; all but jpeg keep its pixels exactly (%(default)s)")  # fmt: skip
    parser.add_argument("--quality", type=positive, default=90, help="of jpeg, 1 to 100 (%(default)s)")
    parser.add_argument("--patch-um", type=float, default=112, help="side of a patch in µm (%(default)s)")
    parser.add_argument("--patch-px", type=positive, default=224, help="pixels of it (%(default)s)")
    parser.add_argument("--upsample", action="store_true", help="take images that are coarser than that, too")
    parser.add_argument("--no-patches", action="store_true", help="write no patches")
    parser.add_argument("--on-mismatch", choices=ON_MISMATCH, default="error",
                        help="of spots that not all files have, and slides that lack a file: stop, or leave them out "
                        "(%(default)s)")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
