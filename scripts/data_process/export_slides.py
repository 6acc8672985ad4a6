"""Write slides in another format: .h5ad for scanpy and squidpy, SpatialData, or HEST-1k's layout.

Each slide gets a file. With --one-file, which is for .h5ad, all slides go into one file, with the genes that all slides
have or those of a panel. HEST-1k's layout is a folder of all slides, and is a root itself. There, a slide that is
unchanged and was written with the same options is kept.
"""

import argparse
from pathlib import Path

import stimage
from stimage.cli.options import (
    COMPRESSION,
    QUALITY,
    ROOT,
    add_filters,
    add_naming,
    add_scale,
    counted,
    positive,
    root_of,
    run,
)
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
    parser.add_argument("root", help=ROOT)
    parser.add_argument("--to", choices=tuple(EXPORTS), default="h5ad", help="format to write (default: %(default)s)")
    add_filters(parser)
    add_naming(parser)
    add_scale(parser)
    parser.add_argument("--panel", type=Path, help="panel file: write only its genes, under the names that the panel "
                        "has")  # fmt: skip
    parser.add_argument("--normalise", choices=NORMALISATIONS, default="counts", help="normalisation of the counts, as "
                        "in the builder; original needs --panel (default: %(default)s, as in the files)")  # fmt: skip
    parser.add_argument("--embeddings", nargs="+", default=[], metavar="[KEY=]PATH", help="embeddings to put into "
                        "obsm[KEY]: a folder that embed_spots.py wrote, a Parquet file, or a CSV with the spot ids "
                        "first (default KEY: X_ and the name of the path)")  # fmt: skip
    parser.add_argument("--cells", action="store_true", help="add the number of cells of each class to obs, for slides "
                        "that have cells in the root (see import_cells.py and detect_cells.py)")  # fmt: skip
    parser.add_argument("--one-file", action="store_true", help=".h5ad only: write all slides into the one file --out")
    parser.add_argument("--image-px", type=positive, default=IMAGE_PX, help="longer side of the small image in pixels, "
                        "for h5ad and spatialdata (default: %(default)s)")  # fmt: skip
    parser.add_argument("--on-mismatch", choices=ON_MISMATCH, default="error", help="what to do with spots that not "
                        "all files have, and with slides that lack a file or a gene of the panel: error stops, drop "
                        "leaves them out; drop gives a spot without an embedding NaN (default: "
                        "%(default)s)")  # fmt: skip
    add_hest(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write, or with --one-file the file to write")
    args = parser.parse_args()
    if args.normalise == "original" and not args.panel:
        parser.error("--normalise original works only on a panel's genes: pass --panel too")
    return args


def add_hest(parser: argparse.ArgumentParser) -> None:
    """Add the options of HEST's layout alone."""
    group = parser.add_argument_group("hest", "options for --to hest only")
    group.add_argument("--compression", choices=COMPRESSIONS, default="jpeg", help=COMPRESSION)
    group.add_argument("--quality", type=positive, default=90, help=QUALITY)
    group.add_argument("--patch-um", type=float, default=HEST_PATCH.um, help="side of a patch in µm (default: "
                       "%(default)s)")  # fmt: skip
    group.add_argument("--patch-px", type=positive, default=HEST_PATCH.px, help="side of a patch in pixels (default: "
                       "%(default)s)")  # fmt: skip
    group.add_argument("--upsample", action="store_true", help="accept images that are too coarse for the patch: their "
                       "patches are upsampled")  # fmt: skip
    group.add_argument("--no-patches", action="store_true", help="write no patches")


if __name__ == "__main__":
    run(main)
