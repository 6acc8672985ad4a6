"""The demo's report: one HTML page that needs nothing else, with the figures in it."""

import base64
import io
import os
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

import jinja2
import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from stimage.collection.page.drawing import PICTURES
from stimage.core.files import write_text
from stimage.core.results import RESULTS, read_results
from stimage.demo.choice import Choice
from stimage.demo.steps import Steps
from stimage.genes.panels import Panel

DEMO_PAGE = files("stimage.demo") / "page"
MODELS = ("untrained", "tuned")
PATCHES = 16
WIDEST = 1600  # pixels of a figure
LITTLE = 0.01  # of a score: less is called no change


def write_demo_report(out: Path, choice: Choice, steps: Steps) -> Path:
    """Write OUT/report.html about the results of the steps, with relative links, and return its path."""
    page = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page.filters |= {"number": number, "data": lambda path: figure_data(out / path)}
    page.globals |= {"verdict": verdict, "change": change}
    checks = read_results(out / "check_spots")
    shown = {
        "choice": choice,
        "style": DEMO_PAGE.joinpath("report.css").read_text("utf-8"),
        "steps": [(step, steps.state.get(step.name, {}).get("seconds"), link(step.makes, out)) for step in steps.done],
        "left_out": left_out(steps),
        "seconds": sum(steps.state[step.name]["seconds"] for step in steps.done if not step.left_out),
        "slides": shown_slides(out, choice),
        "patches": patches_of(out, choice),
        "checks": checks["overall"],
        "findings": [
            (slide, check, status, message)
            for slide, entry in checks["slides"].items()
            for check, (status, message, _) in entry["checks"].items()
            if status in ("fail", "warn")
        ],
        "picture": f"check_spots/{PICTURES}/{choice.shown.name}.jpg",
        "genes": Panel.read(out / "panel.json").genes,
        "training": read_results(out / "tuned"),
        "retrieval": retrieval(read_results(out / "tuned")),
        **{what: measured(out, what, choice) for what in ("probe", "scores", "prediction")},
    }
    path = out / "report.html"
    write_text(path, page.from_string(DEMO_PAGE.joinpath("report.html").read_text("utf-8")).render(shown))
    return path


def left_out(steps: Steps) -> dict[str, list[str]]:
    """Return reason → the steps that were left out for it."""
    reasons = {}
    for step in steps.done:
        if step.left_out:
            reasons.setdefault(step.left_out, {})[step.name.split(",")[0]] = None
    return {reason: list(names) for reason, names in reasons.items()}


def retrieval(run: dict) -> dict | None:
    """Return recall@10 among the spots of a held-out slide before training and of the best epoch, and of chance."""
    if not run["slides"]["validation"]:
        return None
    before, after = run["history"][0], run["overall"]
    return {
        way: [one[f"slide_{way}_recall@10"] for one in (before, after)] + [after["slide_chance_recall@10"]]
        for way in ("image_to_other", "other_to_image")
    }


def measured(out: Path, what: str, choice: Choice) -> dict[str, dict] | None:
    """Return the figures of each model, averaged over the held-out slides, or over all where none of these has any."""
    if not all((out / what / model / RESULTS).exists() for model in MODELS):
        return None
    found = {}
    for model in MODELS:
        entries = {
            name: one for name, one in read_results(out / what / model)["slides"].items() if "left_out" not in one
        }
        if not entries:
            return None
        held = [slide.name for slide in choice.held_out if slide.name in entries]
        found[model] = {"of": held or list(entries), "held_out": bool(held), **averages(entries, held or list(entries))}
    return found


def averages(entries: dict[str, dict], names: Sequence[str]) -> dict[str, float]:
    """Return the mean over slides of each number, by its names joined by points; of those that have it."""
    flat = [dict(numbers(entries[name])) for name in names]
    keys = dict.fromkeys(key for one in flat for key in one)
    return {key: float(np.mean([one[key] for one in flat if key in one])) for key in keys}


def numbers(entry: dict, prefix: str = "") -> Iterator[tuple]:
    for key, value in entry.items():
        if isinstance(value, dict):
            yield from numbers(value, f"{prefix}{key}.")
        elif isinstance(value, int | float):
            yield prefix + key, value


def shown_slides(out: Path, choice: Choice) -> list[dict]:
    """Return the published table's rows, with the side and the labels of each slide."""
    held = {slide.name for slide in choice.held_out}
    rows = pq.read_table(out / "shards/slides.parquet").to_pylist()
    return [row | {"side": "held out" if row["slide"] in held else "trained on",
                   "labels": choice.labels.get(row["slide"], {})} for row in rows]  # fmt: skip


def patches_of(out: Path, choice: Choice) -> list[tuple[str, str]]:
    """Return some patches of the shown slide, as they are in the shards, with their labels: as many of each."""
    slide = choice.shown
    shard = min((out / "shards/data" / slide.tech).glob(f"*/{slide.name}-0*.parquet"))
    table = pq.read_table(shard, columns=["annotation", "image"])
    labels = np.array([label or "" for label in table["annotation"].to_pylist()])
    rank = np.empty(len(labels), int)  # of a spot among those of its label, from all over the slide
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        rank[np.random.default_rng(0).permutation(mine)] = np.arange(len(mine))
    some = np.lexsort((labels, rank))[:PATCHES]
    some = some[np.argsort(labels[some], kind="stable")]
    cells = [io.BytesIO(table["image"][int(k)]["bytes"].as_py()) for k in some]
    return [(label, inline(Image.open(cell).convert("RGB"))) for label, cell in zip(labels[some].tolist(), cells)]


def figure_data(path: Path) -> str:
    """Return a figure as a data URI: a PNG of 256 colours, or, of a photograph, a JPEG: so the page is small."""
    image = Image.open(path).convert("RGB")
    image.thumbnail((WIDEST, WIDEST))  # before colours are few: those can't be averaged
    return inline(image if path.suffix == ".jpg" else image.quantize(256, dither=Image.Dither.NONE))


def inline(image: Image.Image) -> str:
    kind, buffer = ("PNG" if image.mode == "P" else "JPEG"), io.BytesIO()
    image.save(buffer, kind, quality=90, optimize=True)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def link(path: Path, out: Path) -> str:
    return Path(os.path.relpath(path, out)).as_posix()


def number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def change(before: float | None, after: float | None, sign: int = 1) -> str:
    """Say if a score has become better or worse, by the figures as they are printed; "" of what changed too little.

    ``sign`` is -1 where lower is better.
    """
    if before is None or after is None:
        return ""
    more = round(round(after, 3) - round(before, 3), 3) * sign
    return "" if abs(more) < LITTLE * max(1, abs(before)) else "better" if more > 0 else "worse"


def verdict(score: str, before: float | None, after: float | None) -> str:
    """Say how tuning changed a score, by the numbers as they are printed."""
    if before is None or after is None:
        return ""
    printed = f"{number(before)} → {number(after)}"
    found = change(before, after)
    if not found:
        return f"Tuning changed the {score} by less than {LITTLE}: {printed}."
    return f"Tuning {'raised' if found == 'better' else 'lowered'} the {score}: {printed}."
