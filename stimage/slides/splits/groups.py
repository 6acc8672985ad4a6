"""Groups of slides that must stay in one split: a slide, its studies, its patient."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, TypeVar

from stimage.core.errors import DataError, shown
from stimage.core.tables import read_table
from stimage.slides.catalog import Slide
from stimage.slides.names import by_slide, fold_name

if TYPE_CHECKING:
    from stimage.slides.splits.splitting import Splitting

Name = TypeVar("Name")

REMEDY = {
    "study": "make each a study of its own by no_study='own' (--no-study own)",
    "patient": "add them to the table of patients, passed as patients= (--patients)",
}


def groups_of(slides: Sequence[Slide], splitting: "Splitting") -> dict[str, tuple[str, ...]]:
    """Return slide name → the groups of the slide: itself, its studies, or its patient.

    Studies are pmids, sorted, or HEST's names of them.

    Raises
    ------
    DataError
        If the study or the patient of a slide is unknown; the error names the slides.
    """
    groups = find_groups(slides, splitting)
    if lost := [name for name, own in groups.items() if not own]:
        raise DataError(
            f"the {splitting.by} of {len(lost)} of {len(slides)} slides is not known: {shown(lost)}; leave these "
            f"slides out by exclude= (--exclude), or {REMEDY[splitting.by or '']}"
        )
    return groups


def find_groups(slides: Sequence[Slide], splitting: "Splitting") -> dict[str, tuple[str, ...]]:
    """Return the same as `groups_of`, without groups where they are not known."""
    if splitting.by == "study":
        own = splitting.no_study == "own"
        return {s.name: (s.study,) if s.study else s.pmids or ((s.name,) if own else ()) for s in slides}
    if splitting.by == "patient":
        table = read_patients(splitting.patients) if splitting.patients is not None else None
        found = {s.name: s.patient if table is None else table.get(fold_name(s.name)) for s in slides}
        return {name: (patient,) if patient else () for name, patient in found.items()}
    return {slide.name: (slide.name,) for slide in slides}


def merge_groups(groups: Mapping[Name, tuple[str, ...]]) -> dict[Name, str]:
    """Return slide name → group, after groups that share a slide, directly or through others, are merged.

    A merged group has the first of their names. Merging depends on the slides, so no split is drawn by it.
    """
    parent: dict[str, str] = {}

    def first(group: str) -> str:
        while parent.setdefault(group, group) != group:
            group = parent[group]
        return group

    for one, *others in groups.values():
        for other in others:
            low, high = sorted((first(one), first(other)))
            parent[high] = low
    return {name: first(own[0]) for name, own in groups.items()}


def read_patients(path: str | PathLike) -> Mapping[str, str]:
    """Return slide name → patient from a CSV file with these columns; names are folded."""
    _, rows = read_table(path, ["slide", "patient"])
    return {name: row["patient"].strip() for name, row in by_slide(rows, str(path)).items()}
