"""Train, validation and test: which slide falls where, so that no group of slides is on two sides."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np

from stimage.errors import DataError
from stimage.slides import Slide
from stimage.slides.storage import read_table

SPLITS = ("train", "validation", "test")
SPLIT_BY = ("slide", "study", "patient")
FRACTIONS = (0.8, 0.1, 0.1)


@dataclass(frozen=True)
class Splitting:
    """How slides are split.

    Parameters
    ----------
    by
        What is never on two sides: a "slide"; a "study", that is slides which share a pmid; a "patient", out of the
        table ``patients``. None puts everything in train.
    seed
        Another seed gives another split; the same one gives the same on every machine.
    fractions
        Of slides in train, validation and test; 0 leaves a split out.
    patients
        CSV file with the columns ``slide`` and ``patient``. Patients of two studies must have two names.
    """

    by: str | None = None
    seed: int = 0
    fractions: tuple[float, float, float] = FRACTIONS
    patients: str | PathLike | None = None

    def __post_init__(self) -> None:
        if self.by not in (None, *SPLIT_BY):
            raise ValueError(f"split_by={self.by!r}: pass one of {SPLIT_BY}, or None to put everything in train")
        if (self.by == "patient") != (self.patients is not None):
            raise ValueError("split_by='patient' and a table of patients (CSV: slide, patient) go together")
        object.__setattr__(self, "fractions", tuple(map(float, self.fractions)))
        if len(self.fractions) != 3 or min(self.fractions) < 0 or abs(sum(self.fractions) - 1) > 1e-6:
            raise ValueError(f"fractions {self.fractions}: give three that add up to 1, for {', '.join(SPLITS)}")

    @property
    def names(self) -> list[str]:
        """The splits that there are."""
        return [s for s, share in zip(SPLITS, self.fractions) if share] if self.by else ["train"]


@dataclass(frozen=True)
class Placed:
    """Where a slide falls."""

    slide: Slide
    group: str
    split: str


def split_slides(
    slides: Sequence[Slide], wanted: Sequence[Slide], splitting: Splitting, known: Mapping[str, str] | None = None
) -> dict[str, Placed]:
    """Put each slide of a root into a split, groups as a whole, and return those that are wanted.

    So where a slide falls does not depend on what else is selected.

    Groups are taken from the largest to the smallest, in the order of a hash of seed and name, and each is put where
    the shares of slides, of slides of its technology and of slides of its technology and tissue suffer least (by the
    chi-square distance to the shares asked for). So splits are stratified as far as groups allow. A split that would
    get nothing gets one group.

    Parameters
    ----------
    slides, wanted
        All slides of the root, in any order, and those of them that are selected.
    known
        Slide name → split, of an earlier run: groups that have such a slide stay where they are.

    Returns
    -------
    dict
        Slide name → where it falls, of the wanted slides, in their order.

    Raises
    ------
    DataError
        If a wanted slide's group is not known, a group is already on two sides, or there are fewer groups than splits.
    """
    if splitting.by is None:
        return {slide.name: Placed(slide, slide.name, "train") for slide in wanted}
    group_of = slide_groups(slides, splitting)
    if lost := [slide.name for slide in wanted if not group_of.get(slide.name)]:
        raise DataError(
            f"the {splitting.by} of {len(lost)} of {len(wanted)} slides is not known: {', '.join(lost[:20])}"
            f"{', …' if len(lost) > 20 else ''}; name them in a file for --exclude, or split by a table of patients "
            "(slide, patient) that has a name for each"
        )
    members = defaultdict(list)
    for slide in slides:
        if group := group_of.get(slide.name):
            members[group].append(slide)
    known_splits = {group: _known_split(group, group_slides, known or {}) for group, group_slides in members.items()}
    split_of = _balance(members, known_splits, splitting)
    return {s.name: Placed(s, group_of[s.name], split_of[group_of[s.name]]) for s in wanted}


def report(placed: Iterable[Placed], spots: Mapping[str, int]) -> str:
    """Tell, as a Markdown table, how many groups, slides and spots (given by slide name) fell where."""
    cells = defaultdict(list)
    for p in placed:
        cells[p.slide.tech, p.split].append(p)
    lines = ["| technology | split | groups | slides | spots |", "| --- | --- | ---: | ---: | ---: |"]
    for (tech, split), members in sorted(cells.items(), key=lambda c: (c[0][0], SPLITS.index(c[0][1]))):
        groups, n = len({p.group for p in members}), sum(spots[p.slide.name] for p in members)
        lines.append(f"| {tech} | {split} | {groups:,} | {len(members):,} | {n:,} |")
    return "\n".join(lines)


def check_leaks(digests: Mapping[str, Mapping[str, str]], split_of: Mapping[str, str]) -> list[str]:
    """Look for the same content under two names.

    Parameters
    ----------
    digests
        What is digested ("image", "counts") → slide name → digest of it.
    split_of
        Slide name → split.

    Returns
    -------
    list of str
        A sentence for each pair within one split.

    Raises
    ------
    DataError
        If two slides on two sides have the same content.
    """
    same, across = [], []
    for what, by_slide in digests.items():
        alike = defaultdict(list)
        for slide, digest in by_slide.items():
            alike[digest].append(slide)
        for names in alike.values():
            if len(names) > 1:
                where = ", ".join(f"{name} ({split_of[name]})" for name in names)
                leak = len({split_of[name] for name in names}) > 1
                (across if leak else same).append(f"the same {what}: {where}")
    if across:
        raise DataError(
            f"slides on two sides have {'; '.join(across[:10])}. Name one of each in a file for --exclude, "
            "or publish to another folder, split by a table in which they have one patient"
        )
    return same


def slide_groups(slides: Sequence[Slide], splitting: Splitting) -> dict[str, str]:
    """Return slide name → group (slide, study or patient, as ``splitting.by`` says), of the slides that have one."""
    if splitting.by == "slide":
        return {slide.name: slide.name for slide in slides}
    return _studies(slides) if splitting.by == "study" else _patients(splitting.patients)


def _studies(slides: Sequence[Slide]) -> dict[str, str]:
    """Return slide name → study: slides that share a pmid, be it through others, are of one study."""
    parent = {}

    def root(pmid: str) -> str:
        while parent.setdefault(pmid, pmid) != pmid:
            pmid = parent[pmid]
        return pmid

    pmids = {slide.name: [p.strip() for p in (slide.pmid or "").split(",") if p.strip()] for slide in slides}
    for first, *others in filter(None, pmids.values()):
        for other in others:
            low, high = sorted((root(first), root(other)))
            parent[high] = low
    return {name: root(of_slide[0]) for name, of_slide in pmids.items() if of_slide}


def _patients(path: str | PathLike | None) -> dict[str, str]:
    columns, rows = read_table(str(path))
    if missing := {"slide", "patient"} - set(columns):
        raise DataError(f"{path}: has no column {min(missing)!r}, but {', '.join(columns) or 'nothing'}")
    twice = [name for name, n in Counter(row["slide"] for row in rows).items() if n > 1]
    if twice:
        raise DataError(f"{path}: slide {twice[0]!r} has two rows; keep one")
    return {row["slide"]: row["patient"].strip() for row in rows}


def _known_split(group: str, slides: list[Slide], known: Mapping[str, str]) -> str | None:
    splits = {known[slide.name]: slide.name for slide in slides if slide.name in known}
    if len(splits) > 1:
        where = ", ".join(f"{name} in {split}" for split, name in splits.items())
        raise DataError(f"group {group!r} is on two sides already ({where}); make the splits anew, in another folder")
    return next(iter(splits), None)


def _balance(
    members: Mapping[str, list[Slide]], known: Mapping[str, str | None], splitting: Splitting
) -> dict[str, str]:
    """Return the split of each group: the known one, or one that fills the shares."""
    split_of = {group: split for group, split in known.items() if split}
    strata = {group: Counter(key for s in slides for key in _strata(s)) for group, slides in members.items()}
    total = sum(strata.values(), Counter())
    shares = np.array([share for share in splitting.fractions if share])
    target = {key: n * shares for key, n in total.items()}
    filled = {key: np.zeros(len(shares)) for key in total}

    def order(group: str) -> tuple:
        digest = hashlib.sha256(f"{splitting.seed} {group}".encode()).hexdigest()
        return known[group] is None, -len(members[group]), digest

    free = [group for group, split in known.items() if split is None]
    for group in sorted(members, key=order):
        if group not in split_of:
            cost = sum(n * (2 * (filled[key] - target[key]) + n) / target[key] for key, n in strata[group].items())
            split_of[group] = splitting.names[int(np.argmin(cost))]
        for key, n in strata[group].items():
            filled[key][splitting.names.index(split_of[group])] += n
    _fill_empty(split_of, sorted(free, key=order), splitting)
    return split_of


def _fill_empty(split_of: dict[str, str], free: list[str], splitting: Splitting) -> None:
    """Give a split that got nothing the last of the free groups that is not alone in its split."""
    for split in splitting.names:
        count = Counter(split_of.values())
        if not count[split]:
            group = next((group for group in reversed(free) if count[split_of[group]] > 1), None)
            if group is None:
                raise DataError(
                    f"split by {splitting.by}: {split} would get no slide: {len(split_of)} groups are too few"
                )
            split_of[group] = split


def _strata(slide: Slide) -> list[tuple]:
    return [(), (slide.tech,), (slide.tech, slide.tissue)]
