"""Fine-tune a CLIP-family model on spots: images with gene expression, or with sentences of top genes.

    accelerate launch scripts/finetune/finetune_clip.py --config configs/finetune/clip_vit_b32_hvg.yaml ROOT --out DIR

The same command goes on where an earlier run was interrupted, exactly. DIR/model is the best model on held-out slides
so far, with its card; DIR/results.json and DIR/curves.png are the scores. With `pretrained: false`, DIR/untrained is
the model before training.
"""

import argparse
import os
from pathlib import Path

from stimage import jobs
from stimage.cli.options import run
from stimage.core.shipped import find_config
from stimage.slides.catalog import TECHS
from stimage.training.settings.describing import settings_help
from stimage.training.settings.reading import read_settings


def main() -> None:
    args = parse_arguments()
    settings = read_settings(args.config, args.override, args.data)
    tuned = jobs.tune(settings, args.out, args.push_to_hub, args.push_checkpoints, args.public)
    if int(os.environ.get("RANK", 0)) == 0:
        of = "models are" if settings.run.seeds else "model is"
        where = ", ".join(str(run.model) for run in tuned.runs.values()) or tuned.model
        print(f"done: the {of} {where}, the scores {args.out}/results.json")
        if tuned.address:
            print(f"uploaded: {tuned.address}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"settings by group, with their defaults:\n{settings_help()}",
    )  # fmt: skip
    parser.add_argument("data", nargs="?", help="a root, a published folder, or a data set on the Hub")
    parser.add_argument("--config", required=True, help="YAML file of settings, or the name of a shipped one, such as "
                        "clip_vit_b32_hvg")  # fmt: skip
    parser.add_argument("--override", nargs="+", action="extend", default=[], metavar="NAME=VALUE",
                        help="a setting: GROUP.NAME=VALUE, or NAME=VALUE")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; new, or of an interrupted one")
    hub = parser.add_argument_group("Hub")
    hub.add_argument("--push-to-hub", metavar="REPO", help="upload the model, private if it is new")
    hub.add_argument("--push-checkpoints", action="store_true", help="also each time that it is the best so far")
    hub.add_argument("--public", action="store_true", help="make a model that all may see")
    args = parser.parse_args()
    if args.config in (*TECHS, "all"):
        parser.error(f"--config {args.config}: means a YAML file; for a technology, --override tech={args.config}")
    if args.push_checkpoints and not args.push_to_hub:
        parser.error("--push-checkpoints: say where, with --push-to-hub REPO")
    args.config = find_config(args.config)
    return args


if __name__ == "__main__":
    run(main)
