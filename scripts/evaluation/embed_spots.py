"""Embed spots by an image encoder, or in the joint space of a tuned model: one Parquet file per slide.

    accelerate launch scripts/evaluation/embed_spots.py ROOT --model openai/clip-vit-base-patch32 --out EMBEDDINGS
    embed_spots.py ROOT --model RUN/model --space joint --of images genes --out JOINT       for retrieval.py, search.py
    torchrun --nproc_per_node 2 scripts/evaluation/embed_spots.py …     several processes without a GPU

The same command continues after an interruption, and embeds slides again if their files have changed. A slide that
fails does not stop the others. The patch of each spot is resized to the tower's input size, without cropping (bicubic).
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
    parser.add_argument("root", help="spots to embed: a root, a folder that build_shards.py wrote, the URL of one, or "
                        "user/repo on the Hub")  # fmt: skip
    parser.add_argument("--model", required=True, help="image encoder: a preset such as uni2-h (stimage towers lists "
                        "them); a folder or Hub name of a transformers checkpoint (CLIP, PLIP, SigLIP, DINOv2, or a "
                        "model that finetune_clip.py wrote); for timm, timm:NAME, hf-hub:REPO or "
                        "local-dir:FOLDER")  # fmt: skip
    parser.add_argument("--batch-size", type=positive, default=64, help="number of spots embedded at once (default: "
                        "%(default)s)")  # fmt: skip
    parser.add_argument("--workers", type=int, help="number of reading processes for each embedding process; 0 reads "
                        "in threads (default: 1 for a root, 0 otherwise)")  # fmt: skip
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32",
                        help="precision of the model (default: %(default)s)")  # fmt: skip
    parser.add_argument("--space", choices=("tower", "joint"), default="tower", help="space of the embeddings: tower "
                        "is the image encoder's own, joint the one in which a tuned model's images and genes (or text) "
                        "meet (default: %(default)s)")  # fmt: skip
    parser.add_argument("--of", nargs="+", choices=("images", "genes", "text"), default=["images"],
                        help="joint space only: what to embed of each spot; several go into a folder each (default: "
                        "images)")  # fmt: skip
    parser.add_argument("--gene-table", metavar="FILE", help="table of symbols and Ensembl ids, for slides that name "
                        "genes otherwise than the model does")  # fmt: skip
    parser.add_argument("--encoder", help="only for a model that was trained on image vectors: the image encoder that "
                        "made them, or such vectors of the spots, so that no image is read (default: the encoder that "
                        "the model names)")  # fmt: skip
    add_tower(parser)
    add_filters(parser)
    add_reading(parser)
    add_patch(parser)
    add_splits(parser, parts=True)
    parser.add_argument("--out", type=Path, required=True, help="folder to write SLIDE.parquet into")
    args = parser.parse_args()
    if (args.split_by or args.splits) and not args.part:
        parser.error("--split-by and --splits say which slides are in which part: pass --part too")
    return args


if __name__ == "__main__":
    run(main)
