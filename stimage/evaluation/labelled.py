"""Annotated spots with their embeddings, which probes and scores are computed on."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stimage.core.errors import DataError
from stimage.core.storage import local_copy
from stimage.loading.embeddings import Embeddings
from stimage.slides.catalog import ON_MISMATCH, Slide
from stimage.slides.coordinates import Coordinates, read_coordinates
from stimage.slides.labels import is_label, read_labels
from stimage.slides.matching import unique_ids

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LabelledSpots:
    """n annotated spots with their embeddings, slide by slide in the order of the annotation files.

    ``labels`` are str (n,). ``x``, ``y`` and ``r`` are float64 (n,), in pixels of the slide's image. ``slides`` are the
    slides that have such a spot, by name. ``left_out`` counts the spots that are left out, by reason.
    """

    embeddings: Embeddings
    labels: np.ndarray
    x: np.ndarray
    y: np.ndarray
    r: np.ndarray
    slides: Mapping[str, Slide]
    left_out: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> "LabelledSpots":
        """Return some of the spots, by number of row or by a bool for each."""
        some = self.embeddings.take(rows)
        slides = {name: self.slides[name] for name in np.unique(some.slides).tolist()}
        return LabelledSpots(some, self.labels[rows], self.x[rows], self.y[rows], self.r[rows], slides, self.left_out)


def read_labelled(embeddings: Embeddings, slides: Sequence[Slide], on_mismatch: str = "error") -> LabelledSpots:
    """Join embeddings with the pathologists' labels and the coordinates of slides.

    Slides without an annotation file are left out and counted, and so are spots without a label (empty, missing,
    "undetermined" or "Exclude", in any case).

    Parameters
    ----------
    slides
        The slides to read; embeddings of others are left out.
    on_mismatch
        What to do with labelled spots that have no embedding: "error", or "drop", which leaves them out and counts
        them.

    Raises
    ------
    DataError
        If an annotated slide or spot has no embedding, an annotation file is another slide's, or nothing has a label.
    """
    if on_mismatch not in ON_MISMATCH:
        raise ValueError(f"on_mismatch={on_mismatch!r}: pass one of {ON_MISMATCH}")
    row_of = {spot: row for row, spot in enumerate(embeddings.spot_ids.tolist())}
    left_out = {"slide not asked for": int((~np.isin(embeddings.slides, [slide.name for slide in slides])).sum())}
    parts = [_slide_rows(embeddings, row_of, slide, on_mismatch, left_out) for slide in slides]
    found = [row for part in parts for row in part]
    if not found:
        raise DataError("no spot has both an embedding and a label: name the root that has the annotation of these "
                        f"slides ({', '.join(np.unique(embeddings.slides)[:5].tolist())})")  # fmt: skip
    rows, labels, x, y, r = zip(*found)
    named = {slide.name: slide for slide, part in zip(slides, parts) if part}
    x, y, r = (np.array(values, float) for values in (x, y, r))
    left_out = {reason: n for reason, n in left_out.items() if n}
    return LabelledSpots(embeddings.take(np.array(rows)), np.array(labels, dtype=str), x, y, r, named, left_out)


def _slide_rows(
    embeddings: Embeddings, row_of: Mapping[str, int], slide: Slide, on_mismatch: str, left_out: dict[str, int]
) -> list[tuple]:
    """Return (row of the embeddings, label, x, y, r) of a slide's labelled spots, and count those left out."""
    mine = embeddings.slides == slide.name
    if not slide.annotation:
        _count(left_out, "slide without an annotation", int(mine.sum()))
        return []
    coordinates = read_coordinates(local_copy(slide.coord, slide.access))
    ids = unique_ids(coordinates.ids.combine_chunks(), slide.name).to_pylist()
    places = {spot: k for k, spot in enumerate(ids)}
    labels = _labels(slide, dict(zip(coordinates.ids.to_pylist(), ids)), left_out)
    lost = [spot for spot in labels if spot not in row_of]
    if lost and on_mismatch == "error":
        what = f"{len(lost)} of {len(labels)} labelled spots, such as {lost[0]!r}, have" if mine.any() else "it has"
        raise DataError(f"slide {slide.name}: {what} no embedding; embed them, choose other slides, or pass "
                        "on_mismatch='drop' (--on-mismatch drop) to leave such spots out")  # fmt: skip
    _count(left_out, "labelled, but without an embedding", len(lost))
    rows = [
        (row_of[spot], label, *_place(coordinates, places[spot])) for spot, label in labels.items() if spot in row_of
    ]
    for row, *_ in rows:
        if embeddings.slides[row] != slide.name:
            raise DataError(f"the embedding of spot {str(embeddings.spot_ids[row])!r} is filed under slide "
                            f"{str(embeddings.slides[row])!r}, but {slide.coord} lists it; make it again")  # fmt: skip
    _count(left_out, "without a label", int(mine.sum()) - len(rows))
    return rows


def _labels(slide: Slide, known: Mapping[str, str], left_out: dict[str, int]) -> dict[str, str]:
    """Return spot id → label, of the spots that have a label and are ``known``: id in the slide's files → spot id."""
    path = slide.annotation or ""
    labels = read_labels(path, slide.access)
    unknown = [spot for spot in labels if spot not in known]
    if 2 * len(unknown) > len(labels):
        raise DataError(
            f"{path}: {len(unknown)} of {len(labels)} spots, such as {unknown[0]!r}, are not on slide {slide.name}; "
            "put the annotation of this slide there, or remove the file"
        )
    if unknown:
        log.warning("%s: %d of %d labels are of spots that the slide does not have", path, len(unknown), len(labels))
        _count(left_out, "labelled, but not of the slide", len(unknown))
    return {known[spot]: label for spot, label in labels.items() if label and is_label(label) and spot in known}


def _place(coordinates: Coordinates, k: int) -> tuple[float, float, float]:
    return coordinates.x[k], coordinates.y[k], coordinates.r[k]


def _count(left_out: dict[str, int], reason: str, n: int) -> None:
    left_out[reason] = left_out.get(reason, 0) + n
