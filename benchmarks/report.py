"""The results as a table, and into the README."""

import json
import re
from pathlib import Path

from benchmarks.machine import HARDWARE

BEGIN, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"
HEAD = ["job", "time", "memory", "beside", "its time", "its memory", "ratio", "limit"]


def table(results: dict) -> str:
    """Return the rows as a Markdown table, a line for each thing beside ours, and what they were measured on."""
    lines = [HEAD, ["---"] * len(HEAD)]
    for row in results["rows"]:
        ours, limit = row["ours"], row["limit"]
        for k, side in enumerate(row["beside"] or [None]):
            first = [row["job"], seconds(ours["seconds"]), megabytes(ours["mb"])] if k == 0 else ["", "", ""]
            last = f"{seconds(limit['seconds'])}: {limit['name']}" if limit and k == 0 else ""
            lines.append([*first, *(_beside(side, ours) if side else [""] * 4), last])
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{text}\n\n{growth_line(results)}{hd_line(results)}{_machine(results['machine'])}\n"


def _beside(side: dict, ours: dict) -> list[str]:
    name = f"{side['name']} ({side['remark']})" if side["remark"] else side["name"]
    return [name, seconds(side["seconds"]), megabytes(side["mb"]), _times(side["seconds"] / ours["seconds"])]


def _times(ratio: float) -> str:
    return f"{ratio:.0f} x" if ratio >= 9.95 else f"{ratio:.1f} x"


def growth_line(results: dict) -> str:
    """Say how time and memory grow, if that was measured."""
    if not (growth := results.get("growth")):
        return ""
    said = [
        f"{one['name']}: time as spots^{one['time_slope']:.2f}, {one['bytes_per_spot']:,.0f} bytes a spot"
        for one in growth["series"]
    ]
    first, last = (point["spots"] for point in (growth["series"][0]["points"][i] for i in (0, -1)))
    return f"Growth from {first:,} to {last:,} Visium HD bins, {growth['genes']:,} genes. {'; '.join(said)}.\n\n"


def hd_line(results: dict) -> str:
    """Say of the large Visium HD slide how much comes a second, and what is in memory with the imports."""
    if not (hd := results.get("hd")):
        return ""
    said = []
    for row in results["rows"]:
        if row["case"].startswith("hd-"):
            name, ours = row["case"].removeprefix("hd-"), row["ours"]
            speed = "" if name == "first" else f"{hd['bins'] / ours['seconds']:,.0f} bins a second, "
            said.append(f"{name}: {speed}{megabytes(max(run['resident_mb'] for run in ours['runs']))}")
    slide = f"{hd['bins']:,} bins x {hd['genes']:,} genes, a CSV of {hd['csv_bytes'] / 1e9:.1f} GB"
    when = f"; {hd['date']}, commit {hd['commit']}" if "date" in hd else ""
    return f"The HD slide, {slide}, with all that is resident at the peak, imports too: {'; '.join(said)}{when}.\n\n"


def with_hd(results: dict, hd: dict) -> dict:
    """Return results with the rows of the large HD slide, which may be of another day.

    Raises
    ------
    ValueError
        If it was measured on another machine.
    """
    if different := [key for key in HARDWARE if results["machine"][key] != hd["machine"][key]]:
        raise ValueError(f"hd.json: is of another machine ({', '.join(different)}); run make bench-hd on this one")
    when = {key: hd["machine"][key] for key in ("date", "commit")}
    return results | {"rows": results["rows"] + hd["rows"], "hd": hd["hd"] | when}


def write_json(results: dict, path: Path) -> None:
    """Write results as JSON."""
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def _machine(machine: dict) -> str:
    names = ("datasets", "pandas", "pillow", "polars", "pyarrow", "scanpy", "scikit-learn", "torch", "transformers")
    versions = ", ".join(f"{name} {machine['versions'][name]}" for name in names)
    commit = f", commit {machine['commit']}" if machine["commit"] else ""
    hardware = f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']:g} GiB; {machine['system']}"
    return f"{hardware}; Python {machine['python']}, {versions}; {machine['date']}{commit}."


def seconds(value: float) -> str:
    return f"{value:.1f} s" if value >= 9.95 else f"{value:.2f} s" if value >= 0.095 else f"{value * 1000:.0f} ms"


def megabytes(value: float) -> str:
    return f"{value:,.0f} MB"


def write_block(path: Path, text: str) -> None:
    """Put a text between the two marks of a file, instead of what is there.

    Raises
    ------
    ValueError
        If the file does not have each mark once, in this order.
    """
    old = path.read_text()
    if old.count(BEGIN) != 1 or old.count(END) != 1 or old.index(BEGIN) > old.index(END):
        raise ValueError(f"{path}: needs a line {BEGIN} and, below it, a line {END}, each once")
    new = re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n\n{text.strip()}\n\n{END}", old, flags=re.DOTALL)
    path.write_text(new)
