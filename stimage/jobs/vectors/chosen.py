"""Slides whose expression is predicted: those with embeddings, those that are tested, and those that were not seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import pandas as pd

from stimage.core.errors import DataError
from stimage.evaluation.expression_data import EmbeddedSlide, embedded_slides
from stimage.evaluation.seen import settle_seen
from stimage.jobs.roots import Root
from stimage.jobs.scores import tested_slides
from stimage.loading.embeddings import Embeddings, read_embeddings
from stimage.loading.provenance import Provenance
from stimage.slides.missing import need_counts

Given = str | Path | pd.DataFrame | Embeddings


@dataclass(frozen=True, eq=False)
class ChosenSlides:
    """Slides to predict.

    Attributes
    ----------
    embeddings, keys
        The vectors that are scored, and those by which neighbours are found, if others are.
    every
        Name → slide, of all with embeddings that are meant.
    slides
        Those that take part, to train on or to be tested.
    tested
        Those of them that are tested at once; none where each group is held out in turn.
    source
        The slide that all tested ones are predicted from; "" without one.
    seen
        What results say of slides that the model was trained on.
    notes
        What was left out.
    """

    embeddings: Embeddings
    keys: Embeddings | None
    every: dict[str, EmbeddedSlide]
    slides: list[EmbeddedSlide]
    tested: list[EmbeddedSlide]
    source: str
    seen: Any
    notes: list[str]


def choose_slides(
    root: Root, embeddings: Given, keys: Given | None, test: Any, train: str | None, seen: str
) -> ChosenSlides:
    """Return the slides that `stimage.predict` is asked for; arguments and errors are its own."""
    names = [slide.name for slide in root.catalog.slides]
    read = read_embeddings(embeddings, names)
    slides, without = embedded_slides(read, root.catalog.slides, root.slides)
    need_counts((one.slide for one in slides), "measuring predictions")
    every = {one.slide.name: one for one in slides}
    tested = [every[name] for name in tested_slides(test, [one.slide for one in slides])]
    source = _source(train, tested, slides)
    slides = [one for one in slides if one in tested or one.slide.name == source] if source else slides
    found_by = None if keys is None else read_embeddings(keys, names)
    known = [one.provenance for one in (read, found_by) if one and one.provenance]
    of_figures = [one.slide for one in slides if not tested or one in tested or one.slide.name == source]
    scored = settle_seen(reduce(Provenance.joined, known) if known else None, of_figures, seen, read.model)
    left = {slide.name for slide in scored.slides}
    if source and not (source in left and left - {source}):
        raise DataError(f"{read.model or 'the model'}: was trained on the slide of train= (--train), "
                        "whose spots are scored too, or on all slides of test= (--test). Name other "
                        "slides, or pass seen='score' (--seen score)")  # fmt: skip
    slides = [one for one in slides if (tested and one not in tested) or one.slide in scored.slides]
    notes = scored.notes
    if without:
        notes += [f"{len(without)} slides have no embeddings and are left out: {', '.join(without[:10])}"]
    return ChosenSlides(read, found_by, every, slides, [one for one in tested if one in slides], source, scored.seen,
                        notes)  # fmt: skip


def _source(train: str | None, tested: Sequence[EmbeddedSlide], slides: Sequence[EmbeddedSlide]) -> str:
    """Return the slide that all tested ones are predicted from; "" without one."""
    if train is None:
        return ""
    (name,) = tested_slides([train], [one.slide for one in slides], "train= (--train)")
    if name in {one.slide.name for one in tested}:
        raise ValueError(f"train= (--train): {name!r} is among the slides of test= (--test)")
    return name
