"""Find slides of a root that another collection has too, such as HEST-1k: by publication, and by content."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stimage.collection.leaks.candidates import candidates
from stimage.collection.leaks.fingerprints import counts_print, image_print
from stimage.collection.leaks.likeness import likenesses
from stimage.collection.leaks.meter import Progress
from stimage.core.tables import read_table
from stimage.slides.catalog import Catalog, Slide
from stimage.slides.names import fold_name

PUBMED = re.compile(r"(?:pubmed(?:\.ncbi\.nlm\.nih\.gov)?/|pmid[:=\s]*)(\d{6,9})", re.IGNORECASE)


@dataclass(frozen=True)
class Published:
    """A slide's name, and its publications: pmids, and titles in lower case without blanks and marks."""

    name: str
    pmids: frozenset[str] = frozenset()
    titles: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Shared:
    """A slide, ``what`` others share with it ("publication", "counts", "image"), their names, and the evidence."""

    slide: str
    what: str
    others: Sequence[str]
    evidence: str


def published(catalog: Catalog, slides: Iterable[Slide]) -> list[Published]:
    """Return the publications of slides, by the meta file, or by the title in HEST's metadata."""
    found = []
    for slide in slides:
        title = (catalog.meta or {}).get(fold_name(slide.name), {}).get("title", "")
        found.append(Published(slide.name, frozenset(slide.pmids), _titles(title, slide.study or "")))
    return found


def published_in(path: str | os.PathLike) -> list[Published]:
    """Read HEST's table of samples (HEST_v1_1_0.csv): id, dataset_title, and links to the study."""
    _, rows = read_table(path, ["id", "dataset_title"])
    return [
        Published(row["id"].strip(), frozenset(PUBMED.findall(" ".join(row.values()))), _titles(row["dataset_title"]))
        for row in rows
    ]


def by_publication(ours: Iterable[Published], theirs: Iterable[Published]) -> list[Shared]:
    """Return our slides whose publication is also one of theirs."""
    of_pmid, of_title = defaultdict(list), defaultdict(list)
    for one in theirs:
        for table, keys in ((of_pmid, one.pmids), (of_title, one.titles)):
            for key in keys:
                table[key].append(one.name)
    found = []
    for one in ours:
        pmids, titles = (sorted(keys & table.keys()) for keys, table in ((one.pmids, of_pmid), (one.titles, of_title)))
        others = dict.fromkeys(name for key in pmids for name in of_pmid[key])
        others |= dict.fromkeys(name for key in titles for name in of_title[key])
        if others:
            evidence = f"pmid {', '.join(pmids)}" if pmids else "the title of the publication"
            found.append(Shared(one.name, "publication", list(others), evidence))
    return found


def by_content(
    ours: Sequence[Slide], theirs: Sequence[Slide], content: Sequence[str], progress: Progress
) -> list[Shared]:
    """Return our slides that they have under any name; each slide is read once."""
    prints: dict[int, Mapping] = {}
    for k, slide in enumerate(progress([*ours, *theirs], "slide")):
        prints[k] = {
            "counts": counts_print(slide) if "counts" in content and not slide.image_alone else None,
            "image": image_print(slide) if "image" in content else None,
        }
    found = []
    every = [prints[k] for k in range(len(prints))]
    alike = candidates([one["counts"] for one in every], [one["image"] for one in every], sections=False)
    for k, one in enumerate(progress(ours, "slide")):
        for j, other in enumerate(theirs, len(ours)):
            if (k, j) not in alike:
                continue
            pairs = ((prints[k][what], prints[j][what]) for what in ("counts", "image"))
            counts, images = (None if a is None or b is None else (a, b) for a, b in pairs)
            found += [Shared(one.name, alike.what, [other.name], alike.evidence)
                      for alike in likenesses(counts, images) if alike.what != "sections"]  # fmt: skip
    return found


def _titles(*titles: str) -> frozenset[str]:
    return frozenset(filter(None, ("".join(filter(str.isalnum, title.casefold())) for title in titles)))
