"""How time and memory grow with the spots of a slide."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.case import Side, run_side
from benchmarks.inputs import Inputs

SERIES = (
    ("streaming", Side("streaming", "reading.stream_arrow", ("VisiumHD",))),
    ("building shards", Side("building shards", "publishing.build_ours")),
    ("pandas, Pillow", Side("pandas, Pillow", "reading.stream_plain", ("VisiumHD",))),
)
STEADY = 30_000  # spots from which on slopes are fitted: below, starting is most of it


def measure_growth(inputs: Inputs, say: Callable[[str], None]) -> dict:
    """Measure each size in processes of its own.

    Returns
    -------
    dict
        ``genes``, and ``series``, each with its ``name``, ``points`` (``spots`` and what `run_side` gives),
        ``time_slope``, of log time by log spots, and ``bytes_per_spot``, of a line through the memory, both of the
        sizes that are ``fitted_from``.
    """
    series = []
    for name, side in SERIES:
        points = []
        for bins in inputs.sizes.bins:
            if side.job == "reading.stream_plain" and bins > inputs.sizes.bins_plain:
                continue
            say(f"{name}, {bins:,} spots")
            into = (inputs.made, 1) if "build" in side.job else ()
            figures, found = run_side(side, inputs.bins(bins) + into)
            if found["spots"] != bins:
                raise RuntimeError(f"{name}: {found['spots']} spots of {bins}")
            points.append({"spots": bins} | figures)
        series.append({"name": name, "points": points, **slopes(points)})
    shutil.rmtree(inputs.made, ignore_errors=True)
    return {"genes": inputs.sizes.bins_genes, "series": series}


def slopes(points: list[dict]) -> dict:
    """Fit ``time_slope`` and ``bytes_per_spot`` to the larger of some points, at least two."""
    spots, seconds, mb = (np.array([point[key] for point in points]) for key in ("spots", "seconds", "mb"))
    steady = spots >= min(STEADY, spots[-2])
    return {
        "fitted_from": int(spots[steady][0]),
        "time_slope": float(np.polyfit(np.log(spots[steady]), np.log(seconds[steady]), 1)[0]),
        "bytes_per_spot": float(np.polyfit(spots[steady], mb[steady] * 1e6, 1)[0]),
    }


def draw(growth: dict, path: Path) -> None:
    """Draw time and memory over spots as a PNG; the path has no suffix."""
    from stimage.figures.curves import Growth, growth_curves
    from stimage.figures.style import save

    series = []
    for one in growth["series"]:
        spots, seconds, mb = ([point[key] for point in one["points"]] for key in ("spots", "seconds", "mb"))
        begin = f"from {one['fitted_from']:,}"
        said = f"slope {one['time_slope']:.2f}, {begin}", f"{one['bytes_per_spot']:,.0f} bytes a spot, {begin}"
        series.append(Growth(one["name"], spots, seconds, mb, said))
    what = f"Visium HD bins, {growth['genes']:,} genes"
    save(growth_curves(series, what, min(STEADY, series[0].spots[-2])), path, ("png",))
