"""Write slides in a format that others read: .h5ad files for scanpy and squidpy, SpatialData, or HEST-1k's layout.

One file a slide; or, of .h5ad, one for all with --one-file, which then has the genes that all slides have, or those of
a panel. HEST's layout is a folder of all slides, which is a root itself; a slide that is there already, unchanged and
written with the same options, is kept.
"""

import argparse
from pathlib import Path

import stimage
from stimage.cli.options import add_filters, add_naming, add_scale, counted, positive, root_of, run
from stimage.formats.written.exports import EXPORTS
from stimage.formats.written.options import HEST_PATCH
from stimage.genes.normalise import NORMALISATIONS
from stimage.slides.catalog import ON_MISMATCH
from stimage.slides.images.patches import Patch
from stimage.slides.images.pyramid import COMPRESSIONS
from stimage.slides.images.views import IMAGE_PX


def main() -> None:
    args = parse_arguments()
    root = root_of(args)
    genes = {"panel": args.panel, "normalise": args.normalise, "gene_table": args.gene_table, "names": args.names}
    hest = {"compression": args.compression, "quality": args.quality, "upsample": args.upsample,
            "patch": Patch(args.patch_um, args.patch_px), "patches": not args.no_patches}  # fmt: skip
    written = stimage.export_slides(root, args.out, args.to, one_file=args.one_file, image_px=args.image_px,
                          cells=args.cells, embeddings=keyed(args.embeddings) or None, **genes, **hest,
                          progress=True)  # fmt: skip
    print(f"{counted(len(written), 'slide')}: {args.out}")


def keyed(words: list[str]) -> dict[str, str]:
    """Return key → path of embeddings; a key that is not given is made of the path's name."""
    found: dict[str, str] = {}
    for word in words:
        key, given, path = word.partition("=")
        if not given or Path(word).exists():
            key, path = f"X_{Path(word).stem}", word
        if key in found:
            raise ValueError(f"--embeddings: {found[key]} and {path} would both be {key}; write KEY=PATH")
        found[key] = path
    return found


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="a folder laid out as the data set, or the URL of one")
    parser.add_argument("--to", choices=tuple(EXPORTS), default="h5ad", help="format (%(default)s)")
    add_filters(parser)
    add_naming(parser)
    add_scale(parser)
    parser.add_argument("--panel", type=Path, help="panel file: write its genes only, under the names that it has")
    parser.add_argument("--normalise", choices=NORMALISATIONS, default="counts",
                        help="as in the builder; original needs a panel (%(default)s, as in the files)")  # fmt: skip
    parser.add_argument("--embeddings", nargs="+", default=[], metavar="[KEY=]PATH",
                        help="embeddings of the spots, to be put into obsm[KEY]: a folder as embed_spots.py makes it, "
                        "a Parquet file, or a CSV with the spot ids first; without KEY, it is X_ and the path's "
                        "name")  # fmt: skip
    parser.add_argument("--cells", action="store_true", help="count the cells of each spot in obs, by class; of slides "
                        "whose cells import_cells.py or detect_cells.py took into the root")  # fmt: skip
    parser.add_argument("--one-file", action="store_true", help="write all slides into the file --out: of .h5ad")
    parser.add_argument("--image-px", type=positive, default=IMAGE_PX,
                        help="longer side of the small image, not of --to hest (%(default)s)")  # fmt: skip
    parser.add_argument("--on-mismatch", choices=ON_MISMATCH, default="error",
                        help="of spots that not all files have, and slides that lack a file or a gene of the panel: "
                        "stop, or leave them out; of spots without an embedding: stop, or take NaN "
                        "(%(default)s)")  # fmt: skip
    add_hest(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write, or file with --one-file")
    args = parser.parse_args()
    if args.normalise == "original" and not args.panel:
        parser.error("--normalise original is of a panel's genes: pass --panel too")
    return args


def add_hest(parser: argparse.ArgumentParser) -> None:
    """Add the options of HEST's layout alone."""
    group = parser.add_argument_group("of --to hest")
    group.add_argument("--compression", choices=COMPRESSIONS, default="jpeg",
                       help="compression of the image; all but jpeg keep its pixels exactly (%(default)s)")  # fmt: skip
    group.add_argument("--quality", type=positive, default=90, help="quality of jpeg, 1 to 100 (%(default)s)")
    group.add_argument("--patch-um", type=float, default=HEST_PATCH.um, help="side of a patch in µm (%(default)s)")
    group.add_argument("--patch-px", type=positive, default=HEST_PATCH.px, help="pixels of it (%(default)s)")
    group.add_argument("--upsample", action="store_true", help="take images that are coarser than that, too")
    group.add_argument("--no-patches", action="store_true", help="write no patches")


if __name__ == "__main__":
    run(main)
