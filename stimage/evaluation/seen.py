"""Slides that a model has seen: scores of slides that it was trained on are refused, unless a user asks for them."""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from stimage.core.access import is_local
from stimage.core.errors import DataError, shown
from stimage.evaluation.labelled import LabelledSpots, read_labelled
from stimage.loading.embeddings import Embeddings
from stimage.loading.provenance import Provenance
from stimage.slides.catalog import Slide
from stimage.slides.freshness import ASKING, file_digest

SEEN = ("error", "drop", "score")
UNKNOWN = "unknown"  # of embeddings that do not say what their model was trained on
TOLD = {  # of the scored slides, what their model has seen, as notes say it
    "trained": "were trained on by the model: their scores are too good",
    "validation": "chose the model's epoch, which flatters it a little",
    "panel": "chose the genes that the model was trained with",
}


@dataclass(frozen=True)
class Scored:
    """The slides that are to be scored.

    Attributes
    ----------
    slides
        Those that are left.
    seen
        "trained", "validation", "panel" → which of them the model has seen so; "unknown" where embeddings don't say it.
    notes
        What was left out, and what is to be kept in mind.
    """

    slides: list[Slide]
    seen: Mapping[str, list[str]] | str
    notes: list[str]


def settle_seen(provenance: Provenance | None, slides: Sequence[Slide], seen: str, model: str | None = None) -> Scored:
    """Refuse, leave out or take slides that a model was trained on; a slide is known by its name or by its image.

    Parameters
    ----------
    provenance
        The slides that the model of the embeddings has seen. If it is None, they are unknown, and nothing is refused.
    slides
        The slides that would be scored.
    seen
        What to do with slides that the model was trained on: "error", "drop" or "score".
    model
        Its name, for the error.

    Raises
    ------
    DataError
        If there are such slides and ``seen`` is "error", or all are left out.
    ValueError
        If ``seen`` is none of these.
    """
    if seen not in SEEN:
        raise ValueError(f"seen={seen!r}: pass one of {', '.join(SEEN)}")
    if provenance is None:
        return Scored(list(slides), UNKNOWN, [])
    found = {part: _among(provenance, part, slides) for part in TOLD}
    if (trained := found["trained"]) and seen == "error":
        raise DataError(
            f"{model or 'the model'}: was trained on {len(trained)} of the {len(slides)} slides that would be scored: "
            f"{shown(trained, 5)}; choose others by slides= (--slides) or part= (--part), leave these out by "
            "seen='drop' (--seen drop), or score them all the same by seen='score' (--seen score)"
        )
    notes = []
    if trained and seen == "drop":
        notes.append(f"{len(trained)} slides are left out, which the model was trained on: {shown(trained, 10)}")
        found = {part: [name for name in names if name not in trained] for part, names in found.items()}
    left = [slide for slide in slides if seen == "score" or slide.name not in trained]
    if slides and not left:
        raise DataError("the model was trained on all slides that would be scored; choose others by slides= (--slides)")
    notes += [f"{len(names)} of {len(left)} slides {TOLD[part]}: {shown(names, 10)}"
              for part, names in found.items() if names]  # fmt: skip
    return Scored(left, found, notes)


def labelled_unseen(
    embeddings: Embeddings, slides: Sequence[Slide], on_mismatch: str, seen: str, tested: Collection[str] = ()
) -> tuple[LabelledSpots, Scored]:
    """Join embeddings with labels as `read_labelled` does, without slides that `settle_seen` leaves out or refuses.

    If only some slides are ``tested``, the others are merely trained on, and may have been seen.
    """
    there = set(embeddings.slides.tolist())
    labelled = [slide for slide in slides if slide.annotation and slide.name in there]
    if tested:
        labelled = [slide for slide in labelled if slide.name in tested]
    if tested and not labelled:
        raise DataError("no slide of test= (--test) has both embeddings and labels; name others")
    scored = settle_seen(embeddings.provenance, labelled, seen, embeddings.model)
    left_out = {slide.name for slide in labelled} - {slide.name for slide in scored.slides}
    return read_labelled(embeddings, [slide for slide in slides if slide.name not in left_out], on_mismatch), scored


def samples_seen(provenance: Provenance | None, names: Sequence[str], seen: str, model: str) -> dict | str:
    """Refuse fixed sets of samples, such as a benchmark's, that a model was trained on; return the samples it has seen.

    Parameters
    ----------
    seen
        "error" refuses, "score" takes them all the same.

    Raises
    ------
    DataError
        If the model was trained on a sample, and ``seen`` is "error".
    ValueError
        If ``seen`` is neither.
    """
    if seen not in ("error", "score"):
        raise ValueError(f"seen={seen!r} (--seen {seen}): HEST-Benchmark's folds are fixed; pass error or score")
    if provenance is None:
        return UNKNOWN
    found = {part: sorted(name for name in names if provenance.has(part, name)) for part in TOLD}
    if (trained := found["trained"]) and seen == "error":
        raise DataError(f"{model}: was trained on {len(trained)} of the {len(names)} samples that would be scored: "
                        f"{shown(trained, 5)}; leave this encoder out, or score them all the same by seen='score' "
                        "(--seen score)")  # fmt: skip
    return found


def _among(provenance: Provenance, part: str, slides: Sequence[Slide]) -> list[str]:
    """Return the slides that a model has seen so, by name, or else by what their image holds."""
    named = {slide.name for slide in slides if provenance.has(part, slide.name)}
    known = getattr(provenance, part)
    others = [slide for slide in slides if slide.name not in named and slide.image and is_local(slide.image)]
    if not isinstance(known, Mapping) or not any(known.values()):
        others = []
    with ThreadPoolExecutor(ASKING) as pool:
        images = pool.map(file_digest, [slide.image for slide in others])
        named |= {slide.name for slide, image in zip(others, images) if provenance.has(part, slide.name, image)}
    return sorted(named)


def seen_of_all(told: Sequence[object]) -> dict[str, list[str]] | str:
    """Return what a model has seen of the slides in several results, from the notes of each."""
    known = [one for one in told if isinstance(one, Mapping)]
    if not known or len(known) < len(told):
        return UNKNOWN
    return {part: sorted({name for one in known for name in one.get(part, ())}) for part in TOLD}


def seen_words(seen: object) -> str:
    """Return the words of a table's cell for what a model has seen of the slides that it is scored on."""
    if not isinstance(seen, Mapping):
        return UNKNOWN
    words = {"trained": "trained on", "validation": "chose the epoch", "panel": "chose the genes"}
    said = [f"{len(names)} {words[part]}" for part, names in seen.items() if names and part in words]
    return ", ".join(said) or "none"
