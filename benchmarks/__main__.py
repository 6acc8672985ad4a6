"""Measure each headline figure beside the usual way: benchmarks.json, benchmarks.md and growth.png."""

import argparse
import shutil
import sys
import time
from pathlib import Path

from benchmarks import report
from benchmarks.cases import make_cases
from benchmarks.growth import draw, measure_growth
from benchmarks.inputs import QUICK, Inputs, Sizes
from benchmarks.machine import describe

GROWTH, GROWTH_MINUTES = "growth", 3
FULL, SMALL = Path("out/bench"), Path("out/bench-quick")


def main(arguments: list[str] | None = None) -> int:
    names = [case.name for case in make_cases(Inputs(FULL, Sizes()))]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--out", type=Path, help=f"folder for inputs and results ({FULL}; {SMALL} if quick)")
    known = [*names, GROWTH]
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=known, help=f"jobs to measure: {', '.join(known)}")
    parser.add_argument("--quick", action="store_true", help="tiny inputs, to see that everything works")
    page = Path("docs/background/speed.md")
    readme = "measure nothing; put the table of benchmarks.json between the marks of FILE (%(const)s)"
    parser.add_argument("--readme", type=Path, metavar="FILE", nargs="?", const=page, help=readme)
    args = parser.parse_args(arguments)
    out = args.out or (SMALL if args.quick else FULL)
    if args.readme:
        return report.fill(args.readme, out / "benchmarks.json")
    run(out, args.only or known, QUICK if args.quick else Sizes())
    return 0


def run(out: Path, names: list[str], sizes: Sizes) -> dict:
    """Measure these cases, in the order of the table, write what there is after each, and return the results."""
    inputs = Inputs(out / "inputs", sizes)
    cases = [case for case in make_cases(inputs) if case.name in names]
    _show_plan(cases, GROWTH in names)
    results, began = {"machine": describe(), "rows": [], "growth": None}, time.perf_counter()
    for k, case in enumerate(cases, 1):
        _say(began, f"{case.name} ({k} of {len(cases)}): {case.text}")
        results["rows"].append(case.run())
        shutil.rmtree(inputs.made, ignore_errors=True)
        write(results, out)
    if GROWTH in names:
        results["growth"] = measure_growth(inputs, lambda what: _say(began, f"growth: {what}"))
        write(results, out)
    _say(began, f"done: {out}/benchmarks.json, benchmarks.md{', growth.png' if results['growth'] else ''}")
    print(f"\n{report.table(results)}")
    return results


def write(results: dict, out: Path) -> None:
    """Write the results as JSON, as a table, and as a plot."""
    out.mkdir(parents=True, exist_ok=True)
    report.write_json(results, out / "benchmarks.json")
    (out / "benchmarks.md").write_text(report.table(results))
    if results["growth"]:
        draw(results["growth"], out / "growth")


def _show_plan(cases: list, growth: bool) -> None:
    minutes = {case.name: case.minutes for case in cases} | ({GROWTH: GROWTH_MINUTES} if growth else {})
    said = ", ".join(f"{name} {value:g}" for name, value in minutes.items())
    print(f"about {sum(minutes.values()):.0f} min at full size on two quiet cores: {said}", flush=True)


def _say(began: float, what: str) -> None:
    minutes, seconds = divmod(int(time.perf_counter() - began), 60)
    print(f"{minutes:2d}:{seconds:02d} {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
