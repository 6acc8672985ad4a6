"""The results as a table, and into a page of the documentation."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

NAME = "benchmarks"
BEGIN, END = f"<!-- {NAME} -->", f"<!-- /{NAME} -->"
HEAD = ["job", "time", "memory", "beside", "its time", "its memory", "ratio", "limit"]


def table(results: dict) -> str:
    """Return the rows as a Markdown table, a line for each thing beside ours, and what they were measured on."""
    lines = [HEAD, ["---"] * len(HEAD)]
    for row in results["rows"]:
        ours, limit = row["ours"], row["limit"]
        for k, side in enumerate(row["beside"] or [None]):
            first = [row["job"], seconds(ours["seconds"]), megabytes(ours["mb"])] if k == 0 else ["", "", ""]
            last = _limit(limit, ours) if limit and k == 0 else ""
            lines.append([*first, *(_beside(side, ours) if side else [""] * 4), last])
    return f"{markdown(lines)}\n\n{growth_line(results)}{hd_line(results)}{machine_line(results['machine'])}\n"


def markdown(lines: list[list[str]]) -> str:
    """Return lines of cells as a Markdown table."""
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _beside(side: dict, ours: dict) -> list[str]:
    name = f"{side['name']} ({side['remark']})" if side["remark"] else side["name"]
    return [name, seconds(side["seconds"]), megabytes(side["mb"]), times(side["seconds"] / ours["seconds"])]


def _limit(limit: dict, ours: dict) -> str:
    ratio = times(ours["seconds"] / limit["seconds"])
    return f"{seconds(limit['seconds'])}: {limit['name']} ({ratio})"


def times(ratio: float) -> str:
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
    return "".join(_hd_slide(one, results["rows"]) for one in hd)


def _hd_slide(hd: dict, rows: list[dict]) -> str:
    names, said = ("first", "stream", "build"), []
    for name, row in ((name, row) for row in rows for name in names if row["case"] == hd["prefix"] + name):
        bins = row["ours"].get("spots", hd["bins"])  # of a huge slide, a part
        speed = "" if name == "first" else f"{bins / row['ours']['seconds']:,.0f} bins a second, "
        said.append(f"{name}: {speed}{megabytes(max(run['resident_mb'] for run in row['ours']['runs']))}")
    slide = f"{hd['bins']:,} bins x {hd['genes']:,} genes, .{hd['form']} of {hd['bytes'] / 1e9:.2g} GB"
    return f"The HD slide, {slide}, with all that is resident at the peak, imports too: {'; '.join(said)}.\n\n"


def write_json(results: dict, path: Path) -> None:
    """Write results as JSON."""
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def machine_line(machine: dict) -> str:
    """Say what was measured on: the card if there is one, the hardware, the versions, when."""
    names = ("datasets", "pandas", "pillow", "polars", "pyarrow", "scanpy", "scikit-learn", "torch", "transformers")
    versions = ", ".join(f"{name} {machine['versions'][name]}" for name in names if machine["versions"][name])
    commit = f", commit {machine['commit']}" if machine["commit"] else ""
    gpu = f"{machine['gpu']}; " if machine.get("gpu") else ""
    hardware = (
        f"{gpu}{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']:g} GiB; {machine['system']}"
    )
    return f"{hardware}; Python {machine['python']}, {versions}; {machine['date']}{commit}."


def seconds(value: float) -> str:
    return f"{value:.1f} s" if value >= 9.95 else f"{value:.2f} s" if value >= 0.095 else f"{value * 1000:.0f} ms"


def megabytes(value: float) -> str:
    return f"{value:,.0f} MB"


def write_block(path: Path, text: str, name: str = NAME) -> None:
    """Put a text between the two marks of that name in a file, instead of what is there.

    Raises
    ------
    ValueError
        If the file does not have each mark once, in this order.
    """
    old, begin, end = path.read_text(), BEGIN.replace(NAME, name), END.replace(NAME, name)
    if old.count(begin) != 1 or old.count(end) != 1 or old.index(begin) > old.index(end):
        raise ValueError(f"{path}: needs a line {begin} and, below it, a line {end}, each once")
    text = re.sub(r"(?<=\d) (?=(s|ms|MB|GB|x)\b)", "\u00a0", text.strip())  # narrow columns break lines elsewhere
    new = re.sub(f"{begin}.*{end}", lambda _: f"{begin}\n\n{text}\n\n{end}", old, flags=re.DOTALL)
    path.write_text(new)


def fill(readme: Path, results: Path, make: Callable[[dict], str] = table, name: str = NAME) -> int:
    """Put what ``make`` makes of a JSON file of results between the marks of that name, and return the exit status."""
    try:
        write_block(readme, make(json.loads(results.read_text())), name)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{readme}: has the table of {results}")
    return 0
