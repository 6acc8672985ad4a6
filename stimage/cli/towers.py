"""Options of scripts that load an image tower."""

import argparse
import json
from typing import Any

from stimage import jobs
from stimage.cli.options import TRUST, patch_of, positive
from stimage.towers.options import POOLINGS, TowerOptions


def add_tower(parser: argparse.ArgumentParser) -> None:
    """Add the options of an image tower, beyond its name."""
    group = parser.add_argument_group("tower", "values that differ from those of the preset or the checkpoint")
    group.add_argument("--pooling", choices=POOLINGS, help="way to make one vector of the features of an image")
    group.add_argument("--size", type=positive, help="side of the tower's input images in pixels")
    for name, words in (("mean", "mean"), ("std", "standard deviation")):
        group.add_argument(f"--{name}", nargs=3, type=float, metavar="F",
                           help=f"{words} of red, green and blue, from 0 to 1")  # fmt: skip
    group.add_argument("--model-args", type=_object, default={}, metavar="JSON",
                       help='further arguments of the model, such as {"init_values": 1e-5}')  # fmt: skip
    group.add_argument("--trust-remote-code", action="store_true",
                       help=TRUST)  # fmt: skip


def add_patch(parser: argparse.ArgumentParser) -> None:
    """Add the option for the original's patches, whatever a tuned model was trained on; beside `add_reading`."""
    parser.add_argument("--patch", choices=("original",), help="original cuts the square of 2r, whatever patch a "
                        "tuned model was trained on (default: the patch in µm, or the model's)")  # fmt: skip


def asked_of(args: argparse.Namespace) -> "jobs.Asked":
    """Return the patch in the arguments; None in it takes the model's."""
    physical = args.patch_um is not None or args.patch_px is not None
    if physical and args.patch:
        raise ValueError("patch='original' (--patch original) has no size in µm: leave out that, or the size")
    return jobs.Asked(patch_of(args) if physical else args.patch, args.upsample, args.pyramid)


def tower_of(args: argparse.Namespace) -> TowerOptions:
    """Return the options of the tower in the arguments."""
    return TowerOptions(args.pooling, args.size, args.mean, args.std, args.model_args, args.trust_remote_code)


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: is no JSON ({error})") from None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f'{text}: pass a JSON object, such as {{"init_values": 1e-5}}')
    return found
