"""Find what slides on two sides of a split share."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from stimage.collection.leaks.candidates import candidates
from stimage.collection.leaks.fingerprints import counts_print, image_print
from stimage.collection.leaks.likeness import Likeness, likenesses
from stimage.collection.leaks.split_files import Fold
from stimage.core.errors import DataError, shown
from stimage.slides.catalog import Slide
from stimage.slides.names import fold_name

CONTENT = ("counts", "image")
WORDS = {"counts": "the same counts", "image": "the same image", "sections": "sections of one piece of tissue",
         "study": "one study", "patient": "one patient"}  # fmt: skip
Progress = Callable[[Iterable, str], Iterable]


@dataclass(frozen=True)
class Leak:
    """What slides in two parts have in common.

    ``status`` is "leak", or "suspected" of what may be right: sections of one piece of tissue, slides of one study
    whose patients differ. ``what`` is a key of `WORDS`; ``fold`` names the folds, "" of the only one; ``slides`` are by
    part; ``evidence`` says what was found.
    """

    status: str
    what: str
    fold: str
    slides: Mapping[str, Sequence[str]]
    evidence: str


def slides_of(folds: Sequence[Fold], known: Iterable[Slide]) -> tuple[dict[str, Slide], list[str]]:
    """Return folded name → slide for the known slides of the folds, and the names of unknown ones.

    Raises
    ------
    DataError
        If fewer than two are known.
    """
    of_name = {fold_name(slide.name): slide for slide in known}
    wanted = {fold_name(name): name for fold in folds for name in fold.part_of}
    found = {name: of_name[name] for name in wanted if name in of_name}
    lost = [name for folded, name in wanted.items() if folded not in found]
    if len(found) < 2:
        raise DataError(f"{len(found)} of the split's {len(wanted)} slides are in the root; it lacks {shown(lost)}")
    return found, lost


def find_leaks(
    folds: Sequence[Fold],
    slides: Mapping[str, Slide],
    patients: Mapping[str, str],
    content: Sequence[str] = CONTENT,
    progress: Progress = lambda items, unit: items,
) -> list[Leak]:
    """Find what slides in two parts of a fold share.

    Parameters
    ----------
    slides, patients
        By folded name: see `slides_of`.
    content
        The content to compare, besides study and patient: "counts", "image".
    progress
        Wraps slides, and then pairs of slides that may be alike, with their unit.

    Returns
    -------
    list of Leak
        Leaks first, then suspected ones.
    """
    placed = [(fold.name, {fold_name(name): part for name, part in fold.part_of.items()}) for fold in folds]
    found = _grouped("patient", placed, slides, {name: (p,) for name, p in patients.items() if name in slides}, {})
    studies = {name: (slide.study,) if slide.study else slide.pmids for name, slide in slides.items()}
    found += _grouped("study", placed, slides, studies, patients)
    pairs = [(one, other) for one, other in combinations(slides, 2) if _folds_between(placed, one, other)]
    if content:
        found += _by_content(placed, slides, pairs, content, progress)
    return sorted(found, key=lambda leak: (leak.status != "leak", list(WORDS).index(leak.what)))


def _by_content(
    placed: Sequence[tuple[str, Mapping[str, str]]],
    slides: Mapping[str, Slide],
    pairs: Sequence[tuple[str, str]],
    content: Sequence[str],
    progress: Progress,
) -> list[Leak]:
    wanted = dict.fromkeys(name for pair in pairs for name in pair)
    counts, images = {}, {}
    for name in progress(wanted, "slide"):
        if "counts" in content and not slides[name].image_alone:
            counts[name] = counts_print(slides[name])
        if "image" in content:
            images[name] = image_print(slides[name])
    found = []
    names = list(wanted)
    alike = candidates([counts.get(name) for name in names], [images.get(name) for name in names])
    either = {frozenset((names[i], names[j])) for i, j in alike}
    for one, other in progress([pair for pair in pairs if frozenset(pair) in either], "pair"):
        of_counts = (counts[one], counts[other]) if one in counts and other in counts else None
        of_images = (images[one], images[other]) if one in images and other in images else None
        found += [_leak(alike, placed, slides, one, other) for alike in likenesses(of_counts, of_images)]
    return found


def _leak(
    alike: Likeness, placed: Sequence[tuple[str, Mapping[str, str]]], slides: Mapping[str, Slide], one: str, other: str
) -> Leak:
    where = _folds_between(placed, one, other)
    parts = next(parts for fold, parts in placed if fold == where[0])
    status = "suspected" if alike.what == "sections" else "leak"
    named = {parts[name]: [slides[name].name] for name in (one, other)}
    return Leak(status, alike.what, ", ".join(where), named, alike.evidence)


def _folds_between(placed: Sequence[tuple[str, Mapping[str, str]]], one: str, other: str) -> list[str]:
    """Return the folds in which two slides are in two parts."""
    return [fold for fold, parts in placed if one in parts and other in parts and parts[one] != parts[other]]


def _grouped(
    what: str,
    placed: Sequence[tuple[str, Mapping[str, str]]],
    slides: Mapping[str, Slide],
    groups: Mapping[str, Sequence[str]],
    patients: Mapping[str, str],
) -> list[Leak]:
    """Return a leak for each study or patient that is in two parts of a fold."""
    members = defaultdict(list)
    for name, own in groups.items():
        for group in own:
            members[group].append(name)
    found = []
    for group, names in sorted(members.items()):
        for fold, parts in placed:
            by_part = defaultdict(list)
            for name in (name for name in names if name in parts):
                by_part[parts[name]].append(name)
            if len(by_part) < 2:
                continue
            status, words = "leak", f"{what} {group}"
            if what == "study" and _patients_differ(by_part, patients):
                status, words = "suspected", f"{words}, whose patients differ from part to part"
            named = {part: [slides[name].name for name in some] for part, some in by_part.items()}
            found.append(Leak(status, what, fold, named, words))
    return found


def _patients_differ(by_part: Mapping[str, Sequence[str]], patients: Mapping[str, str]) -> bool:
    """Tell whether all patients are known, and none is in two parts."""
    if not all(name in patients for some in by_part.values() for name in some):
        return False
    own = [{patients[name] for name in some} for some in by_part.values()]
    return sum(map(len, own)) == len(set.union(*own))
