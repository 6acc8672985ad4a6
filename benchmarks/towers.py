"""Measure gene towers on slides that lack genes or use other names for them: towers.json and towers.md.

Six synthetic slides of one study each lose a random third of their genes, and every other slide has Ensembl ids instead
of symbols. Four slides are trained on, and two are held out. The tower `set` takes all genes, joined by name; the tower
`linear` takes the genes that all slides have. The mean colours in 4 x 4 squares take the place of an image, so that
heads train in seconds. The score is the recall of a spot's genes by its image, among the spots of the same slide.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

import stimage
from benchmarks import report
from benchmarks.machine import describe
from stimage.loading.embeddings import write_embeddings

NAME, OUT = "towers", Path("out/bench-towers")
STUDY, SLIDES, LOST = "Human_Breast_Sample3_Visium", 6, 1 / 3
HELD_OUT = [f"{STUDY}_{letter}1" for letter in "EF"]
NEIGHBOURS = 150  # µm: the six around a Visium spot
TOWERS = {"set": {"second": "set", "panel": None}, "linear, shared genes": {"second": "linear"}}
LOSSES = {"CLIP": {"objective": "clip"}, "SigLIP": {"objective": "siglip"}}
MASKED = {"no": {}, "yes": {"neighbour_um": NEIGHBOURS}}
HEAD = ["genes", "loss", "neighbours masked", "recall@10 within the slide", "chance"]
GRID = 4


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.towers", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT, help="folder for inputs and results (%(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds of each way (%(default)s)")
    parser.add_argument("--epochs", type=int, default=20, help="epochs of each run (%(default)s)")
    parser.add_argument("--genes", type=int, default=600, help="genes of each species (%(default)s)")
    parser.add_argument("--side", type=int, default=20, help="spots along a side of a slide (%(default)s)")
    args = parser.parse_args(arguments)
    inputs = args.out / "inputs"
    if not inputs.exists():
        make_inputs(inputs, args.genes, args.side)
    rows = []
    for way in ways():
        rows.append(
            {"way": way[:3], "runs": [scores(args.out, inputs, *way, seed, args.epochs) for seed in args.seeds]}
        )
        results = {"machine": describe(), "epochs": args.epochs, "genes": args.genes, "side": args.side, "rows": rows}
        report.write_json(results, args.out / f"{NAME}.json")
        (args.out / f"{NAME}.md").write_text(table(results), encoding="utf-8")
    print(table(results))
    return 0


def ways() -> Iterator[tuple[str, str, str, dict]]:
    """Yield the ways: both towers with each loss, and each with its neighbours masked or not."""
    for loss, objective in LOSSES.items():
        for masked, neighbours in MASKED.items():
            for tower, second in TOWERS.items():
                yield tower, loss, masked, {**objective, **neighbours, **second}


def make_inputs(out: Path, genes: int, side: int) -> None:
    """Make the slides, the table of their genes' names, and the list of those that all of them have."""
    stimage.make_sample(out / "root", genes=genes, slides_per_study=SLIDES, st_side=4, visium_side=side, hd_side=4)
    files = sorted((out / "root/Visium/gene_exp").glob(f"{STUDY}_*_count.csv"))
    tables = [pd.read_csv(file, index_col=0) for file in files]
    symbols = sorted({name for one in tables for name in one.columns})
    ids = {symbol: f"ENSG{i:011d}" for i, symbol in enumerate(symbols, 1)}
    shared = set(symbols)
    for k, (file, one) in enumerate(zip(files, tables)):
        kept = np.random.default_rng(k).permutation(one.columns)[: round(len(one.columns) * (1 - LOST))]
        shared &= set(kept)
        one = one[[name for name in one.columns if name in set(kept)]]
        (one.rename(columns=ids) if k % 2 else one).to_csv(file)
    pd.DataFrame({"id": ids.values(), "symbol": ids.keys()}).to_csv(out / "genes.csv", index=False)
    (out / "shared.txt").write_text("\n".join(sorted(shared)), encoding="utf-8")
    write_colours(out / "root", out / "colours", {file.name.removesuffix("_count.csv"): "Visium" for file in files})


def write_colours(root: str | Path, out: Path, slides: Mapping[str, str]) -> None:
    """Write the vectors of images of slides (name → technology): the mean colours of 4 x 4 parts of each patch."""
    for name, tech in slides.items():
        spots = stimage.load(tech, root, slides=[name], columns=["spot_id", "image"], splits="none", streaming=True)
        small = {spot["spot_id"]: spot["image"].resize((GRID, GRID), Image.Resampling.BOX) for spot in spots}
        vectors = np.stack([np.asarray(image, np.float32).ravel() / 255 for image in small.values()])
        write_embeddings(out / f"{name}.parquet", list(small), name, vectors, "colours")


def scores(out: Path, inputs: Path, tower: str, loss: str, masked: str, given: dict, seed: int, epochs: int) -> dict:
    """Fine-tune in one way, unless it is done, and return the scores of the kept epoch on the held-out slides."""
    folder = out / "runs" / f"{tower.partition(',')[0]}-{loss}-{masked}-{seed}"
    settings = {"panel": inputs / "shared.txt", "gene_table": inputs / "genes.csv", "validation_slides": HELD_OUT,
                "image_vectors": inputs / "colours", "run.seed": seed, "epochs": epochs, "keep": 1, "workers": 0,
                **given}  # fmt: skip
    if not (folder / "results.json").exists():
        stimage.finetune(inputs / "root", folder, "tiny", **settings)
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))["overall"]


def table(results: dict) -> str:
    """Return a line for each way, in Markdown: mean ± standard deviation over the seeds, and chance."""
    lines = [HEAD, ["---", "---", "---", "---:", "---:"]]
    for row in results["rows"]:
        recall, chance = ([run[name] for run in row["runs"]] for name in
                          ("slide_image_to_other_recall@10", "slide_chance_recall@10"))  # fmt: skip
        lines.append([*row["way"], spread(recall), f"{np.mean(chance):.3f}"])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def spread(values: Sequence[float]) -> str:
    """Return the mean, and of several values ± the sample's standard deviation; nothing of none."""
    more = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{more}" if values else ""


if __name__ == "__main__":
    sys.exit(main())
