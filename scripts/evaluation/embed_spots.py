"""Embed spots, by images with a vision tower, or in a tuned model's joint space: a Parquet file a slide.

    accelerate launch scripts/evaluation/embed_spots.py ROOT --model openai/clip-vit-base-patch32 --out EMBEDDINGS
    embed_spots.py ROOT --model RUN/model --space joint --of images genes --out JOINT       for retrieval.py, search.py
    torchrun --nproc_per_node 2 scripts/evaluation/embed_spots.py …     several processes without a GPU

Run again, it goes on where it stopped, and embeds slides anew whose files have changed; a slide that fails does not
stop the others.
Every spot's patch is resized whole to the tower's size (bicubic).
"""

import argparse
import os
from pathlib import Path

from stimage import jobs
from stimage.cli.options import add_filters, add_reading, add_splits, positive, root_of, run
from stimage.cli.towers import add_patch, add_tower, asked_of, tower_of


def main() -> None:
    args = parse_arguments()
    folders = jobs.embed_root(
        root_of(args),
        args.model,
        args.out,
        asked_of(args),
        args.batch_size,
        args.workers,
        args.dtype,
        tower_of(args),
        True,
        args.space,
        args.of,
        args.gene_table,
        args.encoder,
    )
    if int(os.environ.get("RANK", 0)) == 0:
        print(f"embeddings: {', '.join(map(str, folders))}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="a root, a folder that build_shards made, the URL of one, or user/repo on the Hub")
    parser.add_argument("--model", required=True,
                        help="a preset, such as uni2-h (stimage towers lists them); path or Hub name of a transformers "
                        "checkpoint (CLIP, PLIP, SigLIP, DINOv2, one of finetune_clip); for timm, timm:NAME, "
                        "hf-hub:REPO or local-dir:FOLDER")  # fmt: skip
    parser.add_argument("--batch-size", type=positive, default=64, help="spots at once (%(default)s)")
    parser.add_argument("--workers", type=int,
                        help="reading processes, for each process; 0: threads (1 for a root, else 0)")  # fmt: skip
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32",
                        help="of the model (%(default)s)")  # fmt: skip
    parser.add_argument("--space", choices=("tower", "joint"), default="tower",
                        help="the image encoder's own, or that in which a tuned model's images and genes (or text) "
                        "meet (%(default)s)")  # fmt: skip
    parser.add_argument("--of", nargs="+", choices=("images", "genes", "text"), default=["images"],
                        help="what of spots is embedded, in the joint space; of several, each into a folder of its "
                        "name (images)")  # fmt: skip
    parser.add_argument("--gene-table", metavar="FILE", help="symbols and Ensembl ids, for slides that name the "
                        "model's genes otherwise")  # fmt: skip
    parser.add_argument("--encoder", help="for a model that was trained on vectors of images: the image encoder that "
                        "made them, if it is not found under the name that the model says; or such vectors of the "
                        "spots, so that no image is read")  # fmt: skip
    add_tower(parser)
    add_filters(parser)
    add_reading(parser)
    add_patch(parser)
    add_splits(parser, parts=True)
    parser.add_argument("--out", type=Path, required=True, help="the folder for SLIDE.parquet")
    args = parser.parse_args()
    if (args.split_by or args.splits) and not args.part:
        parser.error("--split-by and --splits say which slides are in which part: pass --part too")
    return args


if __name__ == "__main__":
    run(main)
