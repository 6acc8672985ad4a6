"""A chart of encoders with intervals, as places in per cent of its width: the page draws it without a picture."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

STEPS = (1, 2, 2.5, 5, 10)
TICKS = 5  # about


def chart_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return ticks, and for each row the places of its mean, its interval and its units.

    Parameters
    ----------
    rows
        Each with ``mean``, ``interval`` (`mean_interval`'s) and ``values``, of its units.
    """
    every = [value for row in rows for value in (row["mean"], row["interval"]["low"], row["interval"]["high"],
                                                 *row["values"]) if math.isfinite(value)]  # fmt: skip
    ticks = ticks_of(min([0.0, *every]), max(every))
    low, high = ticks[0], ticks[-1]

    def place(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2)

    bars = []
    for row in rows:
        ends = [row["interval"][key] for key in ("low", "high")]
        known = all(map(math.isfinite, ends))
        bars.append({"mean": place(row["mean"]), "low": place(ends[0]) if known else None,
                     "width": round(place(ends[1]) - place(ends[0]), 2) if known else None,
                     "units": [place(value) for value in row["values"]] if len(row["values"]) > 1 else []})  # fmt: skip
    return {"ticks": [(place(tick), f"{tick:g}") for tick in ticks], "bars": bars}


def ticks_of(low: float, high: float) -> list[float]:
    """Return round numbers from below the lowest value to above the highest."""
    rough = max(high - low, 1e-9) / TICKS
    unit = 10 ** math.floor(math.log10(rough))
    step = next(unit * one for one in STEPS if unit * one >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(k * step, 12) for k in range(first, max(last, first + 1) + 1)]
