"""Checks of a slide's files, ids, counts and row of the meta file; each takes the evidence and says one thing."""

import re
from collections import Counter
from collections.abc import Callable

import numpy as np
import pyarrow.compute as pc

from stimage.collection.checks import geometry as geometry
from stimage.collection.checks.evidence import Evidence
from stimage.collection.checks.findings import Finding

ENSEMBL = re.compile(r"ENS[A-Z]*G\d{9,}")
FEW_COUNTS = {"ST": 50, "Visium": 50, "VisiumHD": 5}  # median of a spot below which a slide has next to no RNA
MITOCHONDRIAL = 0.5  # median share above which cells were dying or the library failed
PARTS = {"coord": "the coord file", "counts": "the count file", "image": "the image", "meta": "a row in the meta file"}
Result = tuple[str, str, str, dict]  # status, message, remedy, values


def check_files(e: Evidence) -> Result:
    missing = [PARTS[part] for part in ("coord", "counts", "image") if not getattr(e.slide, part)]
    problems = [f"{what} is missing" for what in missing] + list(dict.fromkeys(e.faults.values()))
    if e.broken and not missing:  # such as a row of the meta file that is not there
        problems.append(e.broken)
    if problems:
        return "fail", "; ".join(problems), "get the file again, or leave the slide out", {}
    return "pass", "all are there and can be read", "", {}


def check_image(e: Evidence) -> Result:
    info = e.picture.info
    message = f"{info.type.upper()}, {info.width:,} x {info.height:,} pixels, {info.bands} bands of {info.bits} bits"
    values = {"type": info.type, "width": info.width, "height": info.height, "bands": info.bands, "bits": info.bits}
    if info.bands < 3 or np.ptp(e.picture.thumbnail.astype(int), axis=2).max() < 8:
        return "warn", f"{message}: it has no colour, so it is no H&E image", "look for the H&E image", values
    if info.bits > 8 or info.bands > 4:
        return "warn", f"{message}: it is no ordinary RGB image", "look at a patch: are the colours right?", values
    return "pass", message, "", values


def check_ids(e: Evidence) -> Result:
    coord, counts = e.coordinates.ids.combine_chunks(), e.counts.ids
    alone = [pc.sum(pc.invert(pc.is_in(one, other))).as_py() or 0 for one, other in ((coord, counts), (counts, coord))]
    values = {"only_in_coord": alone[0], "only_in_counts": alone[1]}
    if any(alone):
        message = f"{alone[0]} spots are only in the coord file, {alone[1]} only in the count file"
        return "fail", message, "mend the ids, or pass on_mismatch='drop' (in scripts: --on-mismatch drop)", values
    return "pass", f"the same {len(coord):,} spots in both", "", values


def check_annotation(e: Evidence) -> Result:
    if e.labels is None:
        return "pass", "there is none", "", {}
    ids = set(e.coordinates.ids.to_pylist())
    strange, without = len(e.labels.keys() - ids), sum(not e.labels.get(spot) for spot in ids)
    values = {"labels": len(set(e.labels.values()) - {None}), "unknown_spots": strange, "spots_without": without}
    if strange:
        message = f"{strange} of {len(e.labels)} labels are of spots that the slide does not have"
        return "warn", message, "are the labels of another slide?", values
    if without:
        return "warn", f"{without} of {len(ids)} spots have no label", "they get a null annotation", values
    return "pass", f"all spots have one of {values['labels']} labels", "", values


def check_duplicates(e: Evidence) -> Result:
    ids = len(e.coordinates) - pc.count_distinct(e.coordinates.ids).as_py()
    rows = len(e.counts.ids) - pc.count_distinct(e.counts.ids).as_py()
    places = len(e.coordinates) - len(np.unique(np.stack([e.coordinates.x, e.coordinates.y], 1), axis=0))
    values = {"ids": ids, "rows": rows, "places": places}
    if ids or rows:
        message = f"{ids} ids occur again in the coord file, {rows} in the count file"
        return "fail", message, "keep one row of each spot", values
    if places:
        return "warn", f"{places} spots are at the place of another", "are two slides in one file?", values
    return "pass", "no id and no place occurs twice", "", values


def check_counts(e: Evidence) -> Result:
    values = {"fractional": e.counts.fractional}
    if e.counts.fractional:
        message = f"{e.counts.fractional:,} counts are no whole numbers: they seem to be normalised"
        return "fail", message, "get the raw counts", values
    return "pass", "all are whole numbers of 0 or more", "", values


def check_empty_spots(e: Evidence) -> Result:
    empty = int((e.counts.totals == 0).sum())
    if empty:
        message = f"{empty} of {len(e.counts.totals):,} spots have no count at all"
        return "warn", message, "leave them out of training and scores", {"empty": empty}
    return "pass", "every spot has counts", "", {"empty": 0}


def check_library(e: Evidence) -> Result:
    median = float(np.median(e.counts.totals))
    values = {"median_counts": median, "genes": len(e.counts.genes)}
    message = f"a spot has {median:,.0f} counts of {len(e.counts.genes):,} genes (median)"
    if median < FEW_COUNTS[e.slide.tech]:
        remedy = f"{e.slide.tech} slides have more than {FEW_COUNTS[e.slide.tech]}: is it the right file?"
        return "warn", message, remedy, values
    return "pass", message, "", values


def check_mitochondrial(e: Evidence) -> Result:
    filled = e.counts.totals > 0
    shares = e.counts.mitochondrial[filled] / e.counts.totals[filled]
    share = float(np.median(shares)) if len(shares) else 0.0
    message = f"{share:.0%} of a spot's counts are mitochondrial (median)"
    if share > MITOCHONDRIAL:
        return "warn", message, "dying cells or a failed library: look at the study", {"share": share}
    return "pass", message, "", {"share": share}


def check_genes(e: Evidence) -> Result:
    ensembl = sum(bool(ENSEMBL.match(gene)) for gene in e.counts.genes)
    n = len(e.counts.genes)
    kind = "Ensembl ids" if ensembl > 0.9 * n else "symbols" if ensembl < 0.1 * n else "mixed"
    values = {"kind": kind, "ensembl": ensembl}
    if kind == "mixed":
        return "warn", f"{ensembl:,} of {n:,} genes are Ensembl ids", "map them to one kind of names", values
    return "pass", f"{n:,} {kind}", "", values


def check_meta(e: Evidence) -> Result:
    told = {key: (e.meta.get(key) or "").strip() for key in ("spot_num", "gene_num", "tech")}
    found = {"spot_num": str(len(e.counts.ids)), "gene_num": str(len(e.counts.genes)), "tech": e.slide.tech}
    wrong = [f"{key} is {told[key]!r}, the files say {value!r}" for key, value in found.items() if told[key] != value]
    if wrong:
        return "fail", "; ".join(wrong), "correct the row, or get the right files", {}
    return "pass", "spots, genes and technology are as it says", "", {}


CHECKS: dict[str, tuple[Callable[[Evidence], Result], tuple[str, ...]]] = {  # name: the check, and parts it needs
    "files": (check_files, ()),
    "image": (check_image, ("image",)),
    "ids": (check_ids, ("coord", "counts")),
    "annotation": (check_annotation, ("coord",)),
    "duplicates": (check_duplicates, ("coord", "counts")),
    "inside": (geometry.check_inside, ("coord", "image")),
    "radius": (geometry.check_radius, ("coord",)),
    "lattice": (geometry.check_lattice, ("coord",)),
    "scale": (geometry.check_scale, ("coord",)),
    "resolution": (geometry.check_resolution, ("coord", "image")),
    "tissue": (geometry.check_tissue, ("coord", "image")),
    "sharpness": (geometry.check_sharpness, ("coord", "image")),
    "counts": (check_counts, ("counts",)),
    "empty spots": (check_empty_spots, ("counts",)),
    "library": (check_library, ("counts",)),
    "mitochondrial": (check_mitochondrial, ("counts",)),
    "genes": (check_genes, ("counts",)),
    "meta": (check_meta, ("counts", "meta")),
}


def check_slide(e: Evidence) -> list[Finding]:
    """Run all checks on a slide's evidence."""
    there = {"coord": e.coordinates, "counts": e.counts, "image": e.picture, "meta": e.meta}
    findings = []
    for name, (check, needs) in CHECKS.items():
        if missing := [PARTS[part] for part in needs if there[part] is None]:
            result = "skipped", f"needs {' and '.join(missing)}", "", {}
        else:
            result = check(e)
        findings.append(Finding(e.slide.name, name, *result))
    return findings


def find_twins(digests: dict[str, dict[str, str]]) -> list[Finding]:
    """Find slides that have the same image, the same picture in another file, or the same counts.

    Parameters
    ----------
    digests
        By slide, a digest by what it is of.
    """
    shared = Counter((what, value) for one in digests.values() for what, value in one.items())
    findings = []
    for slide, own in digests.items():
        same = {}
        for what, value in own.items():
            if shared[what, value] > 1:
                others = [name for name, one in digests.items() if name != slide and one.get(what) == value]
                same.setdefault(", ".join(others), []).append(what)
        if same:
            message = "; ".join(f"the same {' and '.join(what)} as {others}" for others, what in same.items())
            findings.append(Finding(slide, "twins", "warn", message, "keep one, or keep them on one side of a split"))
        else:
            findings.append(Finding(slide, "twins", "pass", "no other slide has its image or its counts"))
    return findings
