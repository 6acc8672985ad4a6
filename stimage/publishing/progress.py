"""Progress of a build: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from tqdm import tqdm

from stimage.publishing.engines import ShardOutcome
from stimage.publishing.shards import Shard


def with_progress(outcomes: Iterable[ShardOutcome], shards: Sequence[Shard], spots: int) -> Iterator[ShardOutcome]:
    """Pass outcomes on; after each, print how many slides are done, spots per second, and the time left.

    ``shards`` are the shards that are still to be made, and ``spots`` is their approximate number of spots.
    """
    began, made = time.monotonic(), 0
    bar = tqdm(total=spots, unit="spot", unit_scale=True, disable=not sys.stderr.isatty())
    waiting = Counter(shard.slide.name for shard in shards)
    slides = len(waiting)
    for outcome in outcomes:
        shard, done = outcome.shard, outcome.done
        made += done.spots if done else 0
        waiting -= Counter([shard.slide.name])
        seconds = time.monotonic() - began
        text = f"{slides - len(waiting)}/{slides} slides"
        if bar.disable:
            left = seconds * max(0, spots - made) / made if made else 0
            what = f"{done.spots:,} spots" if done else "failed"
            rate = f"{made / seconds:,.0f} spots/s, {tqdm.format_interval(left)} left"
            print(f"{text}: {shard.name}: {what} ({rate})", file=sys.stderr, flush=True)
        bar.set_description(text)
        bar.update(done.spots if done else 0)
        yield outcome
    bar.close()
