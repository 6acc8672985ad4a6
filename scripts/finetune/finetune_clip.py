"""Fine-tune a CLIP-family model on spots: images with gene expression, or with sentences of top genes.

    accelerate launch scripts/finetune/finetune_clip.py --config configs/finetune/clip_vit_b32_hvg.yaml ROOT --out DIR

After an interruption, run the same command again: it continues exactly where the run stopped. DIR/model is the model
with the best score on held-out slides so far, with its card. DIR/results.json and DIR/curves.png have the scores. With
`pretrained: false`, DIR/untrained is the model before training.
"""

import argparse
import os
from pathlib import Path

from stimage import jobs
from stimage.cli.options import run
from stimage.core.shipped import find_config
from stimage.slides.catalog import TECHS
from stimage.training.data.beside import prepared_beside
from stimage.training.settings.describing import settings_help
from stimage.training.settings.reading import read_settings


def main() -> None:
    args = parse_arguments()
    settings = read_settings(args.config, args.override, args.data)
    with prepared_beside(settings):
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
    parser.add_argument("data", nargs="?", help="spots to train on: a root, a published folder, or a data set on the "
                        "Hub (default: data.source of the settings)")  # fmt: skip
    parser.add_argument("--config", required=True, help="YAML file of settings, or the name of a shipped one, such as "
                        "clip_vit_b32_hvg")  # fmt: skip
    parser.add_argument("--override", nargs="+", action="extend", default=[], metavar="NAME=VALUE",
                        help="settings to change: GROUP.NAME=VALUE, or NAME=VALUE")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="folder of the run: a new one, or the one of an "
                        "interrupted run")  # fmt: skip
    hub = parser.add_argument_group("Hub")
    hub.add_argument("--push-to-hub", metavar="REPO", help="upload the model to this repository; a new repository is "
                     "private")  # fmt: skip
    hub.add_argument("--push-checkpoints", action="store_true", help="upload the model each time that it is the best "
                     "so far, too")  # fmt: skip
    hub.add_argument("--public", action="store_true", help="make a new repository public, so that everyone sees it")
    args = parser.parse_args()
    if args.config in (*TECHS, "all"):
        parser.error(f"--config {args.config}: means a YAML file; for a technology, --override tech={args.config}")
    if args.push_checkpoints and not args.push_to_hub:
        parser.error("--push-checkpoints: say where, with --push-to-hub REPO")
    args.config = find_config(args.config)
    return args


if __name__ == "__main__":
    run(main)
