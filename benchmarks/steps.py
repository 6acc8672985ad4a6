"""Measure a training step on this machine's CPU: all weights, LoRA, heads on embeddings; steps.json and steps.md."""

import argparse
import os
import statistics
import sys
from pathlib import Path

from benchmarks import report
from benchmarks.inputs import Inputs, Sizes
from benchmarks.machine import describe
from benchmarks.measure import measure

NAME, OUT = "steps", Path("out/bench-steps")
SIZES = Sizes(genes=500, slides=1, pngs=8)  # two slides of 2,261 spots
BATCH, TURNS = 32, 3
PLAIN = (f"batch_size={BATCH}", "chunk=null", "mixed_precision=no")
ALL = "all weights"
WAYS = {  # each beside all weights
    ALL: (),
    "six of twelve layers frozen": ("freeze_layers=6",),
    "LoRA": ("lora_rank=8",),
    "frozen, from embeddings": ("image_vectors={vectors}",),
}
HEAD = ["way", "a step", "of the time", "memory", "of the memory", "waiting for data"]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steps", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT, help="folder for inputs and results (%(default)s)")
    page = Path("docs/how-to/image_tower.md")
    readme = "measure nothing; put the table of steps.json between the marks of FILE (%(const)s)"
    parser.add_argument("--readme", type=Path, metavar="FILE", nargs="?", const=page, help=readme)
    args = parser.parse_args(arguments)
    if args.readme:
        return report.fill(args.readme, args.out / f"{NAME}.json", table, NAME)
    run(args.out)
    return 0


def run(out: Path, model: str = "base", sizes: Sizes = SIZES, turns: int = TURNS) -> dict:
    """Measure each way some times, in turn, so that what else the machine does meets all alike; write and return all.

    Each is a run in a process of its own, ``seconds`` a step of it, and ``mb`` all that it had allocated at most after
    the imports.
    """
    inputs, cores = Inputs(out / "inputs", sizes), len(os.sched_getaffinity(0))
    (folder,), (vectors,) = inputs.tuning(), inputs.image_vectors()
    runs = {way: list[dict]() for way in WAYS}
    for turn in range(turns):
        for way, changes in WAYS.items():
            print(f"turn {turn + 1} of {turns}: {way}", flush=True)
            said = [change.format(vectors=vectors / model) for change in changes]
            found = measure("tuning.ours", folder, model, 1, *PLAIN, *said, cores=cores)[0]
            runs[way].append({"seconds": found["found"]["step"], "mb": found["mb"], **found["found"]})
    sides = {way: _side(way, some) for way, some in runs.items()}
    rows = [{"case": way, "job": f"a step of {BATCH} spots", "ours": side, "beside": [sides[ALL]], "limit": None}
            for way, side in sides.items()]  # fmt: skip
    results = {"machine": describe(), "rows": rows}
    out.mkdir(parents=True, exist_ok=True)
    report.write_json(results, out / f"{NAME}.json")
    (out / f"{NAME}.md").write_text(table(results))
    print(f"\n{table(results)}\ndone: {out}/{NAME}.json, {NAME}.md")
    return results


def _side(way: str, runs: list[dict]) -> dict:
    medians = {key: statistics.median(run[key] for run in runs) for key in ("seconds", "mb", "waiting")}
    return {"name": way, "spots": BATCH, **medians, "runs": runs}


def table(results: dict) -> str:
    """Return the ways as a Markdown table, each beside the training of all weights, and what they were measured on."""
    lines = [HEAD, ["---"] * len(HEAD)]
    for row in results["rows"]:
        ours, whole = row["ours"], row["beside"][0]
        lines.append([ours["name"], report.seconds(ours["seconds"]), f"{ours['seconds'] / whole['seconds']:.2g}",
                      report.megabytes(ours["mb"]), f"{ours['mb'] / whole['mb']:.2g}",
                      f"{ours['waiting']:.0%}"])  # fmt: skip
    return f"{report.markdown(lines)}\n\n{report.machine_line(results['machine'])}\n"


if __name__ == "__main__":
    sys.exit(main())
