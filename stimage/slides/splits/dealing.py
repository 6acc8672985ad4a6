"""Deal groups of slides into splits, as near to the fractions as the groups allow."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from stimage.core.errors import DataError
from stimage.slides.catalog import Slide
from stimage.slides.names import fold_name
from stimage.slides.splits.groups import find_groups, groups_of, merge_groups
from stimage.slides.splits.splitting import SlideSplit, Splitting, drawn, too_few

LAST = 9  # groups that are dealt anew in every way: 3^9


def deal_slides(
    slides: Sequence[Slide], splitting: Splitting, known: Mapping[str, str] | None = None
) -> dict[str, SlideSplit]:
    """Deal slides into splits, groups as a whole; each split gets at least one group.

    Groups are taken from the largest to the smallest, those of one technology and tissue after each other, otherwise in
    the order of a hash of seed and name. Each goes where the shares of slides suffer least, by the chi-square distance
    to the fractions. So a technology and tissue of many groups is shared out, too. Then the last nine groups are dealt
    in all ways, and the nearest is taken. Studies that share a slide are one group.

    Parameters
    ----------
    known
        Folded slide name → split, from an earlier table. Such slides stay, and other slides of their group follow.

    Returns
    -------
    dict
        Slide name → its split, in the order of ``slides``.

    Raises
    ------
    DataError
        If a slide's group is unknown or is on two sides already, or there are fewer groups than splits.
    """
    known, members = known or {}, defaultdict(list)
    found = find_groups([slide for slide in slides if fold_name(slide.name) in known], splitting)
    found = {name: own or (name,) for name, own in found.items()}  # it stays, whatever its group
    group_of = merge_groups(found | groups_of([slide for slide in slides if slide.name not in found], splitting))
    for slide in slides:
        members[group_of[slide.name]].append(slide)
    fixed = {group: _known_split(group, some, known) for group, some in members.items()}
    split_of = _balance(members, {group: split for group, split in fixed.items() if split}, splitting)
    return {
        s.name: SlideSplit(s, group_of[s.name], known.get(fold_name(s.name)) or split_of[group_of[s.name]])
        for s in slides
    }


def _known_split(group: str, slides: list[Slide], known: Mapping[str, str]) -> str | None:
    """Return the split that a group's slides have already, None if they have none."""
    splits = {known[fold_name(slide.name)]: slide.name for slide in slides if fold_name(slide.name) in known}
    new = [slide.name for slide in slides if fold_name(slide.name) not in known]
    if len(splits) > 1 and new:
        sides = ", ".join(f"{name} in {split}" for split, name in splits.items())
        raise DataError(f"group {group!r} is on two sides already ({sides}), so {new[0]} cannot follow it: leave "
                        f"{new[0]} out by --exclude, or deal all anew into another file")  # fmt: skip
    return next(iter(splits), None)


def _balance(members: Mapping[str, list[Slide]], fixed: Mapping[str, str], splitting: Splitting) -> dict[str, str]:
    """Return the split of each group: the fixed one, or one that fills the shares."""
    names, split_of = splitting.names, dict(fixed)
    sizes = {group: len(some) for group, some in members.items()}
    target = np.array([share for share in splitting.fractions if share]) * sum(sizes.values())
    filled = _filled(split_of, sizes, names)

    def order(group: str) -> tuple:
        kind = min((slide.tech, slide.tissue or "") for slide in members[group])
        return -sizes[group], kind, drawn(group, splitting.seed)

    free = sorted(set(members) - set(fixed), key=order)
    for group in free:
        best = int(np.argmin((2 * (filled - target) + sizes[group]) / target))
        split_of[group] = names[best]
        filled[best] += sizes[group]
    split_of |= _deal_last(split_of, free[-LAST:], sizes, names, target)
    if empty := [name for name in names if name not in split_of.values()]:
        raise DataError(too_few(empty, len(split_of), splitting))
    return split_of


def _deal_last(
    split_of: Mapping[str, str], last: list[str], sizes: Mapping[str, int], names: list[str], target: np.ndarray
) -> dict[str, str]:
    """Return the splits of the last groups: the best of all ways, or as they are if none is better."""
    if not last:
        return {}
    ways = np.indices((len(names),) * len(last)).reshape(len(last), -1)
    own = np.array([sizes[group] for group in last], float)
    others = _filled({group: split for group, split in split_of.items() if group not in last}, sizes, names)
    filled = np.stack([others[k] + own @ (ways == k) for k in range(len(names))])
    empty, far = (filled == 0).sum(0), ((filled - target[:, None]) ** 2 / target[:, None]).sum(0)
    best = int(np.lexsort((far.round(9), empty))[0])
    is_now = (ways == np.array([[names.index(split_of[group])] for group in last])).all(0)
    now = int(np.flatnonzero(is_now)[0])
    way = best if (empty[best], far[best] + 1e-6) < (empty[now], far[now]) else now
    return {group: names[k] for group, k in zip(last, ways[:, way])}


def _filled(split_of: Mapping[str, str], sizes: Mapping[str, int], names: list[str]) -> np.ndarray:
    """Return how many slides are in each split."""
    filled: Counter[str] = Counter()
    for group, split in split_of.items():
        filled[split] += sizes[group]
    return np.array([filled[name] for name in names], float)
