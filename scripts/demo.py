"""The main job from start to end on a made sample, or on your own root: look at slides, then stream their spots."""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from datasets import load_dataset

import stimage_1k4m
from stimage.errors import DataError
from stimage.slides import read_catalog

JOBS = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", nargs="?", help="a folder laid out as the data set (default: a sample, made in OUT)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for what is made (%(default)s)")
    args = parser.parse_args()
    root = args.root or args.out / "sample"
    if args.root is None and not root.exists():
        print(f"== making a sample root in {root}", flush=True)
        unfinished = root.with_suffix(".unfinished")  # so that an interrupted demo can be run again
        shutil.rmtree(unfinished, ignore_errors=True)
        run("data_process/make_sample.py", "--out", unfinished)
        unfinished.rename(root)
    slides = read_catalog(root).slides
    first = {tech: next(s.name for s in slides if s.tech == tech) for tech in dict.fromkeys(s.tech for s in slides)}
    for name in first.values():
        print(f"== looking at {name}", flush=True)
        run("data_process/show_spots.py", root, "--slide", name, "--out", args.out / "show_spots")
    print(f"== streaming the spots of {root}", flush=True)
    stream(root, list(first))
    print(f"== done. Contact sheets are in {args.out / 'show_spots'}; the root is {root}")


def run(script: str, *arguments: object) -> None:
    """Run one of the scripts as a user would."""
    subprocess.run([sys.executable, JOBS / script, *map(str, arguments)], check=True)


def stream(root: str | Path, techs: list[str]) -> None:
    """Stream all spots, and say what they are."""
    genes = stimage_1k4m.gene_names(str(root))
    for tech in techs:
        spots = load_dataset("stimage_1k4m", tech, data_dir=str(root), split="train", streaming=True)
        began, n, counts = time.perf_counter(), 0, np.zeros(len(genes))
        for example in spots:
            n += 1
            counts[example["gene_ids"]] += example["counts"]
        top = ", ".join(genes[i] for i in np.argsort(-counts)[:5])
        rate = n / (time.perf_counter() - began)
        print(f"{tech}: {n:,} spots of {spots.num_shards} shards, {rate:,.0f} a second; top genes {top}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except DataError as error:
        sys.exit(f"error: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
