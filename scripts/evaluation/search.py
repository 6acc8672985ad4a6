"""Search spots by expression, an image or a spot, in a tuned model's joint space: found.csv, and a sheet of patches.

    search.py RUN/model ROOT "ERBB2=5 KRT8=3" --out OUT
    search.py RUN/model ROOT --image patch.png --embeddings JOINT --out OUT
    search.py RUN/model ROOT --spot SPOT_ID --per-slide 2 --out OUT

Counts are those of a spot of its slide's median total (of a tower of sets, of a spot of ten thousand counts); genes
that are not named are as usual in the training spots. Spots are found by their images.
"""

import argparse
from pathlib import Path

import stimage
from stimage.cli.options import add_filters, add_reading, add_splits, positive, root_of, run
from stimage.cli.towers import add_patch, asked_of


def main() -> None:
    args = parse_arguments()
    found = stimage.search(
        args.model,
        root_of(args),
        args.query,
        image=args.image,
        spot=args.spot,
        embeddings=args.embeddings,
        encoder=args.encoder,
        n=args.n,
        per_slide=args.per_slide,
        patch=asked_of(args).patch,
        upsample=args.upsample,
        pyramid=args.pyramid,
        batch_size=args.batch_size,
        workers=args.workers,
        out=args.out,
    )
    for spot, row in found.iterrows():
        print(f"{row.similarity:.3f}  {spot}")
    print(f"found: {args.out / 'found.csv'}, {args.out / 'found.png'}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="what finetune_clip made, a folder or a name on the Hub; or a whole CLIP")
    parser.add_argument("root", metavar="SPOTS", help="a root, or a folder that build_shards made")
    parser.add_argument("query", nargs="?", help='genes with counts: "ERBB2=5 KRT8=3"')
    parser.add_argument("--image", type=Path, help="search by an image file of a patch")
    parser.add_argument("--spot", metavar="SPOT_ID", help="search by one of the spots")
    parser.add_argument("--embeddings", type=Path, help="the spots' images in the joint space, as embed_spots makes "
                        "them with --space joint; without it, they are made")  # fmt: skip
    parser.add_argument("--encoder", help="for a model that was trained on vectors of images: the image encoder that "
                        "made them")  # fmt: skip
    parser.add_argument("--n", type=positive, default=12, help="spots to find (%(default)s)")
    parser.add_argument("--per-slide", type=positive, metavar="N", help="spots of one slide, at most")
    parser.add_argument("--batch-size", type=positive, default=64, help="spots at once (%(default)s)")
    parser.add_argument("--workers", type=int, default=0, help="reading processes (%(default)s)")
    add_filters(parser)
    add_reading(parser)
    add_patch(parser)
    add_splits(parser, parts=True)
    parser.add_argument("--out", type=Path, required=True, help="the folder for found.csv and found.png")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
