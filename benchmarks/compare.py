"""Compare two results of the benchmarks row by row; exit 1 if something of ours is worse by more than is allowed."""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.machine import HARDWARE

FLOOR = 0.05  # of a time or a memory: what differs less is noise, however alike the repeats were
UNKNOWN = 0.15  # the noise of a single run
SMALL = {"seconds": 0.02, "mb": 5.0}  # likewise, absolutely
HEAD = ["row", "time", "new", "ratio", "", "memory", "new", "ratio", "", "others' time"]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("old", type=Path, help="the older benchmarks.json")
    parser.add_argument("new", type=Path, help="the newer benchmarks.json")
    parser.add_argument(
        "--threshold", type=float, default=25, help="percentage by which a job may be worse (%(default)g)"
    )
    parser.add_argument("--other-machine", action="store_true", help="compare, though the machines differ")
    args = parser.parse_args(arguments)
    old, new = (json.loads(path.read_text()) for path in (args.old, args.new))
    if (different := _different(old["machine"], new["machine"])) and not args.other_machine:
        said = "error: not the same machine, so times tell nothing; --other-machine compares them all the same"
        print(said, *different, sep="\n", file=sys.stderr)
        return 2
    lines, worse = compare(old, new, args.threshold / 100)
    for line in different + _versions(old["machine"], new["machine"]):
        print(line)
    print("\n".join("| " + " | ".join(cells) + " |" for cells in [HEAD, ["---"] * len(HEAD), *lines]))
    print(f"worse by more than {args.threshold:g} %: {', '.join(worse) or 'none'}")
    return int(bool(worse))


def compare(old: dict, new: dict, threshold: float) -> tuple[list[list[str]], list[str]]:
    """Return the table's lines, and the names of what has become worse by more than the threshold and the noise.

    What others took, as a ratio of new by old, tells how alike the machine was; it fails nothing.
    """
    before, after = rows_of(old), rows_of(new)
    lines, worse = [], []
    for name in [*before, *(name for name in after if name not in before)]:
        if name not in before or name not in after:
            lines.append([name, f"only in the {'old' if name in before else 'new'}", *[""] * 8])
            continue
        cells = [name]
        for key, unit in (("seconds", "s"), ("mb", "MB")):
            values = [side[name][0][key] for side in (before, after)]
            ratio, noise = values[1] / max(values[0], 1e-9), _noise(before[name][0], after[name][0], key)
            mark = "" if abs(ratio - 1) <= noise else "worse" if ratio > 1 else "better"
            if mark == "worse" and ratio > 1 + threshold:
                mark = "WORSE"
                worse.append(f"{name} ({key})")
            cells += [*(f"{value:.3g} {unit}" for value in values), f"{ratio:.2f}", mark]
        lines.append([*cells, _drift(before[name][1], after[name][1])])
    return lines, worse


def rows_of(results: dict) -> dict[str, tuple[dict, list[dict]]]:
    """Return by name what was measured of ours and of others; a name has the job's size, so that like meets like."""
    rows = {f"{row['case']}: {row['job']}": (row["ours"], row["beside"]) for row in results["rows"]}
    for one in (results.get("growth") or {"series": []})["series"]:
        if one["name"] != "pandas, Pillow":
            rows |= {f"{one['name']}, {point['spots']:,} spots": (point, []) for point in one["points"]}
    return rows


def _noise(old: dict, new: dict, key: str) -> float:
    """Return the relative change that the spread of the repeats explains."""
    spreads = [FLOOR, SMALL[key] / max(old[key], 1e-9)]
    for side in (old, new):
        values = [run[key] for run in side["runs"]]
        middle = max(side[key], 1e-9)
        spreads.append((max(values) - min(values)) / middle if len(values) > 1 else UNKNOWN)
    return max(spreads)


def _drift(old: list[dict], new: list[dict]) -> str:
    times = {side["name"]: side["seconds"] for side in old}
    return ", ".join(f"{side['seconds'] / times[side['name']]:.2f}" for side in new if side["name"] in times)


def _different(old: dict, new: dict) -> list[str]:
    return [f"{key}: {old.get(key)} / {new.get(key)}" for key in HARDWARE if old.get(key) != new.get(key)]


def _versions(old: dict, new: dict) -> list[str]:
    both = [{"python": one["python"], **one["versions"]} for one in (old, new)]
    return [f"{name}: {both[0].get(name)} / {both[1].get(name)}" for name in sorted(both[0].keys() | both[1].keys())
            if both[0].get(name) != both[1].get(name)]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
