"""Measure fine-tuning on one GPU in each of its ways, and beside them the original's: gpu.json and gpu.md."""

import argparse
import os
import sys
import time
from pathlib import Path

import torch

from benchmarks import report
from benchmarks.case import Side
from benchmarks.inputs import Inputs, Sizes
from benchmarks.machine import describe
from benchmarks.measure import measure

HEAD = ["model", "way", "workers", "spots/s", "waiting for data", "GPU memory", "ratio"]
NAME, OUT = "gpu", Path("out/bench-gpu")
SIZES = Sizes(genes=5000, slides=2)  # four slides of 2,261 spots; batches repeat them
FEW = 4  # workers of a model that is slower than they are
PLAIN, BF16, WHOLE = "mixed_precision=no", "mixed_precision=bf16", "chunk=null"
COMPILED, SAVING = "compile=true", "gradient_checkpointing=true"
MODELS = {"base": "ViT-B/32", "large": "ViT-L/14"}
ORIGINAL = "base/the original's way"
WAYS = {
    "base": {
        "fp32": (PLAIN, WHOLE),
        "tf32": ("mixed_precision=tf32", WHOLE),
        "fp16": ("mixed_precision=fp16", WHOLE),
        "bf16": (BF16, WHOLE),
        "bf16, two workers": (BF16, WHOLE),
        "bf16, gradient checkpointing": (BF16, WHOLE, SAVING),
        "bf16, chunks of 256, as configured": (BF16,),
        "bf16, compiled": (BF16, WHOLE, COMPILED),
        "bf16, compiled, chunks of 256": (BF16, COMPILED),
    },
    "large": {"bf16, chunks of 256, as configured": (BF16,)},
}


def main(arguments: list[str] | None = None) -> int:
    names = [f"{model}/{way}" for model, ways in WAYS.items() for way in ways]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT, help="folder for inputs and results (%(default)s)")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=names, default=names, help=f"of {'; '.join(names)}"
    )
    readme = "measure nothing; put the table of gpu.json between the marks of FILE (%(const)s)"
    parser.add_argument("--readme", type=Path, metavar="FILE", nargs="?", const=Path("README.md"), help=readme)
    args = parser.parse_args(arguments)
    if args.readme:
        return report.fill(args.readme, args.out / f"{NAME}.json", table, NAME)
    if not torch.cuda.is_available():
        print("nothing measured: torch sees no GPU here")
        return 0
    return run(args.out, args.only)


def run(out: Path, names: list[str], sizes: Sizes = SIZES) -> int:
    """Measure these ways, write what there is after each, and return the exit status: 1 if one failed."""
    (folder,), began = Inputs(out / "inputs", sizes).tuning(), time.perf_counter()
    cores = len(os.sched_getaffinity(0))
    most = max(1, cores - 1)
    results, failed, beside = {"machine": describe(), "rows": []}, [], []
    for name in [ORIGINAL, *names]:
        print(f"{time.perf_counter() - began:4.0f} s: {name}", flush=True)
        model, _, way = name.partition("/")
        side = Side(way, "tuning.ours" if name in names else "tuning.original", WAYS[model].get(way, ()), cores)
        workers = 2 if "two workers" in way else min(most, FEW) if model == "large" else most
        try:
            found = figures(side, folder, model, workers)
        except RuntimeError as error:
            failed.append(name)
            print(f"failed: {error}", flush=True)
            continue
        if name == ORIGINAL:
            beside = [found]
            continue
        row = {"case": name, "job": f"a batch of {found['spots']:,} spots", "model": MODELS[model], "ours": found,
               "beside": beside if model == "base" else [], "limit": None}  # fmt: skip
        results["rows"].append(row)
        report.write_json(results, out / f"{NAME}.json")
        (out / f"{NAME}.md").write_text(table(results))
    print(f"\n{table(results)}\ndone: {out}/{NAME}.json, {NAME}.md")
    return int(bool(failed))


def figures(side: Side, folder: Path, model: str, workers: int) -> dict:
    """Measure one way: ``seconds`` of a step and the device's ``mb``, and what `benchmarks.jobs.tuning` says more."""
    found = measure(side.job, folder, model, workers, *side.more, cores=side.cores)[0]["found"]
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
            cells = [row["model"], side["name"], str(side["workers"]), f"{rate:,.0f}", f"{side['waiting']:.0%}",
                     f"{side['mb'] / 1e3:.1f} GB", *ratio]  # fmt: skip
            if cells not in lines:  # what one would otherwise use is beside each of ours
                lines.append(cells)
    return f"{report.markdown(lines)}\n\n{report.machine_line(results['machine'])}\n"


if __name__ == "__main__":
    sys.exit(main())
