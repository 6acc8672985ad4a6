"""Measure fine-tuning on one GPU in each of its ways, and beside them the original's: gpu.json and gpu.md."""

import argparse
import os
import sys
import time
from math import inf
from pathlib import Path
from typing import Any

import torch

from benchmarks import report
from benchmarks.case import Side
from benchmarks.inputs import Inputs, Sizes
from benchmarks.machine import describe
from benchmarks.measure import measure

HEAD = ["model", "way", "workers", "steps/s", "spots/s", "waiting for data", "GPU memory", "ratio"]
NAME, OUT = "gpu", Path("out/bench-gpu")
SIZES = Sizes(genes=5000, slides=2)  # four slides of 2,261 spots; batches repeat them
FEW = 4  # workers of a model that is slower than they are
PLAIN, BF16, WHOLE = "mixed_precision=no", "mixed_precision=bf16", "chunk=null"
COMPILED, SAVING, LORA = "compile=true", "gradient_checkpointing=true", "lora_rank=8"
VECTORS = "image_vectors={vectors}"  # which no image is read for
SMALL = ("batch_size=256", "chunk=64")  # what a card of 80 GB holds of a large tower in fp32
MODELS = {"base": "ViT-B/32", "large": "ViT-L/14"}
ORIGINAL, LOADER = "base/the original's way", "base/images alone, no step"
WAYS = {  # those that come first are measured first
    "base": {
        "bf16": (BF16, WHOLE),
        "fp32": (PLAIN, WHOLE),
        "bf16, LoRA": (BF16, WHOLE, LORA),
        "bf16, frozen, from embeddings": (BF16, WHOLE, VECTORS),
        "images alone, no step": (WHOLE,),
        "bf16, compiled": (BF16, WHOLE, COMPILED),
    },
    "large": {
        "bf16": (BF16, *SMALL),
        "bf16, LoRA": (BF16, *SMALL, LORA),
        "bf16, frozen, from embeddings": (BF16, *SMALL, VECTORS),
        "fp32": (PLAIN, *SMALL),
        "bf16, compiled": (BF16, *SMALL, COMPILED),
    },
}
MORE_WAYS = {
    "base": {
        "tf32": ("mixed_precision=tf32", WHOLE),
        "fp16": ("mixed_precision=fp16", WHOLE),
        "bf16, two workers": (BF16, WHOLE),
        "bf16, gradient checkpointing": (BF16, WHOLE, SAVING),
        "bf16, chunks of 256, as configured": (BF16,),
        "bf16, compiled, chunks of 256": (BF16, COMPILED),
    },
    "large": {"bf16, chunks of 256, as configured": (BF16,)},
}
EVERY_WAY = {model: WAYS[model] | MORE_WAYS[model] for model in WAYS}


def names_of(ways: dict[str, dict[str, tuple]]) -> list[str]:
    return [f"{model}/{way}" for model, own in ways.items() for way in own]


def main(arguments: list[str] | None = None) -> int:
    every = [*names_of(WAYS), ORIGINAL, *names_of(MORE_WAYS)]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT, help="folder for inputs and results (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results into this file, too")
    parser.add_argument("--minutes", type=float, default=inf, help="stop after so many minutes")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=every, default=every,
                        help=f"ways to measure: {'; '.join(every)}")  # fmt: skip
    page = Path("docs/background/speed.md")
    readme = "measure nothing; put the table of gpu.json between the marks of FILE (%(const)s)"
    parser.add_argument("--readme", type=Path, metavar="FILE", nargs="?", const=page, help=readme)
    args = parser.parse_args(arguments)
    if args.readme:
        return report.fill(args.readme, args.out / f"{NAME}.json", table, NAME)
    if not torch.cuda.is_available():
        print("nothing measured: torch sees no GPU here")
        return 0
    return run(args.out, args.only, minutes=args.minutes, also=args.json)


def run(out: Path, names: list[str], sizes: Sizes = SIZES, minutes: float = inf, also: Path | None = None) -> int:
    """Measure these ways, write what there is after each, and return the exit status: 1 if one failed.

    Beside ``rows``, the results have the names of the ways that were ``left_out``, since time was up, and ``failed``.
    """
    began = time.perf_counter()
    inputs = Inputs(out / "inputs", sizes)
    (folder,), vectors = inputs.tuning(), inputs.image_vectors()[0]
    results: dict[str, Any] = {"machine": describe(), "rows": [], "left_out": [], "failed": []}
    for name in names:
        spent = time.perf_counter() - began
        print(f"{spent:4.0f} s: {name}", flush=True)
        try:
            results["rows"].append(row_of(name, folder, vectors, 60 * minutes - spent))
        except TimeoutError:
            results["left_out"].append(name)
            print("left out: time is up", flush=True)
        except RuntimeError as error:
            results["failed"].append(name)
            print(f"failed: {error}", flush=True)
        write(results, out, also)
    print(f"\n{(out / f'{NAME}.md').read_text()}\ndone: {out}/{NAME}.json, {NAME}.md")
    return int(bool(results["failed"]))


def row_of(name: str, folder: Path, vectors: Path, left: float = inf) -> dict:
    """Measure one way: what `report` takes as a row; its ``beside`` is filled by `write`.

    Raises
    ------
    TimeoutError
        If it takes more than the ``left`` seconds.
    """
    if left <= 0:
        raise TimeoutError(f"{name}: was not begun")
    model, _, way = name.partition("/")
    cores = len(os.sched_getaffinity(0))
    most = max(1, cores - 1)
    changes = [change.format(vectors=vectors / model) for change in EVERY_WAY[model].get(way, ())]
    job = {ORIGINAL: "tuning.original", LOADER: "tuning.loaded"}.get(name, "tuning.ours")
    side = Side(way, job, tuple(changes), cores)
    workers = 2 if "two workers" in way or "embeddings" in way else min(most, FEW) if model == "large" else most
    found = figures(side, folder, model, workers, None if left == inf else left)
    return {"case": name, "job": f"a batch of {found['spots']:,} spots", "model": MODELS[model], "ours": found,
            "beside": [], "limit": None}  # fmt: skip


def write(results: dict, out: Path, also: Path | None = None) -> None:
    """Write the results, with the original's way beside each of its model."""
    first = [row["ours"] for row in results["rows"] if row["case"] == ORIGINAL]
    rows = [row | {"beside": first if row["model"] == MODELS["base"] and row["case"] != LOADER else []}
            for row in results["rows"] if row["case"] != ORIGINAL or len(results["rows"]) == 1]  # fmt: skip
    shown = results | {"rows": rows}
    for path in (out / f"{NAME}.json", *([also] if also else [])):
        path.parent.mkdir(parents=True, exist_ok=True)
        report.write_json(shown, path)
    (out / f"{NAME}.md").write_text(table(shown))


def figures(side: Side, folder: Path, model: str, workers: int, most: float | None = None) -> dict:
    """Measure one way: ``seconds`` of a step and the device's ``mb``, and what `benchmarks.jobs.tuning` says more."""
    found = measure(side.job, folder, model, workers, *side.more, cores=side.cores, most=most)[0]["found"]
    seconds, mb = found.pop("step"), found.pop("gpu_mb")
    runs = [{"seconds": seconds, "mb": mb}]
    return {"name": side.name, "workers": workers, "seconds": seconds, "mb": mb, "runs": runs, **found}


def table(results: dict) -> str:
    """Return the ways as a Markdown table, each beside the original's, and what they were measured on."""
    lines = [HEAD, ["---"] * len(HEAD)]
    for row in results["rows"]:
        for side in (*row["beside"], row["ours"]):
            ratio = [report.times(row["beside"][0]["seconds"] / side["seconds"])] if row["beside"] else [""]
            rate = float(f"{side['spots'] / side['seconds']:.3g}")
            cells = [row["model"], side["name"], str(side["workers"]), f"{1 / side['seconds']:.3g}", f"{rate:,.0f}",
                     f"{side['waiting']:.0%}", f"{side['mb'] / 1e3:.1f} GB", *ratio]  # fmt: skip
            if cells not in lines:  # what one would otherwise use is beside each of ours
                lines.append(cells)
    said = {"left_out": "time was up", "failed": "failed"}
    empty = [(name, why) for kind, why in said.items() for name in results.get(kind, ())]
    for model, way, why in ((*name.split("/", 1), why) for name, why in empty):
        lines.append([MODELS[model], f"{way} (not measured: {why})", *[""] * (len(HEAD) - 2)])
    return f"{report.markdown(lines)}\n\n{report.machine_line(results['machine'])}\n"


if __name__ == "__main__":
    sys.exit(main())
