"""Division of slides into train, validation and test, so that no group of slides is in two of them."""

import hashlib
import math
import operator
import os
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import accumulate

from stimage.core.access import is_local
from stimage.core.errors import DataError, shown
from stimage.slides.catalog import Catalog, Slide
from stimage.slides.names import fold_name
from stimage.slides.selection import Selection
from stimage.slides.splits.groups import groups_of
from stimage.slides.splits.table import GIVEN, NO_TABLE, SPLITS, find_table

SPLIT_BY = ("slide", "study", "patient")
FRACTIONS = (0.8, 0.1, 0.1)
NO_STUDY = (None, "own")
DEAL = "python -m stimage split-slides"
MOST_SEEDS = 100  # that are tried where a seed does not work


@dataclass(frozen=True)
class Splitting:
    """The way to divide slides into splits.

    Parameters
    ----------
    by
        The groups that are never divided between splits: "slide"; "study", the slides of one pmid; or "patient", from
        the table ``patients``. None takes the splits of a table if there is one, and puts everything in train
        otherwise.
    seed
        The seed of the division. The same seed gives the same division on every machine.
    fractions
        Expected shares of groups in train, validation and test; 0 leaves a split out.
    patients
        CSV file with the columns ``slide`` and ``patient``. Patients of two studies must have different names. None
        takes the patients that HEST names in its own folder.
    splits
        A table that goes before ``by``: a CSV file with the columns ``slide`` and ``split``, or slide name → split.
        None takes the root's own splits.csv if there is one; "none" ignores it.
    no_study
        With "study", for slides without a pmid: None refuses them, "own" makes each a study of its own.
    """

    by: str | None = None
    seed: int = 0
    fractions: tuple[float, float, float] = FRACTIONS
    patients: str | os.PathLike | None = None
    splits: str | os.PathLike | Mapping[str, str] | None = None
    no_study: str | None = None

    def __post_init__(self) -> None:
        if self.by not in (None, *SPLIT_BY):
            raise ValueError(f"split_by={self.by!r}: pass one of {SPLIT_BY}, or None to put everything in train")
        if self.patients is not None and self.by != "patient":
            raise ValueError(
                "split_by='patient' (--split-by patient) and patients= (--patients, a CSV with the columns slide and "
                "patient) work only together: pass both"
            )
        if self.no_study not in NO_STUDY:
            raise ValueError(
                f"no_study={self.no_study!r}: pass 'own', which makes each slide of no known study a study of its own"
            )
        if self.no_study and self.by != "study":
            raise ValueError(
                "no_study= (--no-study) works only with a split by study: pass split_by='study' (--split-by study) too"
            )
        try:
            object.__setattr__(self, "seed", operator.index(self.seed))
            object.__setattr__(self, "fractions", tuple(map(float, self.fractions)))
        except TypeError:
            raise ValueError(f"split_seed={self.seed!r}, split_fractions={self.fractions!r}: pass a whole number, and "
                             "three numbers") from None  # fmt: skip
        if len(self.fractions) != 3 or min(self.fractions) < 0 or not abs(sum(self.fractions) - 1) <= 1e-6:
            raise ValueError(f"fractions {self.fractions}: give three that add up to 1, for {', '.join(SPLITS)}")
        if not self.by and (self.seed or self.fractions != FRACTIONS):
            raise ValueError("split_seed= and split_fractions= do nothing alone: pass split_by= (--split-by) too")
        if self.by and self.splits is not None and self.splits != NO_TABLE:
            raise ValueError(
                "splits= (--splits) names a table of the split: leave out split_by= (--split-by), or leave out "
                "splits= (--splits)"
            )

    @property
    def names(self) -> list[str]:
        """The splits that slides are divided into."""
        return [s for s, share in zip(SPLITS, self.fractions) if share]

    @property
    def words(self) -> str:
        """The same as options of a script."""
        words = ["--split-by", self.by or "slide"]
        if self.fractions != FRACTIONS:
            words += ["--split-fractions", *map(repr, self.fractions)]
        words += ["--patients", str(self.patients)] if self.patients else []
        return shlex.join(words + (["--no-study", self.no_study] if self.no_study else []))


@dataclass(frozen=True)
class SlideSplit:
    """A slide with its split."""

    slide: Slide
    group: str
    split: str


def split_slides(catalog: Catalog, selection: Selection, splitting: Splitting) -> dict[str, SlideSplit]:
    """Put each chosen slide of a root into a split, by a table or by a hash of its group.

    The split of a group depends on seed, group and fractions alone, so added slides move no other slide. A slide of
    several studies must fall into the same split by each.

    Returns
    -------
    dict
        Slide name → its split, in the catalog's order.

    Raises
    ------
    DataError
        If a table lacks a slide, or ``splitting.by`` is given beside a root's own table. If a slide's group is unknown,
        or its studies fall into two splits. If a split would get no slide; the error names seeds that work.
    """
    slides = selection.select_from(catalog)
    if (placed := split_by_table(catalog, slides, selection, splitting)) is not None:
        return placed
    if splitting.by is None:
        return {slide.name: SlideSplit(slide, slide.name, "train") for slide in slides}
    groups = groups_of(slides, splitting)
    how = (splitting.seed, splitting.fractions)
    parts = {name: {part_of(group, *how) for group in own} for name, own in groups.items()}
    torn = [name for name, found in parts.items() if len(found) > 1]
    empty = [split for split in splitting.names if not any(split in found for found in parts.values())]
    if torn or empty:
        raise DataError(_refusal(torn, empty, groups, selection, splitting))
    return {s.name: SlideSplit(s, ",".join(groups[s.name]), min(parts[s.name])) for s in slides}


def split_by_table(
    catalog: Catalog, slides: Sequence[Slide], selection: Selection, splitting: Splitting
) -> dict[str, SlideSplit] | None:
    """Return the splits of slides by the table that applies, or None without one; raises as `split_slides` does."""
    table = find_table(catalog.root, splitting.splits, catalog.access)
    if not table:
        return None
    if splitting.by:
        raise DataError(
            f"{table.source}: already says which slide is in which split. Leave out split_by= (--split-by), or pass "
            f"splits={NO_TABLE!r} (--splits {NO_TABLE}) to split anew by {splitting.by}"
        )
    if lost := [slide.name for slide in slides if fold_name(slide.name) not in table.splits]:
        raise DataError(
            f"{table.source}: lacks {len(lost)} of {len(slides)} slides: {shown(lost)}; "
            f"{_adding(table.source, selection)}, or leave them out by exclude= "
            "(--exclude) or by filters such as tech= (--tech)"
        )
    places = ((slide, fold_name(slide.name)) for slide in slides)
    return {slide.name: SlideSplit(slide, table.groups[name], table.splits[name]) for slide, name in places}


def _adding(source: str, selection: Selection) -> str:
    """Say how slides are added to a table; one behind a URL can't be written."""
    if source == GIVEN:
        return "add them to it"
    out = source if is_local(source) else "splits.csv"
    command = f"{DEAL} {selection.words} {shlex.join(['--add-to', source, '--out', out])}"
    then = "" if is_local(source) else f", and pass splits={out!r} (--splits {out})"
    return f"add them by `{command}`, with the --split-by that it was made with{then}"


def part_of(group: str, seed: int, fractions: tuple[float, ...]) -> str:
    """Return the split of a group, by a hash of seed and name held against the fractions."""
    return next(split for split, end in zip(SPLITS, _ends(fractions)) if drawn(group, seed) < end)


def drawn(group: str, seed: int) -> int:
    """Return the number below 2^256 that a group draws."""
    return int(hashlib.sha256(f"{seed} {fold_name(group)}".encode()).hexdigest(), 16)


@cache
def _ends(fractions: tuple[float, ...]) -> list[int]:
    """Return where the splits end among the 2^256 values of the hash; whole numbers, so that no machine rounds."""
    shares = [Fraction(str(share)) for share in fractions]
    return [math.ceil(end / sum(shares) * 2**256) for end in accumulate(shares)]


def seeds_that_work(groups: Iterable[Sequence[str]], splitting: Splitting) -> list[int]:
    """Return the seeds below 100 with which a slide's groups fall into one split, and no split is empty."""
    groups, found = set(map(tuple, groups)), []
    for seed in range(MOST_SEEDS):
        parts = [{part_of(group, seed, splitting.fractions) for group in own} for own in groups]
        if all(len(own) == 1 for own in parts) and set.union(*parts) == set(splitting.names):
            found.append(seed)
    return found


def _refusal(torn: list[str], empty: list[str], groups: Mapping, selection: Selection, splitting: Splitting) -> str:
    """Say what is wrong with a split by hash, which seeds would work, and what else helps."""
    by, seed, n = splitting.by, splitting.seed, len(set(groups.values()))
    seeds = seeds_that_work(groups.values(), splitting)
    working = shown([str(seed) for seed in seeds], 10)
    works = f"These seeds below {MOST_SEEDS} work: {working}" if seeds else f"No seed below {MOST_SEEDS} works"
    command = f"{DEAL} {selection.words} {splitting.words} --out splits.csv"
    deal = f"deal them exactly by `{command}`, and pass splits='splits.csv' (--splits splits.csv) instead of split_by="
    if torn:
        return (f"split by {by} with seed {seed}: {len(torn)} of {len(groups)} slides belong to several studies, and "
                f"these studies fall into different splits: {shown(torn)}. {works}; leave the slides out by exclude= "
                f"(--exclude), or {deal}")  # fmt: skip
    if n < len(splitting.names):
        return too_few(empty, n, splitting)
    return (f"split by {by} with seed {seed}: {' and '.join(empty)} would get no slide, though there are {len(groups)} "
            f"slides in {n} groups. {works}; or {deal}")  # fmt: skip


def too_few(empty: Sequence[str], groups: int, splitting: Splitting) -> str:
    """Say that there are fewer groups than splits."""
    return (f"split by {splitting.by}: {' and '.join(empty)} would get no slide, as {groups} groups are too few for "
            f"{len(splitting.names)} splits. Give one split the share 0 by split_fractions= (--split-fractions), split "
            "by slide, or take more slides")  # fmt: skip


def slides_by_split(placed: Iterable[SlideSplit]) -> dict[str, list[str]]:
    """Return split → names of its slides, empty splits included."""
    parts: dict[str, list[str]] = {split: [] for split in SPLITS}
    for one in placed:
        parts[one.split].append(one.slide.name)
    return parts


def split_report(placed: Iterable[SlideSplit], spots: Mapping[str, int]) -> str:
    """Return a Markdown table of groups, slides and spots (given by slide name) by technology and split."""
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
        Kind of content ("image", "counts") → slide name → digest.
    split_of
        Slide name → split.

    Returns
    -------
    list of str
        A sentence for each pair within one split.

    Raises
    ------
    DataError
        If two slides in different splits have the same content.
    """
    same, across = [], []
    for what, by_slide in digests.items():
        alike = defaultdict(list)
        for slide, digest in by_slide.items():
            alike[digest].append(slide)
        for names in alike.values():
            if len(names) > 1:
                both = ", ".join(f"{name} ({split_of[name]})" for name in names)
                leak = len({split_of[name] for name in names}) > 1
                (across if leak else same).append(f"the same {what}: {both}")
    if across:
        raise DataError(
            f"slides in different splits have {'; '.join(across[:10])}. Name one slide of each pair in a file for "
            "exclude= (--exclude), or publish to another folder, split by a table that gives both slides one patient"
        )
    return same
