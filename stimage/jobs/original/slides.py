"""Work on slides one by one, in processes; a slide that fails does not keep the others from being done."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from tqdm import tqdm

from stimage.core.errors import DataError, OutputError
from stimage.core.processes import in_processes
from stimage.slides.catalog import Slide

Done = TypeVar("Done")


def each_slide(
    work: Callable[[Slide], Done], slides: Sequence[Slide], workers: int, progress: bool | None
) -> dict[str, Done]:
    """Return what the work gives for each slide, by name.

    Raises
    ------
    DataError
        After all other slides are done, with what went wrong with any; at once, if the output cannot be written.
    """
    hidden = None if progress is None else not progress
    attempts = in_processes(partial(_attempt, work), slides, workers)
    told = list(tqdm(attempts, total=len(slides), unit="slide", disable=hidden))
    errors = [attempt[1] if attempt else f"{slide.name}: {died}" for slide, attempt, died in told]
    if any(errors):
        raise DataError("; ".join(filter(None, errors)))
    found = {slide.name: attempt[0] for slide, attempt, _ in told if attempt}
    return {slide.name: done for slide in slides if (done := found[slide.name]) is not None}


def _attempt(work: Callable[[Slide], Done], slide: Slide) -> tuple[Done | None, str]:
    """Return the result of the work, or the reason why there is none."""
    try:
        return work(slide), ""
    except OutputError:
        raise
    except DataError as error:
        return None, str(error)
