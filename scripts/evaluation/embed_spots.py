"""Embed spots' images with a vision tower: one Parquet file a slide (spot_id, slide, embedding).

    accelerate launch scripts/evaluation/embed_spots.py ROOT --model openai/clip-vit-base-patch32 --out EMBEDDINGS
    torchrun --nproc_per_node 2 scripts/evaluation/embed_spots.py …     several processes without a GPU

Run again, it goes on where it stopped; a slide that fails does not stop the others.
Every spot's patch is resized whole to the tower's size (bicubic).
"""

import argparse
import os
import sys
from pathlib import Path

import torch
from accelerate import PartialState

from stimage.cli.evaluation import slides_of
from stimage.cli.options import (
    add_filters,
    add_reading,
    add_splits,
    counted,
    filters_of,
    patch_of,
    positive,
    run,
    techs_of,
)
from stimage.core.errors import DataError
from stimage.evaluation.embedding import embed_slides, settle_options, slides_left
from stimage.loading.sources import Source, open_source
from stimage.slides.scale.given import given_scales
from stimage.towers.image_towers import DTYPES, VisionTower, load_tower


def main() -> None:
    args = parse_arguments()
    source = open_source(args.root, **reading_of(args))
    if args.part:
        slides, _ = slides_of(args, source.catalog, args.on_mismatch)
    else:
        slides = source.slides(techs_of(args), filters_of(args))
    state = PartialState(cpu=not torch.accelerator.is_available())  # without cpu, it would see one process
    if state.num_processes != int(os.environ.get("WORLD_SIZE", 1)):
        raise DataError(f"{os.environ['WORLD_SIZE']} processes were started, but each sees {state.num_processes}")
    try:
        tower = load_tower(args.model, state.device, args.dtype)
        with state.main_process_first():
            settle_options(args.out, options_of(args, source, tower))
            left = slides_left(slides, args.out)
        state.wait_for_everyone()  # all have the same list before one begins to shorten it
        mine = left[state.process_index :: state.num_processes]
        if state.is_main_process:
            print(
                f"{counted(len(slides), 'slide')}, {len(slides) - len(left)} of them done; {tower.width} numbers a spot"
            )
        failed = []
        for slide, spots, error in embed_slides(source, mine, tower, args.out, args.batch_size, args.workers):
            print(f"{slide.name}: {error or f'{spots:,} spots'}", flush=True)
            failed += [str(error)] if error else []
        state.wait_for_everyone()
        if failed:
            raise DataError(f"{len(failed)} of {len(mine)} slides failed, such as: {failed[0]}")
        if state.is_main_process:
            print(f"embeddings: {args.out}")
    except DataError as error:
        sys.exit(f"error: {error}")  # before the other processes are waited for
    finally:
        state.destroy_process_group()


def reading_of(args: argparse.Namespace) -> dict:
    patch = patch_of(args)
    return {
        "patch": {"um": patch.um, "px": patch.px} if patch.um or patch.px else "original",
        "upsample": patch.upsample,
        "um_per_px": args.um_per_px,
        "on_mismatch": args.on_mismatch,
        "max_image_pixels": args.max_image_pixels,
    }


def options_of(args: argparse.Namespace, source: Source, tower: VisionTower) -> dict:
    """Return the options that vectors depend on."""
    return {
        "model": args.model,
        "weights": tower.digest,
        "size": tower.size,
        "mean": list(tower.mean),
        "std": list(tower.std),
        "width": tower.width,
        "dtype": args.dtype,
        "batch_size": args.batch_size,
        "source": source.location,
        "patch": source.reading.get("patch"),
        "upsample": source.reading.get("upsample") or None,
        "um_per_px": given_scales(source.reading.get("um_per_px"), ["all slides"]) or None,
        "on_mismatch": source.reading.get("on_mismatch"),
    }


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="a root, a folder that build_shards made, the URL of one, or user/repo on the Hub")
    parser.add_argument("--model", required=True,
                        help="path or Hub name of a transformers checkpoint (CLIP, PLIP, SigLIP, DINOv2, one of "
                        "finetune_clip); for timm, timm:NAME, hf-hub:REPO (UNI: hf-hub:MahmoodLab/UNI) or "
                        "local-dir:FOLDER")  # fmt: skip
    parser.add_argument("--batch-size", type=positive, default=64, help="spots at once (%(default)s)")
    parser.add_argument("--workers", type=int,
                        help="reading processes, for each process; 0: threads (1 for a root, else 0)")  # fmt: skip
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="of the model (%(default)s)")
    add_filters(parser)
    add_reading(parser)
    add_splits(parser, parts=True)
    parser.add_argument("--out", type=Path, required=True, help="the folder for SLIDE.parquet")
    args = parser.parse_args()
    if (args.split_by or args.splits) and not args.part:
        parser.error("--split-by and --splits say which slides are in which part: pass --part too")
    return args


if __name__ == "__main__":
    run(main)
