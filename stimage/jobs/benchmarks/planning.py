"""The plan of a benchmark: what it will embed, and about how long that takes."""

from pathlib import Path

import pandas as pd

from stimage.evaluation.embedding import seconds_a_spot, slides_left
from stimage.evaluation.joint.encoders import make_encoders
from stimage.jobs.benchmarks.encoders import BenchEncoder
from stimage.jobs.benchmarks.vectors import How, folder_of
from stimage.jobs.roots import Root
from stimage.jobs.vectors.patches import cut_as_trained
from stimage.jobs.vectors.writing import provenance_of
from stimage.slides.catalog import Slide


def plan_line(encoder: BenchEncoder, root: Root, slides: list[Slide], out: Path, space: str, how: How) -> tuple:
    """Return what an encoder has to embed in a space: see `RootBench.plan`."""
    spots, kinds = sum(one.about_spots for one in slides), ["images"]
    if encoder.files:
        return encoder.name, "files", "", len(slides), spots, len(slides), 0, 0.0
    folder = folder_of(encoder, out, space)
    if space == "joint":
        kinds += [encoder.beside or "genes"]
    last = folder / kinds[-1] if space == "joint" else folder  # which is written last
    left = slides_left(root.source, slides, last)
    todo, seconds = sum(one.about_spots for one in left), 0.0
    if left:
        source = cut_as_trained(root.source, how.asked, encoder.name, provenance_of(encoder.name))
        options = how.options if space == "tower" else None
        makers = make_encoders(source, encoder.name, space, kinds, dtype=encoder.dtype, options=options)
        largest = max(left, key=lambda one: one.about_spots)
        seconds = todo * sum(seconds_a_spot(source, largest, one, how.batch_size) for one in makers)
    return encoder.name, space, encoder.dtype, len(slides), spots, len(slides) - len(left), todo, seconds


def plan_words(plan: pd.DataFrame) -> str:
    """Return a plan as text: one line per encoder and space, and the sum."""
    lines = ["encoder, space, precision: slides (there), spots (left), about"]
    for name, space, dtype, slides, spots, there, left, seconds in plan.to_numpy().tolist():
        said = ", ".join(filter(None, (name, space, dtype)))
        lines.append(f"{said}: {slides:,} slides ({there:,} there), {spots:,} spots ({left:,} left), {_time(seconds)}")
    return "\n".join([*lines, f"embedding takes about {_time(plan.seconds.sum())}; scoring comes on top"])


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
