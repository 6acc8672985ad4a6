"""A case: one job done by us, by what one would otherwise use, and as fast as the machine allows; and measuring it."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from benchmarks.measure import measure

REPEATS = 3
LONG = 10  # seconds: of what takes longer, ours excepted, one run is enough
Found = dict


@dataclass(frozen=True)
class Side:
    """One way to do a job: what it is called, its function, and arguments after the case's."""

    name: str
    job: str
    more: tuple = ()
    cores: int = 1


def equal(ours: Found, other: Found) -> str:
    """Agree if what was found is the same."""
    if ours != other:
        raise ValueError(f"found {str(ours)[:200]}, but {str(other)[:200]}")
    return ""


@dataclass(frozen=True)
class Case:
    """One job.

    Attributes
    ----------
    name, text
        For `--only`, and for the table.
    minutes
        About how long it takes at full size, on two quiet cores.
    arguments
        Gives what all sides are called with; makes it, if need be.
    beside, limit
        What one would otherwise use; and what nothing that does the job could be faster than, if that can be measured.
    agree
        Raises ValueError if what another side found is not what ours did; returns a remark, or nothing.
    repeats
        How often ours is run.
    """

    name: str
    text: str
    minutes: float
    arguments: Callable[[], tuple]
    ours: Side
    beside: tuple[Side, ...] = ()
    limit: Side | None = None
    agree: Callable[[Found, Found], str] = equal
    repeats: int = REPEATS

    def run(self) -> dict:
        """Measure all sides, one after the other, and return the row: case, job, ours, beside and limit.

        Raises
        ------
        RuntimeError
            If a side fails, or does not find what ours does.
        """
        arguments = self.arguments()
        ours, found = run_side(self.ours, arguments, once=False, repeats=self.repeats)
        row = {"case": self.name, "job": self.text, "ours": ours, "beside": [], "limit": None}
        for side in self.beside:
            figures, others = run_side(side, arguments)
            try:
                row["beside"].append(figures | {"remark": self.agree(found, others)})
            except ValueError as error:
                raise RuntimeError(f"{self.name}: {side.name} is not like ours: {error}") from None
        if self.limit:
            row["limit"] = run_side(self.limit, arguments)[0]
        return row


def run_side(side: Side, arguments: tuple, once: bool = True, repeats: int = REPEATS) -> tuple[dict, Found]:
    """Measure one side, ``once`` if it is long; return its figures and what it found.

    The figures are ``name``, ``cores``, the ``runs`` as they came, the medians ``seconds``, ``cpu`` and ``mb``, and how
    many ``spots`` these are of, if the job counts them.
    """
    long = LONG if once else inf
    runs = measure(side.job, *arguments, *side.more, cores=side.cores, repeats=repeats, long=long)
    found = [run.pop("found") for run in runs][-1]
    medians = {key: statistics.median(run[key] for run in runs) for key in ("seconds", "cpu", "mb")}
    counted = {"spots": found["spots"]} if "spots" in found else {}
    return {"name": side.name, "cores": side.cores, **medians, **counted, "runs": runs}, found
