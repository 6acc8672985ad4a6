"""Slides of a root that have a gene under several versions of its Ensembl id: their counts are not joined."""

from collections.abc import Mapping, Sequence
from heapq import nsmallest
from zlib import crc32

from stimage.genes.names import ENSEMBL
from stimage.genes.odd_names import BY_IDS

LOOKED_AT = 1000  # ids of a slide, the same ones of all slides that have them
REMEDY = f"where slides are joined, {BY_IDS}"


def ensembl_names(genes: Sequence[str]) -> dict[str, str]:
    """Return id without version → name as the slide has it, of some of its Ensembl ids."""
    found = {match[1]: name for name in genes if (match := ENSEMBL.fullmatch(name))}
    return {one: found[one] for one in nsmallest(LOOKED_AT, found, key=lambda one: crc32(one.encode()))}


def find_versions(names: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return slide → what it calls otherwise than another slide does, of those that do; ``names`` are by slide."""
    first: dict[str, dict[str, str]] = {}  # id → name → the first slide that has it
    for slide, own in names.items():
        for one, name in own.items():
            first.setdefault(one, {}).setdefault(name, slide)
    found = {}
    for slide, own in names.items():
        others = [(name, other, called) for one, name in own.items()
                  for called, other in first[one].items() if called != name]  # fmt: skip
        if others:
            name, other, called = others[0]
            found[slide] = (f"{name!r} is {called!r} in {other}, and so are {len({one for one, *_ in others}):,} of "
                            f"{len(own):,} Ensembl ids: they count as different genes")  # fmt: skip
    return found
