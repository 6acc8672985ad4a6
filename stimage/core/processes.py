"""Apply a function to many items in processes; a process that dies costs only its own item."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, as_completed
from multiprocessing import get_context
from multiprocessing.synchronize import Semaphore
from typing import TypeVar

from pebble import ProcessExpired, ProcessPool

Item = TypeVar("Item")
Result = TypeVar("Result")
DIED = "its process died with exit code {}; if memory ran out, use fewer workers= (--workers)"


def in_processes(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[tuple[Item, Result | None, str]]:
    """Yield each item with the function's result, or with the reason why its process died, in the order of completion.

    With 0 workers, this process does the work.
    """
    items = list(items)
    if not workers:
        yield from ((item, function(item), "") for item in items)
        return
    workers, context = max(1, min(workers, len(items))), get_context("spawn")
    started = context.Semaphore(0)
    with ProcessPool(max_workers=workers, context=context, initializer=_say, initargs=[started]) as pool:
        futures: dict[Future, Item] = {pool.schedule(function, args=(item,)): item for item in items}
        try:
            for future in as_completed(futures):
                try:
                    yield futures[future], future.result(), ""
                except ProcessExpired as error:
                    yield futures[future], None, DIED.format(error.exitcode)
            for _ in range(workers):  # one that is stopped while it starts prints a traceback
                while not started.acquire(timeout=1) and pool.active:
                    pass
        finally:
            pool.stop()


def _say(started: Semaphore) -> None:
    started.release()
