"""Search spots by expression, by an image or by a spot, in a tuned model's joint space; draw the patches found.

    search.py RUN/model ROOT "ERBB2=5 KRT8=3" --out OUT
    search.py RUN/model ROOT --image patch.png --embeddings JOINT --out OUT
    search.py RUN/model ROOT --spot SPOT_ID --per-slide 2 --out OUT

The counts of a query are those of a spot with its slide's median total; for a model with the gene tower set, of a spot
with ten thousand counts. Genes that a query does not name have their usual values in the training spots. A count below
the usual one asks for spots low in the gene: each gene is printed as high or low. Spots are found by their images. The
results are found.csv and found.png.
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
    for gene, words in found.attrs["read"].items():
        print(f"{gene}: {words}")
    for spot, row in found.iterrows():
        print(f"{row.similarity:.3f}  {spot}")
    print(f"found: {args.out / 'found.csv'}, {args.out / 'found.png'}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="tuned model: a folder that finetune_clip.py wrote or its name on the Hub, or a "
                        "whole CLIP")  # fmt: skip
    parser.add_argument("root", metavar="SPOTS", help="spots to search: a root, or a folder that build_shards.py wrote")
    parser.add_argument("query", nargs="?", help='genes with counts to search by: "ERBB2=5 KRT8=3"')
    parser.add_argument("--image", type=Path, help="image file of a patch to search by")
    parser.add_argument("--spot", metavar="SPOT_ID", help="id of a spot to search by")
    parser.add_argument("--embeddings", type=Path, help="embeddings of the spots' images in the joint space, as "
                        "embed_spots.py makes them with --space joint (default: they are made now)")  # fmt: skip
    parser.add_argument("--encoder", help="only for a model that was trained on image vectors: the image encoder that "
                        "made them (default: the encoder that the model names)")  # fmt: skip
    parser.add_argument("--n", type=positive, default=12, help="number of spots to find (default: %(default)s)")
    parser.add_argument("--per-slide", type=positive, metavar="N", help="largest number of spots from one slide "
                        "(default: no limit)")  # fmt: skip
    parser.add_argument("--batch-size", type=positive, default=64, help="number of spots embedded at once (default: "
                        "%(default)s)")  # fmt: skip
    parser.add_argument("--workers", type=int, default=0, help="number of reading processes; 0 reads in threads "
                        "(default: %(default)s)")  # fmt: skip
    add_filters(parser)
    add_reading(parser)
    add_patch(parser)
    add_splits(parser, parts=True)
    parser.add_argument("--out", type=Path, required=True, help="folder to write found.csv and found.png into")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
