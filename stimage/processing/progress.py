"""Telling how far a build is: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator

from tqdm import tqdm

from stimage.processing.engines import Outcome


def with_progress(outcomes: Iterable[Outcome], slides: int, spots: int) -> Iterator[Outcome]:
    """Pass outcomes on, and say after each how many slides are done, spots a second, and the time left.

    ``slides`` and ``spots`` (which may be an estimate) are what the outcomes will add up to.
    """
    began, made, finished = time.monotonic(), 0, set()
    bar = tqdm(total=spots, unit="spot", unit_scale=True, disable=not sys.stderr.isatty())
    waiting = {}
    for outcome in outcomes:
        shard, done = outcome.shard, outcome.done
        made += done.spots if done else 0
        waiting[shard.slide.name] = waiting.get(shard.slide.name, shard.parts) - 1
        if waiting[shard.slide.name] == 0:
            finished.add(shard.slide.name)
        seconds = time.monotonic() - began
        text = f"{len(finished)}/{slides} slides"
        if bar.disable:
            left = seconds * max(0, spots - made) / made if made else 0
            what = f"{done.spots:,} spots" if done else "failed"
            rate = f"{made / seconds:,.0f} spots/s, {tqdm.format_interval(left)} left"
            print(f"{text}: {shard.name}: {what} ({rate})", file=sys.stderr, flush=True)
        bar.set_description(text)
        bar.update(done.spots if done else 0)
        yield outcome
    bar.close()
